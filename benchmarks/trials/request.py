"""The request of a command line as plain values, from which another process can resolve the same trials."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.api.dataset import Dataset
from cgbench.api.declarations import is_line
from cgbench.api.names import DIRECTIONS
from cgbench.api.registry import DATASETS, METHODS, metric_values
from cgbench.benchmarks.trials.trial import Trial, resolve_trials
from cgbench.config_layers import preset_values, split_assignments
from cgbench.datasets.dataset_views import under_label
from cgbench.datasets.validation_split import hold_out
from cgbench.errors import CgbenchError, DataMissing, did_you_mean
from cgbench.results.record_files import read_run_file


@dataclass(frozen=True)
class RunRequest:
    """The names and values of a command, merged from suite file, options and defaults. `assignments` are the texts of
    `--set`, `suite` the settings of the suite file; methods that do not fit are left out if `whatever_fits`, else they
    are an error. `label` is what the run calls the dataset; empty: what it calls itself."""

    methods: tuple[str, ...]
    dataset: str
    data_root: Path | None
    seeds: tuple[int, ...]
    preset: str
    assignments: tuple[str, ...] = ()
    suite: Mapping[str, Any] | None = None
    whatever_fits: bool = False
    label: str = ""

    def resolve(self) -> tuple[list[Trial], Dataset, dict[str, str]]:
        """Return the trials, the dataset with its validation split, and the methods left out, each with the reason.

        Anything wrong with the request raises `CgbenchError`.
        """
        preset_values(self.preset)
        methods, left_out = self._chosen_methods()
        chosen = {**(self.suite or {}), **split_assignments(self.assignments)[0]}
        data = open_dataset(
            self.dataset, self.data_root, str(chosen.get("split", "")), str(chosen.get("paired", "auto"))
        )
        data = under_label(data, self.label or data.label)
        _ensure_primary(data)
        trials = resolve_trials(
            methods, data, self.seeds, self.preset, self.assignments, self.suite,
            left_out if self.whatever_fits else None,
        )  # fmt: skip
        return trials, hold_out(data, trials[0].config.validation_images), left_out

    def _chosen_methods(self) -> tuple[list[str], dict[str, str]]:
        """Return the names of the methods, and why one is left out that two packages give; unknown names raise."""
        left_out = {name: METHODS.clashes[name] for name in self.methods if name in METHODS.clashes}
        for name in self.methods:
            if not (self.whatever_fits and name in left_out):
                METHODS.chosen(name)
        return [name for name in self.methods if name not in left_out], left_out


def open_dataset(name: str, data_root: Path | None, split: str = "", paired: str = "auto") -> Dataset:
    """Return the dataset `name` with the settings `split` and `paired`; missing data raise `DataMissing`, which names
    how to get them and what is ready."""
    data = DATASETS.chosen(name)(data_root)
    data.configure(split, paired)
    if not is_line(data.label):
        where = DATASETS.described(name)
        raise CgbenchError(f"{where}: its label {data.label!a} is no name that can be printed on one line")
    problem = data.missing()
    if problem is None:
        return data
    ready = [other for other in sorted(DATASETS.names()) if _is_ready(other, data_root)]
    raise DataMissing(f"{problem.rstrip()}\nReady now: {', '.join(ready) or 'none'}")


@contextmanager
def recorded_data_root(run: Path) -> Iterator[None]:
    """Add to a `DataMissing` raised inside which `--data-root` the command of the run named, if it named one."""
    try:
        yield
    except DataMissing as error:
        try:
            words = shlex.split(read_run_file(run / "run.json")["command"].replace("--data-root=", "--data-root "))
            place = words[words.index("--data-root") + 1]
        except (CgbenchError, ValueError, IndexError):  # a damaged record, or CGBENCH_DATA
            raise error from None
        raise DataMissing(f"{error}\nThe run was trained with --data-root {place}") from None


def _ensure_primary(data: Dataset) -> None:
    """Raise `CgbenchError` where the number that a dataset declares to judge methods by is none of the metrics'."""
    known = metric_values()
    for direction, name in data.primary.items():
        if direction not in DIRECTIONS or name not in known:
            problem = f"its primary number {direction}, '{name}', is not known"
            raise CgbenchError(f"dataset '{data.label}': {problem}: {did_you_mean(name, list(known))}")


def _is_ready(name: str, data_root: Path | None) -> bool:
    """Return whether the data of a dataset is there; one that cannot say is not ready."""
    try:
        return DATASETS.factory(name)(data_root).missing() is None
    except CgbenchError:
        return False
