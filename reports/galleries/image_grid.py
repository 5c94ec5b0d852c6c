"""The image grid: the same test images as rows, methods as columns, as data URIs with alternative texts."""

from dataclasses import dataclass

from cgbench.api.names import DIRECTIONS, TrialState
from cgbench.reports.formats.images import UnreadableImage, data_uri
from cgbench.results.run import SHOWN_ONCE, RunRecords, TrialResult
from cgbench.selection import evenly_spaced

INPUT, TRUTH = "copy", "real"  # the untrained methods whose outputs are the sources and the true targets
ROWS, FIRST_ROWS = 8, 4
BUDGET = 16_000_000  # bytes of PNG files on one page; beyond it, images are reduced
SMALL_SIDE = 160


@dataclass(frozen=True)
class GridImage:
    """One image, or a status text in its place. `seed` is None where the image is the same for all seeds."""

    seed: int | None
    uri: str
    alt: str
    status: str


@dataclass(frozen=True)
class Column:
    """A column of the grid: the method, and its label there."""

    method: str
    label: str


@dataclass(frozen=True)
class ImageGrid:
    """The grid of one direction: `cells[row][column]` holds one image per seed, or one for all seeds."""

    direction: str
    name: str
    keys: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: tuple[tuple[tuple[GridImage, ...], ...], ...]

    @property
    def first_rows(self) -> tuple[int, ...]:
        """The rows that a page shows at first, spread evenly as all are."""
        return tuple(evenly_spaced(len(self.keys), FIRST_ROWS))


@dataclass(frozen=True)
class ImageGrids:
    """All grids of a page. `small` is whether the images were reduced to keep the page small."""

    grids: tuple[ImageGrid, ...]
    small: bool


def image_grids(run: RunRecords, rows: int = ROWS) -> ImageGrids:
    """Return the grids of all directions that have outputs, with `rows` test images spread evenly over the split.

    Images are the unchanged PNG files. Where those exceed `BUDGET` bytes together, all of them are reduced to
    `SMALL_SIDE` pixels and stored as WebP.
    """
    columns = _columns(run)
    keys = {direction: even_keys(_keys(run, direction), rows) for direction in DIRECTIONS}
    keys = {direction: shown for direction, shown in keys.items() if shown}
    files = [
        trial.folder.output(direction, key)
        for direction, shown in keys.items()
        for column in columns
        for trial in _shown(run, column.method)
        for key in shown
    ]
    small = sum(path.stat().st_size for path in files if path.is_file()) > BUDGET
    names = run.dataset["directions"]
    grids = []
    for direction, shown in keys.items():
        name = names.get(direction, direction)
        cells = tuple(tuple(_cell(run, column, direction, name, key, small) for column in columns) for key in shown)
        grids.append(ImageGrid(direction, name, tuple(shown), columns, cells))
    return ImageGrids(tuple(grids), small)


def even_keys(keys: list[str], count: int) -> list[str]:
    """Return at most `count` of the keys, evenly spaced from the first to the last, so independent of any score."""
    return [keys[index] for index in evenly_spaced(len(keys), count)]


def _columns(run: RunRecords) -> tuple[Column, ...]:
    """Return the columns of the input, the trained methods, other programs and the ground truth, as far as the run has
    them."""
    first = [Column(INPUT, "input")] if run.roles.get(INPUT) else []
    last = [Column(TRUTH, "ground truth")] if run.roles.get(TRUTH) else []
    external = [Column(name, f"{name} (external)") for name in run.external]
    return (*first, *(Column(name, name) for name in run.trained), *external, *last)


def _keys(run: RunRecords, direction: str) -> list[str]:
    """Return the sorted keys of all test images that any shown method has an output of."""
    methods = [column.method for column in _columns(run)]
    folders = [trial.folder.path / "outputs" / direction for name in methods for trial in _shown(run, name)]
    return sorted({path.stem for folder in folders for path in folder.glob("*.png")})


def _shown(run: RunRecords, method: str) -> list[TrialResult]:
    """Return the trials whose images are shown: all of a trained method, else one."""
    trials = run.trials_of(method)
    if run.roles[method] not in SHOWN_ONCE:
        return trials
    return sorted(trials, key=lambda trial: trial.state != TrialState.DONE)[:1]


def _cell(run: RunRecords, column: Column, direction: str, name: str, key: str, small: bool) -> tuple[GridImage, ...]:
    """Return the images of one cell, one per seed of the run."""
    trials = _shown(run, column.method)
    if run.roles[column.method] in SHOWN_ONCE:
        return tuple(_grid_image(trial, None, column, direction, name, key, small) for trial in trials)
    by_seed = {trial.seed: trial for trial in trials}
    return tuple(_grid_image(by_seed.get(seed), seed, column, direction, name, key, small) for seed in run.seeds)


def _grid_image(
    trial: TrialResult | None, seed: int | None, column: Column, direction: str, name: str, key: str, small: bool
) -> GridImage:
    """Return one image, or the reason why there is none."""
    seed_text = "" if seed is None else f", seed {seed}"
    alt = f"{name}, {column.label}{seed_text}, test image {key}"
    if trial is None or trial.state != TrialState.DONE:
        return GridImage(seed, "", alt, trial.state if trial else "not started")
    path = trial.folder.output(direction, key)
    try:
        return GridImage(seed, data_uri(path, SMALL_SIDE if small else 0), alt, "")
    except FileNotFoundError:
        return GridImage(seed, "", alt, "no image")
    except UnreadableImage:
        return GridImage(seed, "", alt, "unreadable image")
