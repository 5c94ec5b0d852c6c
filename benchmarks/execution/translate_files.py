"""Translation of the user's own image files by a finished trial; the run is read only, its dataset not at all."""

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
from cgbench.api.names import Role
from cgbench.benchmarks.evaluation import output_images
from cgbench.benchmarks.evaluation.inference import translate_batches
from cgbench.benchmarks.execution.reevaluation import is_finished, load_trial, load_weights
from cgbench.benchmarks.runtime.progress import progress
from cgbench.benchmarks.training.checkpoint import recorded_checkpoint_metadata
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import TrialConfig
from cgbench.datasets.images.decoding import EXTENSIONS, image_files, read_image, square
from cgbench.errors import CgbenchError
from cgbench.files import PART
from cgbench.methods.blocks.model import Model
from cgbench.progress import ProgressCallback
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder

StoredTrial = tuple[TrialFolder, dict[str, Any]]  # a trial's folder and its record


@dataclass(frozen=True)
class Translator:
    """A trial that translates: its model with the weights of `step`, its title, and whether resizing may `blend` the
    pixels of input images."""

    model: Model
    direction: str
    config: TrialConfig
    blend: bool
    step: int
    title: str


def choose_trial(folders: Sequence[TrialFolder], selection: Mapping[str, Any]) -> StoredTrial:
    """Return the only finished trained trial that fits `selection`: values of `method`, `seed` and `dataset`, each None
    for any. None or several of them raise `CgbenchError`, which names the candidates."""
    stored = [(folder, read_trial(folder)) for folder in folders]
    trained = [entry for entry in stored if entry[1]["method"].get("role") not in (Role.FLOOR, Role.CEILING)]
    finished = [(folder, record) for folder, record in trained if is_finished(folder, record["steps"])]
    fitting = [entry for entry in finished if _fits(entry, selection)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        ambiguous = [key for key in selection if len({_names(entry)[key] for entry in fitting}) > 1]
        options = " and ".join(f"--{key}" for key in ambiguous)
        raise CgbenchError(f"several trials could translate: choose by {options} from {_listed(fitting)}")
    if unfinished := [folder for folder, record in trained if _fits((folder, record), selection)]:
        state = unfinished[0].status()["state"] or "not begun"
        raise CgbenchError(f"{unfinished[0].path} is not finished ({state}): finish the run first, by its own command")
    if any(_names(entry)["method"] == selection.get("method") for entry in stored if entry not in trained):
        raise CgbenchError(f"'{selection['method']}' is an untrained row of the tables; there is {_listed(finished)}")
    options = " ".join(f"--{key} {value}" for key, value in selection.items() if value is not None)
    raise CgbenchError(f"no finished trained trial{options and f' fits {options}'}; there is {_listed(finished)}")


def _names(entry: StoredTrial) -> dict[str, Any]:
    """Return the method, seed and dataset of a trial."""
    record = entry[1]
    return {"method": record["method"]["name"], "seed": record["seed"], "dataset": record["dataset"]["label"]}


def _fits(entry: StoredTrial, selection: Mapping[str, Any]) -> bool:
    names = _names(entry)
    return all(value is None or names[key] == value for key, value in selection.items())


def _listed(entries: Iterable[StoredTrial]) -> str:
    """Return the trials as text: `cyclegan (seed 0, 1), gan_only (seed 0)`, with datasets where there are several."""
    rows = [_names(entry) for entry in entries]
    several = len({row["dataset"] for row in rows}) > 1
    seeds: dict[str, list[str]] = {}
    for row in rows:
        seeds.setdefault(row["method"] + several * f" on {row['dataset']}", []).append(str(row["seed"]))
    return ", ".join(f"{name} (seed {', '.join(numbers)})" for name, numbers in seeds.items()) or "none"


def open_translator(stored: StoredTrial, direction: str | None, which: str, device: str) -> Translator:
    """Return the translator of a finished trial in a direction, by default AtoB where it has that one.

    `which` checkpoint is "last" or "best". A direction or a checkpoint that does not exist, and a trial of another
    version or declaration raise `CgbenchError`.
    """
    folder, record = stored
    trial = load_trial(folder, record)
    name, directions, dataset = trial.method.name, trial.method.directions, record["dataset"]
    direction = direction or directions[0]
    if direction not in directions:
        raise CgbenchError(f"{name} has no direction {direction}, only {' and '.join(directions)}")
    path = folder.best if which == "best" else folder.checkpoint
    if not path.exists():
        reason = "a run keeps it if started with --set keep_best=NUMBER" if which == "best" else "it was taken away"
        raise CgbenchError(f"{path} is not there: {reason}")
    try:
        metadata = recorded_checkpoint_metadata(trial.config, dataset)
        blend = dataset["domains"]["AB".index(direction[0])]["kind"] == "photo"
    except (KeyError, TypeError, IndexError):
        raise CgbenchError(f"{folder.trial} was written by another version: it does not describe its dataset") from None
    model = translating_model(trial, direction, device)
    step = load_weights(model, path, record, metadata)
    title = f"{name}, seed {trial.seed}, {dataset['directions'].get(direction, direction)}"
    return Translator(model, direction, trial.config, blend, step, title)


def translating_model(trial: Trial, direction: str, device: str) -> Model:
    """Return a trial's model without the networks that only losses need, and without weights of a checkpoint. A network
    of the translation itself that cannot be built raises `CgbenchError`."""
    method, config = one_way(trial.method, direction), trial.config
    for name in live(method).networks:
        network = method.networks[name]
        problem = network.missing(config) if network.missing else None
        if network.frozen and config.features == "scorer" and "features" in method.settings:
            problem = "is made of the scorer of its dataset, which is not read here"
        if problem:
            raise CgbenchError(f"{method.name} translates through '{name}': {problem}")
    return Model(method, config, trial.seed, device)


def input_images(paths: Sequence[Path]) -> list[Path]:
    """Return the image files of `paths`, files or folders, each once, sorted by name. A folder without an image file
    raises `CgbenchError`, and so do two files whose translations would have one name."""
    by_path: dict[str, Path] = {}
    for path in paths:
        images = image_files(path) if path.is_dir() else [path]
        if not images:
            raise CgbenchError(f"{path} holds no image file ({', '.join(EXTENSIONS)})")
        by_path.update({os.path.abspath(file): file for file in images})
    files = sorted(by_path.values(), key=lambda file: file.name)
    stems: dict[str, Path] = {}
    for file in files:
        first = stems.setdefault(file.stem.casefold(), file)  # some file systems ignore case
        if first is not file:
            raise CgbenchError(f"{first} and {file} would both become {file.stem}.png: rename one of them")
    return files


def output_paths(files: Sequence[Path], output: Path, run: Path) -> list[Path]:
    """Return the path of each file's translation in the folder `output`. A path that exists raises `CgbenchError`, and
    so does a folder inside the `run`."""
    if output.resolve().is_relative_to(run.resolve()):
        raise CgbenchError(f"--output {output} lies in the run, which is not to be changed: choose another folder")
    if output.exists() and not output.is_dir():
        raise CgbenchError(f"--output {output} is a file: name a folder")
    paths = [output / f"{file.stem}.png" for file in files]
    _ensure_free(paths)
    return paths


def _ensure_free(paths: Sequence[Path]) -> None:
    if taken := [path for path in paths if os.path.lexists(path)]:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise CgbenchError(f"{taken[0]}{more}: already there, and nothing is overwritten; choose another --output")


def translate(files: Sequence[Path], paths: Sequence[Path], translator: Translator) -> None:
    """Translate file k to path k, with the random numbers of test image k.

    All files are decoded into memory before the first is translated: one that cannot be used raises `DataBroken`
    before anything is written. Either all translations are written or, if it is stopped, none.
    """
    with progress("reading images") as update:
        images = _decode(files, translator, update)
    with progress(translator.title) as update:
        _write(translate_batches(translator.model, images, translator.direction), paths, update)


def _decode(files: Sequence[Path], translator: Translator, update: ProgressCallback) -> np.ndarray:
    """Return images prepared as the trial's test images are, uint8 (N, S, S, 3)."""
    side, resize_mode = translator.config.crop_size, translator.config.resize_mode
    images = np.empty((len(files), side, side, 3), np.uint8)
    for number, file in enumerate(files):
        images[number] = square(read_image(file), side, resize_mode, translator.blend)
        update(number + 1, len(files))
    return images


def _write(batches: Iterable[np.ndarray], paths: Sequence[Path], update: ProgressCallback) -> None:
    """Write batches of images, uint8 (n, S, S, 3), to `paths` of one folder: first into a temporary folder in it, from
    which they are moved when all are written."""
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
        _ensure_free(paths)  # another process may have written meanwhile
        for path in paths:
            (part / path.name).rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
