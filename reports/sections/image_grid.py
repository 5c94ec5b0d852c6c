"""The grid of translations: the same test images as rows, methods as columns, as data URIs with alternative texts."""

from dataclasses import dataclass

import numpy as np

from cgbench.api.method import DIRECTIONS
from cgbench.reports.formats.images import data_uri
from cgbench.results.run import UNTRAINED, Run, TrialResult

INPUT, TRUTH = "copy", "real"  # the untrained methods whose outputs are the sources and the true targets
ROWS = 8
BUDGET = 16_000_000  # bytes of PNG files on one page; beyond it, pictures are made smaller
SMALL_SIDE = 160


@dataclass(frozen=True)
class Picture:
    """One picture, or in its place a status text. `seed` is None where the picture is the same for all seeds."""

    seed: int | None
    uri: str
    alt: str
    status: str


@dataclass(frozen=True)
class Column:
    """A column of the grid: the method and how it is called there."""

    method: str
    label: str


@dataclass(frozen=True)
class Gallery:
    """The grid of one direction: `cells[row][column]` holds one picture per seed, or one for all seeds."""

    direction: str
    name: str
    keys: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: tuple[tuple[tuple[Picture, ...], ...], ...]


@dataclass(frozen=True)
class Galleries:
    """All grids of a page. `small` says that the pictures were made smaller to keep the page small."""

    grids: tuple[Gallery, ...]
    small: bool


def galleries(run: Run, rows: int = ROWS) -> Galleries:
    """Return the grids of all directions that have outputs, with `rows` test images spread evenly over the split.

    Pictures are the PNG files as they are. Where those exceed `BUDGET` bytes, all of them alike are reduced to
    `SMALL_SIDE` pixels and stored as WebP.
    """
    columns = _columns(run)
    keys = {direction: even_keys(_keys(run, direction), rows) for direction in DIRECTIONS}
    keys = {direction: chosen for direction, chosen in keys.items() if chosen}
    files = [
        trial.folder.output(direction, key)
        for direction, chosen in keys.items()
        for column in columns
        for trial in _shown(run, column.method)
        for key in chosen
    ]
    small = sum(path.stat().st_size for path in files if path.is_file()) > BUDGET
    names = run.dataset["directions"]
    grids = []
    for direction, chosen in keys.items():
        name = names.get(direction, direction)
        cells = tuple(tuple(_cell(run, column, direction, name, key, small) for column in columns) for key in chosen)
        grids.append(Gallery(direction, name, tuple(chosen), columns, cells))
    return Galleries(tuple(grids), small)


def even_keys(keys: list[str], count: int) -> list[str]:
    """Return at most `count` of the keys, evenly spaced from the first to the last: a choice that no score has made."""
    if len(keys) <= count:
        return keys
    return [keys[place] for place in np.linspace(0, len(keys) - 1, count).round().astype(int)]


def _columns(run: Run) -> tuple[Column, ...]:
    """Return the input, the trained methods, and the truth, as far as the run has them."""
    left = [Column(INPUT, "input")] if run.roles.get(INPUT) else []
    right = [Column(TRUTH, "ground truth")] if run.roles.get(TRUTH) else []
    return (*left, *(Column(name, name) for name in run.trained), *right)


def _keys(run: Run, direction: str) -> list[str]:
    """Return the names of all test images that some shown method has an output of, sorted."""
    methods = [column.method for column in _columns(run)]
    folders = [trial.folder.path / "outputs" / direction for name in methods for trial in _shown(run, name)]
    return sorted({path.stem for folder in folders for path in folder.glob("*.png")})


def _shown(run: Run, method: str) -> list[TrialResult]:
    """Return the trials whose pictures are shown: all of a trained method, one of an untrained."""
    trials = run.of(method)
    if run.roles[method] not in UNTRAINED:
        return trials
    return sorted(trials, key=lambda trial: trial.state != "done")[:1]


def _cell(run: Run, column: Column, direction: str, name: str, key: str, small: bool) -> tuple[Picture, ...]:
    """Return the pictures of one cell, one per seed of the run."""
    trials = _shown(run, column.method)
    if run.roles[column.method] in UNTRAINED:
        return tuple(_picture(trial, None, column, direction, name, key, small) for trial in trials)
    by_seed = {trial.seed: trial for trial in trials}
    return tuple(_picture(by_seed.get(seed), seed, column, direction, name, key, small) for seed in run.seeds)


def _picture(
    trial: TrialResult | None, seed: int | None, column: Column, direction: str, name: str, key: str, small: bool
) -> Picture:
    """Return one picture; where there is none, why."""
    which = "" if seed is None else f", seed {seed}"
    alt = f"{name}, {column.label}{which}, test image {key}"
    if trial is None or trial.state != "done":
        return Picture(seed, "", alt, trial.state if trial else "not started")
    path = trial.folder.output(direction, key)
    try:
        return Picture(seed, data_uri(path, SMALL_SIDE if small else 0), alt, "")
    except FileNotFoundError:
        return Picture(seed, "", alt, "no image")
    except (OSError, SyntaxError):
        return Picture(seed, "", alt, "unreadable image")
