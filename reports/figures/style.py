"""Figure style: colours and dashes of methods, empty panels, and their output as SVG and PNG.

In SVG the background is transparent and the ink is `currentColor`, so that a panel fits a light page and a dark one.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from cgbench.results.run import UNTRAINED

# From a search: contrast of 3:1 on white and on the dark page, and far apart for the three kinds of colour blindness.
PALETTE = ("#5064a0", "#c82864", "#14a0a0", "#b48c00", "#a000f0", "#a05028", "#a078f0")
DASHES = ("", (4, 1.5), (1, 1.2))
REFERENCE_COLOUR = "#858585"
INK = "#7f7f7e"  # stands for currentColor until the SVG is written; no colour above equals it
RC: dict[Any, Any] = {  # of matplotlib, whose types list every key
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar sign in a name starts no formula
    "font.size": 8,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": INK,
    "grid.alpha": 0.18,
    "grid.linewidth": 0.6,
}
PANEL_WIDTH = 3.7  # inches
PAPER_INK = "#1a1d21"  # of PNG files, on white
DOTS_PER_INCH = 200


@dataclass(frozen=True)
class Style:
    """The style of a method in all figures: a colour, and a dash pattern once the colours are used up."""

    colour: str
    dash: str | tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """One figure: its title, the SVG element, a file name, and a note where something is cut off."""

    title: str
    svg: str
    name: str
    figure: Figure
    note: str = ""

    @property
    def anchor(self) -> str:
        """The panel's name as it stands in ids."""
        return _identifier(self.name)

    def on_white(self) -> Figure:
        """Return the figure with dark ink, for a white page; it stays so."""
        _set_ink(self.figure, PAPER_INK)
        return self.figure

    def png(self) -> bytes:
        """Return the figure as a PNG file with dark ink on white."""
        with matplotlib.rc_context(RC):
            self.on_white()
            buffer = io.BytesIO()
            self.figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
            _set_ink(self.figure, INK)
        return buffer.getvalue()


def assign_styles(order: Sequence[str], roles: Mapping[str, str]) -> dict[str, Style]:
    """Return the fixed style of each method: untrained rows are grey, trained ones go through the palette in order."""
    trained = [name for name in order if roles.get(name, "") not in UNTRAINED]
    styles = {name: Style(REFERENCE_COLOUR, "") for name in order}
    for index, name in enumerate(trained):
        cycle, colour = divmod(index, len(PALETTE))
        styles[name] = Style(PALETTE[colour], DASHES[cycle % len(DASHES)])
    return styles


def as_panel(figure: Figure, title: str, name: str, alt: str, note: str = "") -> Panel:
    """Return a figure as a panel; to be called within the `RC` context that the figure was drawn in.

    Args:
        figure: The finished figure.
        title: The panel's title on the page.
        name: The panel's name: the file name, and the prefix of its SVG ids.
        alt: The text alternative.
        note: A remark below the panel, "" for none.

    Returns:
        The panel, with its SVG.
    """
    _arrange(figure)
    return Panel(title, _svg(figure, name, alt), name, figure, note)


def new_panel(height: float) -> tuple[Figure, Axes]:
    """Return an empty panel of `height` inches; not by pyplot, which would keep every figure in memory."""
    figure = Figure(figsize=(PANEL_WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _arrange(figure: Figure) -> None:
    """Lay the figure out once, as an SVG; with a layout engine, every `savefig` would first draw it for nothing."""
    FigureCanvasSVG(figure)  # whose texts the layout then measures
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def _svg(figure: Figure, name: str, alt: str) -> str:
    """Return the figure as an SVG element whose ids are its own on a page, with `alt` as its text alternative."""
    buffer = io.StringIO()
    no_metadata = dict.fromkeys(["Date", "Creator", "Format", "Type"])
    figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    text = buffer.getvalue()
    text = text[text.index("<svg ") :].rstrip()
    text = re.sub(
        r"<style type=\"text/css\">.*?</style>", "", text, count=1, flags=re.DOTALL
    )  # would apply to the whole page
    prefix = _identifier(name)
    text = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    text = re.sub(re.escape(INK), "currentColor", text, flags=re.IGNORECASE)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)


def _identifier(name: str) -> str:
    """Return a name with what ids do not hold replaced."""
    return re.sub(r"[^\w-]+", "-", name)


def _set_ink(figure: Figure, colour: str) -> None:
    """Set the colour of all texts, lines and edges that are drawn in `INK` or `PAPER_INK`."""
    for artist in figure.findobj():
        if isinstance(artist, Text | Line2D) and _is_ink(artist.get_color()):
            artist.set_color(colour)
        elif isinstance(artist, Patch) and _is_ink(artist.get_edgecolor()):
            artist.set_edgecolor(colour)


def _is_ink(colour: Any) -> bool:
    return to_rgba(colour) in (to_rgba(INK), to_rgba(PAPER_INK))
