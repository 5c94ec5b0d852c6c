"""Translation of the user's own image files by a finished trial; the run is read only, its dataset not at all."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.api.graph_analysis import live, one_way
from cgbench.api.names import Role
from cgbench.benchmarks.data.conversion import signed_batch, to_stored
from cgbench.benchmarks.data.lossless_files import suffix, write_all
from cgbench.benchmarks.data.output_paths import ensure_free, ensure_outside
from cgbench.benchmarks.evaluation.inference import BATCH_PIXELS
from cgbench.benchmarks.execution.reevaluation import is_finished, load_trial, load_weights
from cgbench.benchmarks.runtime.progress import console, progress
from cgbench.benchmarks.training.checkpoint import recorded_checkpoint_metadata
from cgbench.benchmarks.trials.external_method import is_external
from cgbench.benchmarks.trials.trial import Trial
from cgbench.config import TrialConfig
from cgbench.datasets.images import stored
from cgbench.datasets.images.decoding import EXTENSIONS, image_files, read_image
from cgbench.datasets.images.resizing import resized
from cgbench.datasets.volume_files.settings_file import Slicing, recorded_slicing
from cgbench.errors import CgbenchError, DataBroken, Diverged
from cgbench.formatting import plural
from cgbench.methods.blocks.model import Model
from cgbench.methods.blocks.whole_images import MAX_PIXELS, padded_size, size_multiple, translate_whole
from cgbench.pixel_format import RGB8, PixelFormat, outside_counts, recorded_format
from cgbench.progress import ProgressCallback
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder

NOT_TRAINED = (Role.FLOOR, Role.CEILING, Role.EXTERNAL)
StoredTrial = tuple[TrialFolder, dict[str, Any]]  # a trial's folder and its record


@dataclass(frozen=True)
class Translator:
    """A trial that translates: its model with the weights of `step`, its title, whether resizing may `blend` the pixels
    of input images, and the formats of inputs (`source`) and outputs (`target`). `slicing` says how volumes became the
    images that it was trained on, where they did."""

    model: Model
    direction: str
    config: TrialConfig
    blend: bool
    step: int
    title: str
    source: PixelFormat = RGB8
    target: PixelFormat = RGB8
    slicing: Slicing | None = None


@dataclass(frozen=True)
class Size:
    """The size of translations: `own`, that of the image, or else of the trial's test images. Above `max_pixels` an
    image is translated in tiles, normalised by statistics of the whole image where `exact` (`translate_whole`)."""

    own: bool = True
    max_pixels: int = MAX_PIXELS
    exact: bool = True


def choose_trial(folders: Sequence[TrialFolder], selection: Mapping[str, Any]) -> StoredTrial:
    """Return the only finished trained trial that fits `selection`: values of `method`, `seed` and `dataset`, each None
    for any. None or several of them raise `CgbenchError`, which names the candidates."""
    stored = [(folder, read_trial(folder)) for folder in folders]
    trained = [entry for entry in stored if entry[1]["method"].get("role") not in NOT_TRAINED]
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
    for entry in (entry for entry in stored if entry not in trained):
        if _names(entry)["method"] == selection.get("method"):
            row = "holds outputs of another program" if is_external(entry[1]) else "is an untrained row of the tables"
            raise CgbenchError(f"'{selection['method']}' {row}; there is {_listed(finished)}")
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
        source, target = (
            recorded_format(dataset["domains"]["AB".index(letter)].get("pixels"))
            for letter in (direction[0], direction[-1])
        )
        slicing = recorded_slicing(dataset, direction[0])
    except (KeyError, TypeError, IndexError):
        raise CgbenchError(f"{folder.trial} was written by another version: it does not describe its dataset") from None
    model = translating_model(trial, direction, device)
    step = load_weights(model, path, record, metadata)
    title = f"{name}, seed {trial.seed}, {dataset['directions'].get(direction, direction)}"
    return Translator(model, direction, trial.config, blend, step, title, source, target, slicing)


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


def input_images(paths: Sequence[Path], translator: Translator) -> list[Path]:
    """Return the image files of `paths`, files or folders, each once, sorted by name. A folder without an image file
    raises `CgbenchError`, and so do two files whose translations would have one name."""
    files: list[Path] = []
    for path in paths:
        images = image_files(path, extensions(translator.source)) if path.is_dir() else [path]
        if not images:
            raise CgbenchError(f"{path} holds no image file ({', '.join(extensions(translator.source))})")
        files += images
    return each_once(files, lambda file: f"{file.stem}{suffix(translator.target)}")


def each_once(files: Iterable[Path], output_name: Callable[[Path], str]) -> list[Path]:
    """Return files or folders, each once, sorted by name. Two whose translations have one name raise `CgbenchError`."""
    chosen = sorted({os.path.abspath(file): file for file in files}.values(), key=lambda file: file.name)
    names: dict[str, Path] = {}
    for file in chosen:
        first = names.setdefault(output_name(file).casefold(), file)  # some file systems ignore case
        if first is not file:
            raise CgbenchError(f"{first} and {file} would both become {output_name(file)}: rename one of them")
    return chosen


def extensions(pixels: PixelFormat) -> Sequence[str]:
    """Return the extensions of files that may hold a format."""
    return EXTENSIONS if pixels.is_rgb8 else stored.EXTENSIONS


def output_paths(files: Sequence[Path], output: Path, run: Path, translator: Translator) -> list[Path]:
    """Return the path of each file's translation in the folder `output`. A path that exists raises `CgbenchError`, and
    so does a folder inside the `run`."""
    return free_paths([f"{file.stem}{suffix(translator.target)}" for file in files], output, run)


def free_paths(names: Iterable[str], output: Path, run: Path) -> list[Path]:
    """Return the path of each name in the folder `output`; one that exists, or a folder in the `run`, raises."""
    ensure_outside(output, run)
    if output.exists() and not output.is_dir():
        raise CgbenchError(f"--output {output} is a file: name a folder")
    paths = [output / name for name in names]
    ensure_free(paths)
    return paths


def translate(files: Sequence[Path], paths: Sequence[Path], translator: Translator, size: Size) -> None:
    """Translate file k to path k, with the random numbers of test image k.

    All files are decoded before the first is translated, and again for their translation: memory holds a batch of them,
    and one that cannot be used raises `DataBroken` before anything is written. Either all translations are written or,
    if it is stopped, none. How many numbers lie outside of the window is said in one line.
    """
    if size.own and size_multiple(translator.model, translator.direction) is None:
        name, (height, width) = translator.model.method.name, translator.config.crop_shape
        raise CgbenchError(f"{name} renders images of {height}×{width} pixels only, its crop size: use --size crop")
    with progress("checking images") as update:
        check(_images(files, translator, size, update), translator, size)
    with progress(translator.title) as update:
        images = (_read(file, translator, size) for file in files)
        write_all(translations(images, translator, size), paths, translator.target, update)


def _images(
    files: Sequence[Path], translator: Translator, size: Size, update: ProgressCallback
) -> Iterator[np.ndarray]:
    for number, file in enumerate(files):
        yield _read(file, translator, size)
        update(number + 1, len(files))


def check(images: Iterable[np.ndarray], translator: Translator, size: Size, name: str = "image") -> None:
    """Say how many numbers of images (H, W, C), each called `name`, the window cuts off, and how many need tiles."""
    multiple = size_multiple(translator.model, translator.direction)
    count = numbers = affected = tiled = 0
    for image in images:
        count += 1
        if not translator.source.is_rgb8:
            outside = sum(outside_counts(image, translator.source))
            numbers, affected = numbers + outside, affected + bool(outside)
        tiled += multiple is not None and _pixels(image, multiple) > size.max_pixels
    if numbers:
        low, high = translator.source.ends
        what = f"{numbers:,} numbers of {plural(affected, name)} lie outside of the window {low:g} to {high:g}"
        console.print(f"{what}: the network sees its ends instead", style="yellow")
    if tiled:
        statistics = "the whole image's" if size.exact else "each tile's own"
        console.print(f"{tiled} of {plural(count, name)} in tiles, normalised by {statistics} statistics")


def _read(file: Path, translator: Translator, size: Size) -> np.ndarray:
    """Return an image of the source's format, (H, W, C), at the size in which it is translated."""
    source = translator.source
    image = read_image(file) if source.is_rgb8 else stored.read_stored(file)
    channels, dtype = image.shape[2], image.dtype.name
    if (channels, dtype) != (source.channels, source.dtype):
        found = f"{plural(channels, 'band')} of {dtype}"
        expected = f"{plural(source.channels, 'band')} of {source.dtype}"
        raise DataBroken(f"{file}: holds {found}, but the network was trained on {expected}: convert it")
    if size.own:
        return image
    return resized(image, translator.config.crop_shape, translator.config.resize_mode, translator.blend)


def _pixels(image: np.ndarray, multiple: int | None) -> int:
    """Return the pixels of an image (H, W, C) as the network sees it."""
    height, width = image.shape[:2]
    return prod(padded_size(height, width, multiple) if multiple else (height, width))


def translations(
    images: Iterable[np.ndarray], translator: Translator, size: Size, first: int = 0
) -> Iterator[np.ndarray]:
    """Yield batches (N, H, W, D) of translations of images (H, W, C), in the target's format. `first` is the number of
    the first image, by which its random numbers are drawn; a translation that is not finite raises `Diverged`."""
    multiple = size_multiple(translator.model, translator.direction)
    for batch in _batches(images, size, multiple):
        yield _outputs(first, batch, translator, size, multiple)
        first += len(batch)


def _batches(images: Iterable[np.ndarray], size: Size, multiple: int | None) -> Iterator[np.ndarray]:
    """Yield batches of neighbouring images that have one shape."""
    batch: list[np.ndarray] = []
    for image in images:
        most = (min(BATCH_PIXELS, size.max_pixels) if multiple else BATCH_PIXELS) // _pixels(image, multiple)
        if batch and (image.shape != batch[0].shape or len(batch) >= most):
            yield np.stack(batch)
            batch = []
        batch.append(image)
    if batch:
        yield np.stack(batch)


def _outputs(first: int, images: np.ndarray, translator: Translator, size: Size, multiple: int | None) -> np.ndarray:
    """Return translations (N, H, W, D) of images (N, H, W, C) from number `first` on; infinite ones raise."""
    model, direction = translator.model, translator.direction
    signed = signed_batch(images, translator.source, model.device)
    run = partial(model.translate, direction=direction, first_image=first)
    if multiple is None:
        output = run(signed)
    else:
        output = translate_whole(run, signed, multiple, max_pixels=size.max_pixels, exact=size.exact)
    if broken := int((~output.isfinite().flatten(1).all(1)).sum()):
        raise Diverged(f"{broken} of {len(images)} translations {direction} are infinite or not a number: train anew")
    return to_stored(output, translator.target)
