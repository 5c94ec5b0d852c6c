"""A run, read from its folder: numbers as tables, differences, losses, images, figures, and trained generators."""

from __future__ import annotations

from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cgbench.api.metric import Value
from cgbench.api.names import Analysis, TrialState
from cgbench.api.registry import metric_values
from cgbench.errors import CgbenchError, did_you_mean
from cgbench.reports.contents import ReportContents, contents_of, title, warnings
from cgbench.reports.galleries.image_grid import INPUT, TRUTH
from cgbench.results.record_files import read_step_rows
from cgbench.results.run import TrialResult, read_run
from cgbench.results.run_folder import TrialFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cgbench.benchmarks.interface.generator import Generator

IMAGES = {"outputs": "", "sources": INPUT, "targets": TRUTH}


class Run:
    """A run of one dataset in the folder `path`, read once: what is written later is in another `Run` of it.
    In a notebook it shows its scores."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.data = read_run(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}): {title(self.data)}"

    def _repr_html_(self) -> str:
        lines = [*warnings(self.data), *self._contents.headlines()]
        parts = [f"<p><b>{escape(self.data.path.name)}</b>: {escape(title(self.data))}.</p>"]
        parts += [f"<p>{escape(line)}</p>" for line in lines]
        for table in self._contents.layout():
            heads = "".join(f"<th>{escape(text)}</th>" for text in ("method", *table.headers))
            rows = "".join(
                f"<tr><th>{escape(row.label)}</th>{''.join(f'<td>{escape(cell.text)}</td>' for cell in row.cells)}</tr>"
                for row in table.rows
            )
            parts.append(
                f"<p>{escape(table.name)}</p><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
            )
        return "".join(parts)

    @cached_property
    def _values(self) -> dict[str, Value]:
        return dict(metric_values())

    @cached_property
    def _contents(self) -> ReportContents:
        return contents_of(self.data, self._values)

    @property
    def methods(self) -> list[str]:
        """The methods in the order of tables, untrained rows among them."""
        return list(self.data.order)

    @property
    def seeds(self) -> list[int]:
        """The seeds of the trained methods."""
        return list(self.data.seeds)

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial: method, seed, state, steps, seconds of training, the reason where it is not done, and the
        digest of all that decides it."""
        rows = [
            {"method": trial.method, "seed": trial.seed, "state": trial.state, "steps": trial.status.get("step", 0),
             "seconds": trial.status.get("seconds"), "reason": trial.status.get("reason", ""),
             "digest": trial.spec["digest"]}
            for trial in self.data.trials
        ]  # fmt: skip
        return pd.DataFrame(rows)

    @property
    def failed(self) -> pd.DataFrame:
        """The rows of `trials` that are not done."""
        return self.trials[self.trials["state"] != TrialState.DONE].reset_index(drop=True)

    @property
    def records(self) -> pd.DataFrame:
        """One row per number of the test images at the last step: dataset, method, seed, direction, metric, value, the
        digest of its protocol, and the metric's label, unit and what is `preferred` ("higher", "lower" or "")."""
        measured = self.data.records[self.data.records["metric"] != ""]
        return self._declared(measured.reset_index(drop=True))

    @property
    def history(self) -> pd.DataFrame:
        """The same of test and validation images at every step that was measured."""
        return self._declared(self.data.history)

    @property
    def protocols(self) -> dict[str, Any]:
        """The conditions of measurement by the digest of the protocol."""
        return self.data.protocols()

    def scores(self) -> pd.DataFrame:
        """Return one row per direction, method and metric: mean and standard deviation over seeds (`spread`), Student's
        interval of the mean (`low`, `high`), the numbers of seeds and images, and label, unit and what is preferred."""
        table = self._contents.table
        return self._declared(table[table["metric"] != ""].reset_index(drop=True))

    def differences(self, reference: str = "", analysis: str = Analysis.BAND) -> pd.DataFrame:
        """Return the differences of the methods from a reference, by default cyclegan or the first one: one row per
        direction, metric, basis and method, with interval, p-value and whether it is surely better or worse.

        They are those of the report (`cgbench report --reference --analysis`): "band", "welch" or "paired". Fewer than
        two trained methods, or an unknown reference, raise `CgbenchError`.
        """
        if analysis not in set(Analysis):
            raise CgbenchError(f"unknown analysis '{analysis}': {did_you_mean(analysis, [*Analysis])}")
        contents = contents_of(self.data, self._values, reference, Analysis(analysis))
        if contents.comparison is None:
            raise CgbenchError(f"{self.path}: there are no two trained methods to compare")
        return self._declared(contents.comparison.rows.reset_index(drop=True))

    def losses(self) -> pd.DataFrame:
        """Return every logged loss: method, seed, step, term and value, without the term's weight."""
        rows = [
            {"method": trial.method, "seed": trial.seed, "step": row["step"], "term": term, "value": value}
            for trial in self.data.trials
            for row in read_step_rows(trial.folder.steps)
            for term, value in row["losses"].items()
        ]
        return pd.DataFrame(rows, columns=["method", "seed", "step", "term", "value"])

    def images(
        self, method: str = "", seed: int | None = None, direction: str = "AtoB", which: str = "outputs"
    ) -> dict[str, np.ndarray]:
        """Return the saved 8-bit images (H, W, 3) of the test set by their keys.

        `which` is "outputs", of a method and seed; or "sources" or "targets", of no method. Images of other formats are
        shown by their window. What is not there raises `CgbenchError`.
        """
        from cgbench.datasets.images.decoding import read_image

        if which not in IMAGES:
            raise CgbenchError(f"unknown images '{which}': {did_you_mean(which, list(IMAGES))}")
        row = IMAGES[which]  # these are the same for every seed
        trials = self.data.trials_of(row) if row else [self._result(method, seed)]
        if not trials:
            raise CgbenchError(f"{self.path} has no row '{row}', which holds the {which}")
        folder = trials[0].folder
        files = sorted(folder.output(direction, "x").parent.glob("*.png"))
        if not files:
            raise CgbenchError(f"{folder.path} holds no images {direction}")
        return {file.stem: read_image(file) for file in files}

    def trial(self, method: str, seed: int | None = None) -> Trial:
        """Return a trial; the seed is not needed where there is one. What is not there raises `CgbenchError`."""
        return Trial(self._result(method, seed))

    def figures(self) -> dict[str, Figure]:
        """Return the figures of the report by name, with dark ink on white."""
        from cgbench.reports.figure_set import draw_figures

        return {panel.name: panel.on_white() for panel in draw_figures(self._contents).panels()}

    def report(self) -> Path:
        """Write the report as it is after a run, and return the path of its page."""
        from cgbench.benchmarks.execution.run_lock import exclusive_run
        from cgbench.reports.report import write_report

        with exclusive_run(self.path):
            return write_report(self.path, self._values)

    def _result(self, method: str, seed: int | None) -> TrialResult:
        if method not in self.data.order:
            raise CgbenchError(f"no method '{method}' in {self.path}: {did_you_mean(method, self.methods)}")
        found = [trial for trial in self.data.trials_of(method) if seed is None or trial.seed == seed]
        if len(found) == 1:
            return found[0]
        seeds = ", ".join(str(trial.seed) for trial in self.data.trials_of(method)) or "none"
        raise CgbenchError(f"{method} in {self.path}: choose one of the seeds {seeds}")

    def _declared(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table of metrics with their labels, units and what is better."""
        values, units = self._values, self.data.units
        found = [values.get(metric, Value(metric, metric, "")) for metric in table["metric"]]
        in_unit = [units.get(way, "") if value.unit_of_target else "" for way, value in
                   zip(table["direction"], found, strict=True)]  # fmt: skip
        return table.assign(
            label=[value.label for value in found], unit=in_unit, preferred=[value.better for value in found]
        )


class Trial:
    """A trial of a run: `record` is its trial.json, `folder` names its files."""

    def __init__(self, result: TrialResult) -> None:
        self._result = result
        self.method, self.seed, self.state = result.method, result.seed, result.state
        self.record: dict[str, Any] = result.spec
        self.folder: TrialFolder = result.folder

    def __repr__(self) -> str:
        return f"Trial({self.method!r}, seed {self.seed}, {self.state})"

    def generator(self, direction: str = "", checkpoint: str = "last", device: str = "cpu") -> Generator:
        """Return the trained translation as a `torch.nn.Module`, by default AtoB where the method has it.

        `checkpoint` is "last" or "best". A trial that is not finished or trains nothing raises `CgbenchError`.
        """
        from cgbench.benchmarks.interface.generator import open_generator

        return open_generator(self.folder, direction or None, checkpoint, device)
