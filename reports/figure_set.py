"""The figures of a report, drawn once for the page and for files."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from cgbench.api.names import DIRECTIONS
from cgbench.reports.contents import ReportContents
from cgbench.reports.figures import curves
from cgbench.reports.figures.differences import forest_panels
from cgbench.reports.figures.heatmaps import class_panels, failure_panel
from cgbench.reports.figures.losses import loss_panels, read_losses
from cgbench.reports.figures.pictures import picture_panel
from cgbench.reports.figures.ranking import ranking_panel
from cgbench.reports.figures.seed_scores import dot_panels
from cgbench.reports.figures.style import Panel, Style, assign_styles
from cgbench.reports.formats.numbers import declared
from cgbench.reports.galleries.difference_maps import difference_table
from cgbench.reports.galleries.orthogonal_views import view_tables
from cgbench.reports.galleries.stored_numbers import StoredNumbers
from cgbench.reports.sections import provenance
from cgbench.reports.sections.differences import Basis
from cgbench.reports.sections.failures import labels_of


@dataclass(frozen=True)
class DirectionPanels:
    """The panels of one direction; `name` is the direction's display name."""

    direction: str
    name: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class FigureSet:
    """The figures by kind and direction, directions without panels left out. `losses` belong to no direction.

    `rankings` are of the number that methods are judged by, each with its panel against the cost; `quality` are the
    panels of other numbers against the cost.
    """

    rankings: tuple[DirectionPanels, ...]
    forests: tuple[DirectionPanels, ...]
    classes: tuple[DirectionPanels, ...]
    failures: tuple[DirectionPanels, ...]
    steps: tuple[DirectionPanels, ...]
    quality: tuple[DirectionPanels, ...]
    dots: tuple[DirectionPanels, ...]
    maps: tuple[DirectionPanels, ...]
    views: tuple[DirectionPanels, ...]
    losses: tuple[Panel, ...]

    def panels(self) -> Iterator[Panel]:
        """Yield every panel."""
        for item in fields(self):
            for entry in getattr(self, item.name):
                yield from entry.panels if isinstance(entry, DirectionPanels) else (entry,)

    def panels_of(self, kind: str, direction: str) -> tuple[Panel, ...]:
        """Return the panels of a kind, such as "forests", in one direction."""
        return next((group.panels for group in getattr(self, kind) if group.direction == direction), ())


def draw_figures(contents: ReportContents) -> FigureSet:
    """Draw all figures that a run has numbers for."""
    run, values, table = contents.run, contents.values_in_units, contents.table
    styles = assign_styles(run.order, run.roles)
    trained = {name: styles[name] for name in run.trained}
    numbers = StoredNumbers(run)

    quality = {name: _quality_panels(contents, name, styles) for name in DIRECTIONS}

    def draw(panels: Callable[[str], Iterable[Panel]]) -> tuple[DirectionPanels, ...]:
        groups = [DirectionPanels(name, contents.names.get(name, name), tuple(panels(name))) for name in DIRECTIONS]
        return tuple(group for group in groups if group.panels)

    return FigureSet(
        rankings=draw(lambda direction: _ranking_panels(contents, direction, styles, quality[direction])),
        forests=draw(lambda direction: _forest_panels(contents, direction, styles)),
        classes=draw(lambda direction: class_panels(run.records, direction, run.order, values(direction))),
        failures=draw(lambda direction: _failure_panels(contents, direction)),
        steps=draw(lambda direction: curves.step_panels(run.history, direction, values(direction), trained)),
        quality=draw(lambda direction: _without(quality[direction], contents.primary.get(direction))),
        dots=draw(lambda direction: dot_panels(run.records, table, direction, values(direction), styles)),
        maps=draw(lambda direction: _map_panels(numbers, direction)),
        views=draw(lambda direction: [picture_panel(table, direction) for table in view_tables(numbers, direction)]),
        losses=tuple(loss_panels(read_losses(run.trials), provenance.term_names(run), styles)),
    )


def _ranking_panels(
    contents: ReportContents, direction: str, styles: Mapping[str, Style], quality: Mapping[str, Panel]
) -> list[Panel]:
    """Return the panels of the number that methods are judged by in a direction, the second from `quality`; none where
    no such number is declared or measured."""
    metric, comparison, decided = contents.primary.get(direction, ""), contents.comparison, set[str]()
    if comparison is not None and comparison.basis == Basis.SEEDS:
        found = comparison.better() | comparison.worse()
        decided = {method for method in comparison.methods if (direction, method, metric) in found}
        decided.add(comparison.reference)
    value = declared(contents.values_in_units(direction), metric)
    panel = ranking_panel(contents.table, contents.run.records, direction, value, styles, decided) if metric else None
    return [panel, *(quality[name] for name in quality if name == metric)] if panel else []


def _without(panels: Mapping[str, Panel], metric: str | None) -> list[Panel]:
    return [panel for name, panel in panels.items() if name != metric]


def _forest_panels(contents: ReportContents, direction: str, styles: Mapping[str, Style]) -> list[Panel]:
    if contents.comparison is None:
        return []
    return forest_panels(contents.comparison.rows, direction, contents.values_in_units(direction), styles)


def _quality_panels(contents: ReportContents, direction: str, styles: Mapping[str, Style]) -> dict[str, Panel]:
    values, primary = contents.values_in_units(direction), contents.primary.get(direction, "")
    return curves.cost_panels(contents.costs, contents.table, direction, values, styles, primary)


def _failure_panels(contents: ReportContents, direction: str) -> list[Panel]:
    rows = contents.failures[contents.failures["direction"] == direction]
    labels = labels_of(contents.failure_definitions)
    panel = failure_panel(rows, labels, direction, contents.run.order) if len(rows) else None
    return [panel] if panel else []


def _map_panels(numbers: StoredNumbers, direction: str) -> list[Panel]:
    table = difference_table(numbers, direction)
    return [picture_panel(table, direction)] if table else []
