"""The perceptual study of the CycleGAN paper (Table 1): scenes, images, and the session of each participant.

The definition of a study is its key, a JSON file beside the page that holds which image is real. The page holds images
and sessions without it. All random choices follow from the recorded seed and are stored, so scoring repeats none.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.api.names import Direction, Role
from cgbench.digests import digest
from cgbench.errors import CgbenchError, did_you_mean
from cgbench.files import read_json, write_text
from cgbench.reports.formats.display_windows import domain_formats, shown
from cgbench.reports.perceptual_study.stimuli import Stimuli, Stimulus, read_stimuli
from cgbench.results.run import RunRecords
from cgbench.seeds import generator

KIND = "cgbench study"
SCHEMA = 1
SHOWN_MS = 1000
REAL = ""  # the "method" of a real image
KEY_SUFFIX = ".key.json"


@dataclass(frozen=True)
class StudyImage:
    """An image of the page, numbered by its index. `method` is "" for a real image; `digest` is of the pixels."""

    scene: str
    method: str
    digest: str


@dataclass(frozen=True)
class Session:
    """The session of one participant: pairs of a method's and real images as (left, right) numbers, practice first."""

    method: str
    pairs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class StudyOptions:
    """Options of a study. `participants` is their number per method, `side` the largest side of an image in pixels;
    empty `methods` are all trained ones, no `trial_seed` is the first of the run, an empty `direction` the one with
    photos as target."""

    direction: str = ""
    methods: tuple[str, ...] = ()
    seed: int = 0
    trial_seed: int | None = None
    participants: int = 25
    practice: int = 10
    scored: int = 40
    side: int = 256


@dataclass(frozen=True)
class Study:
    """A study, as stored in its key file. Participant p has `sessions[p - 1]`. `kinds` are those of domains A and B,
    `real` is the description of the real images, `side` the larger side of an image in pixels."""

    run: str
    dataset: str
    direction: str
    direction_name: str
    target: str
    kinds: tuple[str, str]
    seed: int
    trial_seed: int
    practice: int
    scored: int
    shown_ms: int
    side: int
    real: str
    methods: tuple[str, ...]
    images: tuple[StudyImage, ...]
    sessions: tuple[Session, ...]

    @cached_property
    def id(self) -> str:
        """The digest of the study and its images, 12 hex digits."""
        return digest(asdict(self))

    @property
    def target_kind(self) -> str:
        """The kind of the target images, "photo" or "labels"."""
        return self.kinds[self.direction == Direction.A_TO_B]

    @property
    def trials(self) -> int:
        """The number of pairs in one session, practice and scored."""
        return self.practice + self.scored

    def real_side(self, pair: tuple[int, int]) -> str:
        """Return the side of the real image of a pair, "left" or "right"."""
        return "left" if self.images[pair[0]].method == REAL else "right"


def make_study(run: RunRecords, options: StudyOptions) -> tuple[Study, list[bytes], dict[str, str]]:
    """Return the study of a run, the files of its images by their numbers, and the reasons why methods were left out.

    The test images, which of them are practice, and all orders follow from `options.seed`. Raises `CgbenchError` where
    the run has too few images, or no finished trial of a method in `options.methods`.
    """
    direction = options.direction or photo_direction(run)
    trial_seed = run.seeds[0] if options.trial_seed is None else options.trial_seed
    requested = _requested_methods(run, options.methods)
    stimuli = read_stimuli(run, direction, requested, trial_seed, options.side)
    left_out = {name: reason for name, reason in stimuli.missing.items() if name in requested}
    if left_out and (options.methods or len(left_out) == len(requested)):
        raise CgbenchError(f"{run.path}: {'; '.join(f'{name}: {reason}' for name, reason in left_out.items())}")
    methods = tuple(name for name in requested if name not in left_out)
    keys = _choose_scenes(stimuli, methods, options, run, direction)
    numbered = [(key, method) for key in keys for method in (REAL, *methods)]
    order = generator(options.seed, "study", "images").permutation(len(numbered))
    numbered = [numbered[index] for index in order]
    numbers = {image: number for number, image in enumerate(numbered)}
    images = [stimuli.stimulus(key, method) for key, method in numbered]
    _ensure_distinguishable(run, {image: images[number] for image, number in numbers.items()})
    domains = run.dataset["domains"]
    study = Study(
        run=run.metadata["name"],
        dataset=run.dataset["label"],
        direction=direction,
        direction_name=run.dataset["directions"].get(direction, direction),
        target=_target(run, direction),
        kinds=tuple(domain["kind"] for domain in domains),
        seed=options.seed,
        trial_seed=trial_seed,
        practice=options.practice,
        scored=options.scored,
        shown_ms=SHOWN_MS,
        side=max(images[0].size),
        real=stimuli.real,
        methods=methods,
        images=tuple(
            StudyImage(key, method, image.digest) for (key, method), image in zip(numbered, images, strict=True)
        ),
        sessions=tuple(_sessions(methods, keys, numbers, options)),
    )
    return study, [image.file for image in images], left_out


def _target(run: RunRecords, direction: str) -> str:
    """Return the name of the target domain, and what pictures show of its numbers where these are not 8-bit RGB."""
    letter = "B" if direction == Direction.A_TO_B else "A"
    name: str = run.dataset["domains"][letter == "B"]["name"]
    text = shown(domain_formats(run.dataset).get(letter))
    return f"{name} ({text})" if text else name


def photo_direction(run: RunRecords) -> str:
    """Return the direction whose target is photos, AtoB where both or neither are."""
    kinds = [domain["kind"] for domain in run.dataset["domains"]]
    return Direction.B_TO_A if kinds[0] == "photo" and kinds[1] != "photo" else Direction.A_TO_B


def write_key(path: Path, study: Study) -> None:
    """Write the key of a study; the key of another study is not overwritten but raises `CgbenchError`."""
    if path.exists() and (existing := read_key(path)).id != study.id:
        raise CgbenchError(
            f"{path} is the key of another study ({existing.id}), and its answers would be lost with it: choose "
            "another --output, or remove that file first"
        )
    content = {"kind": KIND, "schema": SCHEMA, "id": study.id, **asdict(study)}
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n")


def read_key(path: Path) -> Study:
    """Read the key of a study; a file that is no key, or that was changed, raises `CgbenchError`."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise CgbenchError(f"{path} is not the key of a study; 'cgbench study RUN' writes it beside the page")
    if content.get("schema") != SCHEMA:
        raise CgbenchError(f"{path} was written by another version of cgbench (schema {content.get('schema')!r})")
    try:
        study = _study({field.name: content[field.name] for field in fields(Study)})
    except (KeyError, TypeError, ValueError):
        raise CgbenchError(f"{path}: the key is incomplete; make the study again with the same options") from None
    if study.id != content.get("id"):
        raise CgbenchError(f"{path} was changed after it was written; make the study again with the same options")
    return study


def _study(values: dict[str, Any]) -> Study:
    images = tuple(StudyImage(**image) for image in values["images"])
    sessions = tuple(
        Session(session["method"], tuple((int(left), int(right)) for left, right in session["pairs"]))
        for session in values["sessions"]
    )
    lists = {"methods": tuple(values["methods"]), "kinds": tuple(values["kinds"])}
    return Study(**{**values, **lists, "images": images, "sessions": sessions})


def _requested_methods(run: RunRecords, methods: Sequence[str]) -> tuple[str, ...]:
    """Return the methods of a study in the order of tables, by default all trained ones; unknown ones raise."""
    possible = [name for name in run.order if run.roles[name] != Role.CEILING]
    for name in methods:
        if name not in possible:
            reason = "its images are the real ones" if name in run.order else did_you_mean(name, possible)
            raise CgbenchError(f"{run.path} has no method '{name}' to test: {reason}")
    if methods:
        return tuple(name for name in run.order if name in methods)
    return run.trained


def _choose_scenes(
    stimuli: Stimuli, methods: Iterable[str], options: StudyOptions, run: RunRecords, direction: str
) -> list[str]:
    """Return the scenes of the study, practice first, sampled from those that every method has an image of."""
    keys = stimuli.common_keys(methods)
    needed = options.practice + options.scored
    if len(keys) < needed:
        scored = len(keys) - min(options.practice, len(keys) // 5)
        hint = f"; for example --practice {len(keys) - scored} --scored {scored}" if len(keys) else ""
        raise CgbenchError(
            f"{run.path}: {options.practice} practice and {options.scored} scored pairs need {needed} different test "
            f"images, and {direction} has {len(keys)}{hint}"
        )
    order = generator(options.seed, "study", "scenes").permutation(len(keys))
    return [keys[index] for index in order[:needed]]


def _ensure_distinguishable(run: RunRecords, images: Mapping[tuple[str, str], Stimulus]) -> None:
    """Raise where a translated image is the real one, or has another size: such a pair cannot be judged."""
    for (key, method), image in images.items():
        real = images[key, REAL]
        if method != REAL and (image.digest == real.digest or image.size != real.size):
            fault = "is the real image itself" if image.digest == real.digest else "has another size than the real one"
            raise CgbenchError(f"{run.path}: the image of '{method}' for {key} {fault}; leave it out with --methods")


def _sessions(
    methods: Sequence[str], keys: Sequence[str], numbers: Mapping[tuple[str, str], int], options: StudyOptions
) -> Iterable[Session]:
    """Yield the sessions in the order of participants: every block of len(methods) has each method once."""
    rng = generator(options.seed, "study", "methods")
    order = [methods[index] for _ in range(options.participants) for index in rng.permutation(len(methods))]
    for participant, method in enumerate(order, 1):
        rng = generator(options.seed, "study", "participant", participant)
        pairs = []
        for part in (keys[: options.practice], keys[options.practice :]):
            left = _balanced(len(part), rng)
            for index, real_left in zip(rng.permutation(len(part)), left, strict=True):
                real, fake = numbers[part[index], REAL], numbers[part[index], method]
                pairs.append((real, fake) if real_left else (fake, real))
        yield Session(method, tuple(pairs))


def _balanced(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return booleans in random order, half of them true: always choosing the same side is right half of the time."""
    return rng.permutation(np.arange(count) < (count + rng.integers(2)) // 2)
