"""All figures of a report, drawn once: for the page, and as files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import pandas as pd

from cgbench.method import DIRECTIONS
from cgbench.metric import Value
from cgbench.reports import curves, figures, provenance
from cgbench.reports.comparison import Comparison
from cgbench.reports.drawing import Panel, styles
from cgbench.reports.rundata import Run, read_losses


@dataclass(frozen=True)
class Way:
    """The panels of one direction, and what the direction is called."""

    direction: str
    name: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Drawings:
    """The figures by what they show; a direction without panels is not there. `losses` belong to no direction."""

    forests: tuple[Way, ...]
    classes: tuple[Way, ...]
    steps: tuple[Way, ...]
    quality: tuple[Way, ...]
    dots: tuple[Way, ...]
    losses: tuple[Panel, ...]

    def panels(self) -> Iterator[Panel]:
        """Yield every panel."""
        for item in fields(self):
            for entry in getattr(self, item.name):
                yield from entry.panels if isinstance(entry, Way) else (entry,)

    def forest(self, direction: str) -> tuple[Panel, ...]:
        """Return the forest plots of a direction."""
        return next((way.panels for way in self.forests if way.direction == direction), ())


def drawings(
    run: Run, values: Mapping[str, Value], table: pd.DataFrame, comparison: Comparison | None, spent: pd.DataFrame
) -> Drawings:
    """Draw everything that a run has numbers for: `table` is its summary, `spent` are the costs of its trials."""
    looks = styles(run.order, run.roles)
    trained = {name: looks[name] for name in run.trained}

    def ways(draw) -> tuple[Way, ...]:
        found = [Way(way, run.dataset["directions"].get(way, way), tuple(draw(way))) for way in DIRECTIONS]
        return tuple(way for way in found if way.panels)

    return Drawings(
        forests=ways(lambda way: figures.forest_panels(comparison.rows, way, values, looks)) if comparison else (),
        classes=ways(lambda way: figures.class_panels(run.records, way, run.order, values)),
        steps=ways(lambda way: curves.step_panels(run.history, way, values, trained)),
        quality=ways(lambda way: curves.cost_panels(spent, table, way, values, looks)),
        dots=ways(lambda way: figures.dot_panels(run.records, table, way, values, looks)),
        losses=tuple(figures.loss_panels(read_losses(run.trials), provenance.term_names(run), looks)),
    )
