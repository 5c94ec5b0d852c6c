"""The human test of the CycleGAN paper (Table 1): which scenes, whose images, and what each participant is shown.

The definition of a study is its key: a JSON file beside the page that says which image is real. The page holds images
and sessions without it. Everything is drawn from the recorded seed, and stored, so that scoring draws nothing again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.digests import digest
from cgbench.errors import CgbenchError, did_you_mean
from cgbench.files import read_json, write_text
from cgbench.reports.perceptual_study.stimuli import Stimuli, Stimulus, read_stimuli
from cgbench.results.run import Run
from cgbench.seeds import generator

KIND = "cgbench study"
SCHEMA = 1
SHOWN_MS = 1000
REAL = ""  # the "method" of a real image
KEY_SUFFIX = ".key.json"


@dataclass(frozen=True)
class StudyImage:
    """An image of the page; its number there is its place. `method` made it; `digest` is of its pixels."""

    scene: str
    method: str
    digest: str


@dataclass(frozen=True)
class Session:
    """What one participant is shown: a method's images, as (left, right) numbers of images, practice first."""

    method: str
    pairs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class StudyOptions:
    """What the experimenter chooses. `participants` is their number per method, `side` the largest side of an image in
    pixels; an empty `methods` means all trained ones, no `trial_seed` the first of the run, an empty `direction` the
    one that makes photos."""

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
    """A study as its key file holds it. Participant p has `sessions[p - 1]`. `kinds` are those of domains A and B,
    `real` says what the real images are, `side` is the larger side of an image in pixels."""

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
        """12 hex digits that identify everything in the study, its images among them."""
        return digest(asdict(self))

    @property
    def target_kind(self) -> str:
        """Return "photo" or "labels": what the images are."""
        return self.kinds[self.direction == "AtoB"]

    @property
    def trials(self) -> int:
        """Pairs in one session, practice and scored."""
        return self.practice + self.scored

    def real_side(self, pair: tuple[int, int]) -> str:
        """Return "left" or "right": where the real image of a pair is."""
        return "left" if self.images[pair[0]].method == REAL else "right"


def make_study(run: Run, plan: StudyOptions) -> tuple[Study, list[bytes], dict[str, str]]:
    """Return the study of a run, the files of its images by their numbers, and why methods were left out.

    Which test images are shown, which of them are practice, and all orders come from `plan.seed`. Raises
    `CgbenchError` where the run has too few images, or no finished trial of a method that was asked for.
    """
    direction = plan.direction or photo_direction(run)
    trial_seed = run.seeds[0] if plan.trial_seed is None else plan.trial_seed
    asked = _asked(run, plan.methods)
    scenes = read_stimuli(run, direction, asked, trial_seed, plan.side)
    left_out = {name: why for name, why in scenes.missing.items() if name in asked}
    if left_out and (plan.methods or len(left_out) == len(asked)):
        raise CgbenchError(f"{run.path}: {'; '.join(f'{name}: {why}' for name, why in left_out.items())}")
    methods = tuple(name for name in asked if name not in left_out)
    keys = _chosen(scenes, methods, plan, run, direction)
    numbered = [(key, method) for key in keys for method in (REAL, *methods)]
    order = generator(plan.seed, "study", "images").permutation(len(numbered))
    numbered = [numbered[place] for place in order]
    number = {image: place for place, image in enumerate(numbered)}
    pictures = [scenes.picture(key, method) for key, method in numbered]
    _differ(run, {image: pictures[place] for image, place in number.items()})
    domains = run.dataset["domains"]
    study = Study(
        run=run.about["name"],
        dataset=run.dataset["label"],
        direction=direction,
        direction_name=run.dataset["directions"].get(direction, direction),
        target=domains[direction == "AtoB"]["name"],
        kinds=tuple(domain["kind"] for domain in domains),
        seed=plan.seed,
        trial_seed=trial_seed,
        practice=plan.practice,
        scored=plan.scored,
        shown_ms=SHOWN_MS,
        side=max(pictures[0].size),
        real=scenes.real,
        methods=methods,
        images=tuple(
            StudyImage(key, method, picture.digest)
            for (key, method), picture in zip(numbered, pictures, strict=True)
        ),
        sessions=tuple(_sessions(methods, keys, number, plan)),
    )  # fmt: skip
    return study, [picture.file for picture in pictures], left_out


def photo_direction(run: Run) -> str:
    """Return the direction whose target is photos, AtoB where both or neither are."""
    kinds = [domain["kind"] for domain in run.dataset["domains"]]
    return "BtoA" if kinds[0] == "photo" and kinds[1] != "photo" else "AtoB"


def write_key(path: Path, study: Study) -> None:
    """Write the key of a study; one of another study that lies there is not overwritten."""
    if path.exists() and (known := read_key(path)).id != study.id:
        raise CgbenchError(
            f"{path} is the key of another study ({known.id}), and its answers would be lost with it: choose another "
            "--out, or remove that file first"
        )
    content = {"kind": KIND, "schema": SCHEMA, "id": study.id, **asdict(study)}
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n")


def read_key(path: Path) -> Study:
    """Read the key of a study; a file that is none, or that was changed, raises `CgbenchError`."""
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


def _asked(run: Run, methods: Sequence[str]) -> tuple[str, ...]:
    """Return the methods in the order of tables; unknown ones raise."""
    possible = [name for name in run.order if run.roles[name] != "ceiling"]
    for name in methods:
        if name not in possible:
            why = "its images are the real ones" if name in run.order else did_you_mean(name, possible)
            raise CgbenchError(f"{run.path} has no method '{name}' to test: {why}")
    if methods:
        return tuple(name for name in run.order if name in methods)
    return run.trained


def _chosen(scenes: Stimuli, methods: Iterable[str], plan: StudyOptions, run: Run, direction: str) -> list[str]:
    """Return the scenes of the study, practice first, drawn from those that every method has an image of."""
    keys = scenes.common(methods)
    needed = plan.practice + plan.scored
    if len(keys) < needed:
        scored = len(keys) - min(plan.practice, len(keys) // 5)
        hint = f"; for example --practice {len(keys) - scored} --scored {scored}" if len(keys) else ""
        raise CgbenchError(
            f"{run.path}: {plan.practice} practice and {plan.scored} scored pairs need {needed} different test images, "
            f"and {direction} has {len(keys)}{hint}"
        )
    order = generator(plan.seed, "study", "scenes").permutation(len(keys))
    return [keys[place] for place in order[:needed]]


def _differ(run: Run, pictures: Mapping[tuple[str, str], Stimulus]) -> None:
    """Raise where a made image is the real one, or has another size: nobody could judge such a pair."""
    for (key, method), picture in pictures.items():
        real = pictures[key, REAL]
        if method != REAL and (picture.digest == real.digest or picture.size != real.size):
            what = "is the real image itself" if picture.digest == real.digest else "has another size than the real one"
            raise CgbenchError(f"{run.path}: the image of '{method}' for {key} {what}; leave it out with --methods")


def _sessions(methods: Sequence[str], keys: Sequence[str], number: dict, plan: StudyOptions) -> Iterable[Session]:
    """Yield the sessions in the order of participants: every block of len(methods) has each method once."""
    rng = generator(plan.seed, "study", "methods")
    order = [methods[place] for _ in range(plan.participants) for place in rng.permutation(len(methods))]
    for participant, method in enumerate(order, 1):
        rng = generator(plan.seed, "study", "participant", participant)
        pairs = []
        for part in (keys[: plan.practice], keys[plan.practice :]):
            left = _balanced(len(part), rng)
            for place, real_left in zip(rng.permutation(len(part)), left, strict=True):
                real, fake = number[part[place], REAL], number[part[place], method]
                pairs.append((real, fake) if real_left else (fake, real))
        yield Session(method, tuple(pairs))


def _balanced(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return booleans in random order, half of them true: who always chooses one side is right half of the time."""
    return rng.permutation(np.arange(count) < (count + rng.integers(2)) // 2)
