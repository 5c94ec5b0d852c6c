"""`cgbench translate`: pictures of the user's own through a finished trial. The run is only read, its dataset not."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cgbench.api.graph_analysis import live, one_way
from cgbench.benchmarks.evaluation import output_images
from cgbench.benchmarks.evaluation.inference import translated
from cgbench.benchmarks.execution.reevaluation import is_finished, load_trial, take_weights
from cgbench.benchmarks.runtime.progress import ProgressCallback, progress
from cgbench.benchmarks.training.checkpoint import recorded_checkpoint_metadata
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import TrialConfig
from cgbench.datasets.images import EXTENSIONS, image_files, read_image, square
from cgbench.errors import CgbenchError
from cgbench.files import PART
from cgbench.methods.blocks.model import Model
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder

Found = tuple[TrialFolder, dict[str, Any]]  # a trial's folder and its record


@dataclass(frozen=True)
class Translator:
    """A trial that translates: its model with the weights of `step`, what is said of it in words, and whether resizing
    may `blend` the pixels of what it is given."""

    model: Model
    direction: str
    config: TrialConfig
    blend: bool
    step: int
    title: str


def choose_trial(folders: Sequence[TrialFolder], said: Mapping[str, Any]) -> Found:
    """Return the only finished trained trial that `said` allows: values of `method`, `seed` and `dataset`, each None
    where it was not said. None or several of them raise `CgbenchError`, which names what there is."""
    known = [(folder, read_trial(folder)) for folder in folders]
    trained = [entry for entry in known if entry[1]["method"].get("role") not in ("floor", "ceiling")]
    finished = [(folder, facts) for folder, facts in trained if is_finished(folder, facts["steps"])]
    fitting = [entry for entry in finished if _fits(entry, said)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        open_ones = [key for key in said if len({_named(entry)[key] for entry in fitting}) > 1]
        options = " and ".join(f"--{key}" for key in open_ones)
        raise CgbenchError(f"several trials could translate: choose by {options} from {_listed(fitting)}")
    if waiting := [folder for folder, facts in trained if _fits((folder, facts), said)]:
        state = waiting[0].status()["state"] or "not begun"
        raise CgbenchError(f"{waiting[0].path} is not finished ({state}): finish the run first, by its own command")
    if any(_named(entry)["method"] == said.get("method") for entry in known if entry not in trained):
        raise CgbenchError(f"'{said['method']}' is an untrained row of the tables; there is {_listed(finished)}")
    asked = " ".join(f"--{key} {value}" for key, value in said.items() if value is not None)
    raise CgbenchError(f"no finished trained trial{asked and f' fits {asked}'}; there is {_listed(finished)}")


def _named(entry: Found) -> dict[str, Any]:
    facts = entry[1]
    return {"method": facts["method"]["name"], "seed": facts["seed"], "dataset": facts["dataset"]["label"]}


def _fits(entry: Found, said: Mapping[str, Any]) -> bool:
    names = _named(entry)
    return all(value is None or names[key] == value for key, value in said.items())


def _listed(entries: Iterable[Found]) -> str:
    """Return the trials in words: `cyclegan (seed 0, 1), gan_only (seed 0)`, with datasets where there are several."""
    rows = [_named(entry) for entry in entries]
    several = len({row["dataset"] for row in rows}) > 1
    seeds: dict[str, list[str]] = {}
    for row in rows:
        seeds.setdefault(row["method"] + several * f" on {row['dataset']}", []).append(str(row["seed"]))
    return ", ".join(f"{name} (seed {', '.join(numbers)})" for name, numbers in seeds.items()) or "none"


def open_translator(found: Found, direction: str | None, which: str, device: str) -> Translator:
    """Return the translator of a finished trial in a direction, by default AtoB where it has that one.

    `which` checkpoint is "last" or "best". A direction or a checkpoint that is not there, and a trial of another
    version or declaration than is here raise `CgbenchError`.
    """
    folder, facts = found
    trial = load_trial(folder, facts)
    name, directions, recorded = trial.method.name, trial.method.directions, facts["dataset"]
    direction = direction or directions[0]
    if direction not in directions:
        raise CgbenchError(f"{name} has no direction {direction}, only {' and '.join(directions)}")
    path = folder.best if which == "best" else folder.checkpoint
    if not path.exists():
        why = "a run keeps it if started with --set keep_best=NUMBER" if which == "best" else "it was taken away"
        raise CgbenchError(f"{path} is not there: {why}")
    try:
        about = recorded_checkpoint_metadata(trial.config, recorded)
        blend = recorded["domains"]["AB".index(direction[0])]["kind"] == "photo"
    except (KeyError, TypeError, IndexError):
        raise CgbenchError(f"{folder.trial} was written by another version: it does not describe its dataset") from None
    model = translating_model(trial, direction, device)
    step = take_weights(model, path, facts, about)
    title = f"{name}, seed {trial.seed}, {recorded['directions'].get(direction, direction)}"
    return Translator(model, direction, trial.config, blend, step, title)


def translating_model(trial: Trial, direction: str, device: str) -> Model:
    """Return a trial's model without what only losses need, its weights not yet those of a checkpoint. A network on the
    way itself that is not here raises `CgbenchError`."""
    method, config = one_way(trial.method, direction), trial.config
    for name in live(method).networks:
        network = method.networks[name]
        problem = network.missing(config) if network.missing else None
        if network.frozen and config.features == "scorer" and "features" in method.settings:
            problem = "is made of the scorer of its dataset, which is not read here"
        if problem:
            raise CgbenchError(f"{method.name} translates through '{name}': {problem}")
    return Model(method, config, trial.seed, device)


def input_images(given: Sequence[Path]) -> list[Path]:
    """Return the files that `given` files and folders stand for, each once, sorted by name. A folder without an image
    file raises `CgbenchError`, and so do two files whose translations would have one name."""
    found: dict[str, Path] = {}
    for path in given:
        inside = image_files(path) if path.is_dir() else [path]
        if not inside:
            raise CgbenchError(f"{path} holds no image file ({', '.join(EXTENSIONS)})")
        found.update({os.path.abspath(file): file for file in inside})
    files = sorted(found.values(), key=lambda file: file.name)
    stems: dict[str, Path] = {}
    for file in files:
        other = stems.setdefault(file.stem.casefold(), file)  # some disks do not tell capitals apart
        if other is not file:
            raise CgbenchError(f"{other} and {file} would both become {file.stem}.png: rename one of them")
    return files


def output_paths(files: Sequence[Path], to: Path, run: Path) -> list[Path]:
    """Return where in the folder `to` the translation of each file goes. One that is taken raises `CgbenchError`, and
    so does a folder in the `run`."""
    if to.resolve().is_relative_to(run.resolve()):
        raise CgbenchError(f"--to {to} lies in the run, which is not to be changed: choose another folder")
    if to.exists() and not to.is_dir():
        raise CgbenchError(f"--to {to} is a file: name a folder")
    paths = [to / f"{file.stem}.png" for file in files]
    _refuse_taken(paths)
    return paths


def _refuse_taken(paths: Sequence[Path]) -> None:
    if taken := [path for path in paths if os.path.lexists(path)]:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise CgbenchError(f"{taken[0]}{more}: already there, and nothing is overwritten; choose another --to")


def translate(files: Sequence[Path], paths: Sequence[Path], translator: Translator) -> None:
    """Translate every file into the path of its place, file k with the random numbers of test image k.

    All are decoded before the first is translated, into memory as test images are: a file that cannot be used raises
    `DataBroken` before anything is written. In the end all translations are there or, if it was stopped, none.
    """
    with progress("reading pictures") as update:
        images = _squares(files, translator, update)
    with progress(translator.title) as update:
        _write(translated(translator.model, images, translator.direction), paths, update)


def _squares(files: Sequence[Path], translator: Translator, update: ProgressCallback) -> np.ndarray:
    """Return pictures as test images of the trial are, uint8 (N, S, S, 3)."""
    side, resize_mode = translator.config.crop_size, translator.config.resize_mode
    images = np.empty((len(files), side, side, 3), np.uint8)
    for number, file in enumerate(files):
        images[number] = square(read_image(file), side, resize_mode, translator.blend)
        update(number + 1, len(files))
    return images


def _write(batches: Iterable[np.ndarray], paths: Sequence[Path], update: ProgressCallback) -> None:
    """Write images, uint8 (n, S, S, 3) each time, to `paths` of one folder: into a folder of their own in it, from
    which they are moved when all are there."""
    folder = paths[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder, prefix=".translate.", suffix=PART))
    try:
        done = 0
        for images in batches:
            names = paths[done : done + len(images)]
            output_images.write_images((part / path.name for path in names), map(Image.fromarray, images))
            done += len(images)
            update(done, len(paths))
        _refuse_taken(paths)  # by another process meanwhile
        for path in paths:
            (part / path.name).rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
