"""All figures of a report, drawn once: for the page, and as files."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields

from cgbench.api.method import DIRECTIONS
from cgbench.reports.contents import ReportContents
from cgbench.reports.figures import curves
from cgbench.reports.figures.differences import forest_panels
from cgbench.reports.figures.heatmaps import class_panels, failure_panel
from cgbench.reports.figures.losses import loss_panels, read_losses
from cgbench.reports.figures.seed_scores import dot_panels
from cgbench.reports.figures.style import Panel, styles
from cgbench.reports.sections import provenance


@dataclass(frozen=True)
class DirectionPanels:
    """The panels of one direction, and what the direction is called."""

    direction: str
    name: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class FigureSet:
    """The figures by what they show; a direction without panels is not there. `losses` belong to no direction."""

    forests: tuple[DirectionPanels, ...]
    classes: tuple[DirectionPanels, ...]
    failures: tuple[DirectionPanels, ...]
    steps: tuple[DirectionPanels, ...]
    quality: tuple[DirectionPanels, ...]
    dots: tuple[DirectionPanels, ...]
    losses: tuple[Panel, ...]

    def panels(self) -> Iterator[Panel]:
        """Yield every panel."""
        for item in fields(self):
            for entry in getattr(self, item.name):
                yield from entry.panels if isinstance(entry, DirectionPanels) else (entry,)

    def of(self, kind: str, direction: str) -> tuple[Panel, ...]:
        """Return the panels of a kind, such as "forests", in one direction."""
        return next((way.panels for way in getattr(self, kind) if way.direction == direction), ())


def draw_figures(found: ReportContents) -> FigureSet:
    """Draw everything that a run has numbers for."""
    run, values, table = found.run, found.values, found.table
    looks = styles(run.order, run.roles)
    trained = {name: looks[name] for name in run.trained}

    def ways(draw: Callable[[str], Iterable[Panel]]) -> tuple[DirectionPanels, ...]:
        drawn = [DirectionPanels(way, found.names.get(way, way), tuple(draw(way))) for way in DIRECTIONS]
        return tuple(way for way in drawn if way.panels)

    return FigureSet(
        forests=ways(lambda way: forest_panels(found.comparison.rows, way, values, looks)) if found.comparison else (),
        classes=ways(lambda way: class_panels(run.records, way, run.order, values)),
        failures=ways(lambda way: _failure_panels(found, way)),
        steps=ways(lambda way: curves.step_panels(run.history, way, values, trained)),
        quality=ways(lambda way: curves.cost_panels(found.spent, table, way, values, looks)),
        dots=ways(lambda way: dot_panels(run.records, table, way, values, looks)),
        losses=tuple(loss_panels(read_losses(run.trials), provenance.term_names(run), looks)),
    )


def _failure_panels(found: ReportContents, direction: str) -> list[Panel]:
    here = found.failures[found.failures["direction"] == direction]
    labels = {name: entry["label"] for name, entry in found.about.items()}
    panel = failure_panel(here, labels, direction, found.run.order) if len(here) else None
    return [panel] if panel else []
