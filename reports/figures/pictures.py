"""Pictures in stored numbers: a table of images, each with the colour bar of its scale in units."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cgbench.formatting import shortened
from cgbench.reports.figures.style import RC, Panel, as_panel
from cgbench.reports.formats.picture_table import DIVERGING, Picture, PictureTable, Scale

WIDTH = 8.0  # inches of the whole figure
CELL = 1.6  # of a picture, at most
GAP, TITLE, CAPTION, BAR = 0.08, 0.22, 0.2, 0.5  # inches
LONGEST_LABEL = 28
CHARACTER = 0.065  # inches of a row's label, a character
SIDE = 256  # pixels; larger pictures are thinned by whole steps


def picture_panel(table: PictureTable, subject: str) -> Panel:
    """Return a table of pictures as a panel; `subject` begins its text alternative.

    All places are set by hand: constrained layout solves so many axes to other last digits each time.
    """
    labels = [shortened(name, LONGEST_LABEL) for name in table.rows]
    left = 0.15 + CHARACTER * max(map(len, labels))
    cell = min(CELL, (WIDTH - left) / len(table.columns) - GAP)
    heights = [_height(row) * cell + CAPTION * _has_caption(row) + GAP for row in table.cells]
    tall = TITLE + sum(heights) + BAR
    with matplotlib.rc_context({**RC, "svg.hashsalt": table.name}):
        figure = Figure(figsize=(WIDTH, tall))
        top = tall - TITLE
        for row, (label, cells) in enumerate(zip(labels, table.cells, strict=True)):
            high = _height(cells) * cell
            figure.text((left - 0.08) / WIDTH, (top - high / 2) / tall, label, ha="right", va="center", fontsize=7)
            for column, item in enumerate(cells):
                x = left + column * (cell + GAP)
                axes = figure.add_axes((x / WIDTH, (top - high) / tall, cell / WIDTH, high / tall))
                _draw(axes, item, table)
            top -= heights[row]
        for column, name in enumerate(table.columns):
            x = left + column * (cell + GAP) + cell / 2
            figure.text(x / WIDTH, 1 - 0.06 / tall, name, ha="center", va="top", fontsize=8)
        _draw_bars(figure, list(table.scales.values()), left, tall)
        windows = "; ".join(f"{scale.label}: {scale.low:g} to {scale.high:g}" for scale in table.scales.values())
        alt = f"{subject}, {table.title}: {', '.join(table.rows)}; {windows}"
        return as_panel(figure, table.title, table.name, alt, table.note)


def _height(row: Sequence[Picture | str]) -> float:
    """Return the height of a row's pictures over their width."""
    shapes = [item.shape for item in row if isinstance(item, Picture)]
    return max((height / width for height, width in shapes), default=0.2)


def _has_caption(row: Sequence[Picture | str]) -> bool:
    return any(isinstance(item, Picture) and item.caption for item in row)


def _draw(axes: Axes, item: Picture | str, table: PictureTable) -> None:
    axes.set(xticks=[], yticks=[])
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if isinstance(item, str):
        axes.text(0.5, 0.5, item, ha="center", va="center", fontsize=7, transform=axes.transAxes)
        return
    step = max(1, -(-max(item.numbers.shape) // SIDE))
    colours = _colours(item.numbers[::step, ::step], table.scales[item.scale])
    axes.imshow(colours, aspect=item.aspect, interpolation="none")
    axes.set_xlabel(item.caption, fontsize=7, labelpad=2)


def _colours(numbers: np.ndarray, scale: Scale) -> np.ndarray:
    """Return numbers as 8-bit RGB by their scale; a number that is not finite is its low end."""
    finite = np.nan_to_num(numbers.astype(np.float64), nan=scale.low)
    share = ((finite - scale.low) / (scale.high - scale.low)).clip(0, 1)
    colours = matplotlib.colormaps[DIVERGING if scale.diverging else "gray"](share)[..., :3]
    return (255 * colours).round().astype(np.uint8)


def _draw_bars(figure: Figure, scales: Sequence[Scale], left: float, tall: float) -> None:
    """Draw a colour bar with its ends in units for each scale, side by side below the pictures."""
    wide = min(2.4, (WIDTH - left) / len(scales) - 0.3)
    for place, scale in enumerate(scales):
        axes = figure.add_axes(((left + place * (wide + 0.3)) / WIDTH, (BAR - 0.13) / tall, wide / WIDTH, 0.1 / tall))
        levels = np.linspace(scale.low, scale.high, 256)[None]
        axes.imshow(
            _colours(levels, scale), aspect="auto", interpolation="none", extent=(scale.low, scale.high, 0, 1)
        )  # fmt: skip
        middle = (scale.low + scale.high) / 2
        axes.set_yticks([])
        axes.set_xticks([scale.low, middle, scale.high], [f"{end:g}" for end in (scale.low, middle, scale.high)])
        first, _, last = axes.get_xticklabels()
        first.set_horizontalalignment("left")  # else numbers of neighbouring bars touch
        last.set_horizontalalignment("right")
        axes.tick_params(labelsize=7, pad=1, length=2)
        axes.set_xlabel(scale.label, fontsize=7, labelpad=1)
