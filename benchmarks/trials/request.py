"""The request of a command line as plain values, from which another process can resolve the same trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgbench.api.dataset import Dataset
from cgbench.api.registry import DATASETS, METHODS
from cgbench.benchmarks.trials.trial import Trial, resolve_trials
from cgbench.config import preset_values
from cgbench.datasets.validation_split import hold_out
from cgbench.errors import DataMissing


@dataclass(frozen=True)
class RunRequest:
    """The names and values of a command, merged from suite file, options and defaults. `assignments` are the texts of
    `--set`, `suite` the settings of the suite file; methods that do not fit are left out if `whatever_fits`, else they
    are an error."""

    methods: tuple[str, ...]
    dataset: str
    data_root: Path | None
    seeds: tuple[int, ...]
    preset: str
    assignments: tuple[str, ...] = ()
    suite: Mapping[str, Any] | None = None
    whatever_fits: bool = False

    def resolve(self) -> tuple[list[Trial], Dataset, dict[str, str]]:
        """Return the trials, the dataset with its validation split, and the methods left out, each with the reason.

        Anything wrong with the request raises `CgbenchError`.
        """
        preset_values(self.preset)
        for name in self.methods:
            METHODS.factory(name)
        data = open_dataset(self.dataset, self.data_root)
        left_out: dict[str, str] = {}
        trials = resolve_trials(
            self.methods, data, self.seeds, self.preset, self.assignments, self.suite,
            left_out if self.whatever_fits else None,
        )  # fmt: skip
        return trials, hold_out(data, trials[0].config.validation_images), left_out


def open_dataset(name: str, data_root: Path | None) -> Dataset:
    """Return the dataset `name`; missing data raise `DataMissing`, which names how to get them and what is ready."""
    data = DATASETS.factory(name)(data_root)
    problem = data.missing()
    if problem is None:
        return data
    ready = [other for other in sorted(DATASETS.names()) if DATASETS.factory(other)(data_root).missing() is None]
    raise DataMissing(f"{problem.rstrip()}\nReady now: {', '.join(ready) or 'none'}")
