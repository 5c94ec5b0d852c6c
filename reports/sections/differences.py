"""Differences of each trained method from a reference method: intervals, tests, detectable differences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pandas as pd

from cgbench.api.metric import Value
from cgbench.api.names import Analysis, Role
from cgbench.errors import CgbenchError, did_you_mean
from cgbench.reports.sections.compared_numbers import numbers_by_scorer, numbers_by_seed, scores_by_image
from cgbench.results.band import band, image_part, scorer_part
from cgbench.results.run import RunRecords
from cgbench.results.significance import MeanDifference, holm, mean_effect, welch

DEFAULT_REFERENCE = "cyclegan"
PAIRED_SEEDS = 5  # fewer leave a paired test too few degrees of freedom to find anything
COLUMNS = ["direction", "metric", "basis", "analysis", "method", "reference", "difference", "low", "high", "p",
           "significant", "better", "worse", "detectable", "seeds", "reference_seeds", "images", "groups",
           "note"]  # fmt: skip


class Basis(StrEnum):
    """What varies in a difference: which question it answers."""

    IMAGES = "images"
    SEEDS = "seeds"
    SEEDS_IMAGES = "seeds and images"
    ALL = "seeds, images and scorers"


QUESTIONS = {
    Basis.IMAGES: "this checkpoint, on other images",
    Basis.SEEDS: "the method, on this test set",
    Basis.SEEDS_IMAGES: "the method, on scenes like these",
    Basis.ALL: "the method, on scenes like these, by any such scorers",
}


@dataclass(frozen=True)
class Comparison:
    """All differences of a run from its `reference`: one row per direction, metric, basis and method.

    The basis "seeds" compares the numbers of the table, on these test images. "seeds and images" compares means of the
    scores of single images, where a metric has such, and generalises to other images as well, "seeds, images and
    scorers" to other scorers too, where several measured. "images" generalises to other images for the checkpoints of a
    run of one seed, and says nothing about the methods. Where the images have groups, such as clips, these are the
    units instead, and `groups` names them.

    `difference` is method minus reference; `low` to `high` is its interval among the methods of its column, and `p` its
    p-value; `significant` says that p is 0.05 or less, which it is exactly where the interval excludes zero; `better`
    and `worse` say in which direction. Where a `note` says why, a difference has no interval (NaN). Differences of the
    methods in `supervised` are not marked in tables: those see more than the others.

    Rows of other programs, `external`, are never paired by seed: their seeds are not those of this run. One of a single
    or an unknown seed has the basis "images" beside runs of several seeds too: it is compared, image by image, with the
    mean of the reference's seeds.
    """

    reference: str
    analysis: Analysis
    rows: pd.DataFrame
    supervised: frozenset[str]
    external: frozenset[str] = frozenset()

    def label(self, method: str) -> str:
        """Return the name of a method as tables show it."""
        return f"{method} ({Role.EXTERNAL})" if method in self.external else method

    def better(self) -> set[tuple[str, str, str]]:
        """Return (direction, method, metric) of the numbers that are marked as better than the reference's."""
        return self._marked("better")

    def worse(self) -> set[tuple[str, str, str]]:
        """Return (direction, method, metric) of the numbers that are marked as worse than the reference's."""
        return self._marked("worse")

    @property
    def methods(self) -> list[str]:
        """The methods that are compared, in the order of tables."""
        return list(dict.fromkeys(self.rows["method"]))

    @property
    def basis(self) -> Basis:
        """The basis of the tables: seeds, or for one seed its images."""
        return Basis.SEEDS if (self.rows["basis"] == Basis.SEEDS).any() else Basis.IMAGES

    def undecided(self) -> set[tuple[str, str, str]]:
        """Return (direction, method, metric) of the numbers that cannot be told apart from the reference's."""
        rows = self._tested()
        return _keys(rows[~rows["significant"] & (rows["note"] == "")])

    def _marked(self, column: str) -> set[tuple[str, str, str]]:
        rows = self._tested()
        return _keys(rows[rows[column]])

    def _tested(self) -> pd.DataFrame:
        """Return the differences of the table's numbers that may be marked."""
        return self.rows[(self.rows["basis"] == Basis.SEEDS) & ~self.rows["method"].isin(self.supervised)]


def compare(
    run: RunRecords, values: Mapping[str, Value], reference: str = "", analysis: Analysis = Analysis.BAND
) -> Comparison | None:
    """Return the differences from `reference`, by default cyclegan or, without it, the first trained method.

    None without a method to compare, and for one seed without scores of single images. An unknown reference, and a
    paired analysis of fewer than five seeds, raise `CgbenchError`.
    """
    if reference and reference not in run.order:
        raise CgbenchError(f"--reference {reference}: not in this run: {did_you_mean(reference, list(run.order))}")
    if analysis == Analysis.PAIRED and len(run.seeds) < PAIRED_SEEDS:
        raise CgbenchError(
            f"--analysis paired: it needs {PAIRED_SEEDS} seeds or more, and this run has {len(run.seeds)}; "
            "train more, or leave the option out"
        )
    resolved = reference or (DEFAULT_REFERENCE if DEFAULT_REFERENCE in run.trained else next(iter(run.trained), ""))
    external = {name: _missing_seeds(run, name) for name in run.external}
    families = _Families(
        analysis, resolved, [name for name in run.compared if name != resolved], resolved not in run.compared, external
    )
    rows, unit = [], run.dataset.get("image_groups", "")
    for (direction, metric), numbers in numbers_by_seed(run).groupby(["direction", "metric"], sort=False):
        by_seed = numbers.pivot(index="seed", columns="method", values="value")
        common = {"direction": direction, "metric": metric, "basis": Basis.SEEDS}
        rows += families.rows(common, values.get(metric), families.over_seeds(by_seed))
    one_seed, single = not rows, families.over_images_alone()
    compared = {resolved, *(families if one_seed or analysis == Analysis.BAND else single).methods}
    by_scorer = {} if one_seed or analysis != Analysis.BAND else numbers_by_scorer(run, compared)
    scores = scores_by_image(run, compared if len(compared) > 1 else set())
    for (direction, metric), numbers in scores.groupby(["direction", "metric"], sort=False):
        by_image = numbers.pivot_table(index=["seed", "unit"], columns="method", values="value", aggfunc="mean")
        common, value = {"direction": direction, "metric": metric, "groups": unit}, values.get(metric)
        found = (families if one_seed else single).checkpoints(by_image)
        rows += families.rows({**common, "basis": Basis.IMAGES}, value, found)
        if one_seed or analysis != Analysis.BAND:
            continue
        found = families.over_images(by_image)
        rows += families.rows({**common, "basis": Basis.SEEDS_IMAGES}, value, found)
        if scorers := by_scorer.get((direction, metric)):
            found = families.over_images(by_image, scorers)
            rows += families.rows({**common, "basis": Basis.ALL}, value, found)
    supervised = frozenset(name for name in run.trained if run.roles[name] == Role.SUPERVISED)
    table = pd.DataFrame(rows, columns=COLUMNS)
    return Comparison(resolved, analysis, table, supervised, frozenset(external)) if rows else None


def _missing_seeds(run: RunRecords, name: str) -> str:
    """Return why an external row has no interval over seeds, "seed unknown" or "one seed"; "" where it may have one."""
    trials = run.trials_of(name)
    known = all((trial.spec.get("external") or {}).get("seed") is not None for trial in trials)
    return "" if known and len(trials) > 1 else "one seed" if known else "seed unknown"


@dataclass(frozen=True)
class _Entry:
    """The difference of one method in one column, with its numbers of seeds and images; `note` is why it has no
    interval."""

    difference: MeanDifference
    seeds: int
    reference_seeds: int
    images: int = 0
    note: str = ""


@dataclass(frozen=True)
class _Families:
    """The comparison of `methods` with `reference`: those of one column together are one family of tests. `external`
    says of each row of another program why it has no interval over seeds, "" for nothing."""

    analysis: Analysis
    reference: str
    methods: Sequence[str]
    untrained_reference: bool
    external: Mapping[str, str]

    def over_images_alone(self) -> "_Families":
        """Return the family of the external rows that have no interval over seeds."""
        paired = self.analysis == Analysis.PAIRED
        names = [name for name in self.methods if name in self.external and (paired or self.external[name])]
        return replace(self, methods=names)

    def rows(self, common: Mapping[str, str], value: Value | None, entries: Mapping[str, _Entry]) -> list[dict]:
        """Return the rows of one column; `common` are direction, metric, basis and groups of images."""
        sign = {"higher": 1, "lower": -1}.get(value.better if value else "", 0)
        return [
            {
                "groups": "", **common, "analysis": self.analysis.value, "method": method, "reference": self.reference,
                "difference": found.mean, "low": found.low, "high": found.high, "p": found.p,
                "significant": found.significant, "better": found.significant and sign * found.mean > 0,
                "worse": found.significant and sign * found.mean < 0, "detectable": found.detectable,
                "seeds": entry.seeds, "reference_seeds": entry.reference_seeds, "images": entry.images,
                "note": entry.note,
            }
            for method, entry in entries.items()
            for found in [entry.difference]
        ]  # fmt: skip

    def over_seeds(self, by_seed: pd.DataFrame) -> dict[str, _Entry]:
        """Return the differences of numbers (seeds × methods); those of one seed have no interval."""
        numbers = {name: by_seed[name].dropna() for name in (self.reference, *self.methods) if name in by_seed}
        numbers = {name: column for name, column in numbers.items() if len(column)}
        ours = [len(column) for name, column in numbers.items() if name not in self.external]
        if self.reference not in numbers or max(ours, default=0) < 2:
            return {}
        own = numbers.pop(self.reference)
        notes = {name: self._missing(name, column, own) for name, column in numbers.items()}
        tested = {name: column for name, column in numbers.items() if not notes[name]}
        found: Sequence[MeanDifference]
        if self.analysis == Analysis.PAIRED:
            pairs = [mean_effect((column - own).dropna().to_numpy()) for column in tested.values()]
            found = holm([effect for effect in pairs if effect])
        elif self.analysis == Analysis.WELCH:
            effects = [welch(column.to_numpy(), own.to_numpy()) for column in tested.values()]
            found = holm([effect for effect in effects if effect])
        else:
            samples = [column.to_numpy() for column in tested.values()]
            found = band(own.to_numpy(), samples, (), self.untrained_reference) if samples else []
        differences = dict(zip(tested, found, strict=True))
        return {
            name: _Entry(
                differences.get(name) or _unknown(float(column.mean() - own.mean())),
                len(column), len(own), note=notes[name],
            )
            for name, column in numbers.items()
        }  # fmt: skip

    def _missing(self, name: str, column: pd.Series, own: pd.Series) -> str:
        """Return why the difference of a method with these numbers has no interval, "" if it has one."""
        if self.external.get(name):
            return self.external[name]
        if self.analysis == Analysis.PAIRED and not self.external.keys().isdisjoint((name, self.reference)):
            return "external, not paired by seed"
        if self.analysis == Analysis.PAIRED:
            both = len(column.index.intersection(own.index))
            return "" if both >= PAIRED_SEEDS else f"seeds in common: {both}"
        if len(own) < 2:
            return f"one seed of {self.reference}"
        return "" if len(column) > 1 else "one seed"

    def over_images(
        self, by_image: pd.DataFrame, by_scorer: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, _Entry]:
        """Return the differences of scores of single images ((seed, image) × methods), or of their groups; an image
        that lacks a score of one seed is left out, and a method without scores of at least half the reference's.

        With the numbers of each scorer by method, means over seeds, the intervals are also over other scorers; a method
        without such numbers is left out.
        """
        own, tables = self._complete(by_image)
        tables = {name: table for name, table in tables.items() if min(len(table), len(own)) > 1}
        if by_scorer is not None:
            own_scorers = by_scorer.get(self.reference, np.empty(0))
            tables = {name: t for name, t in tables.items() if len(by_scorer.get(name, ())) == len(own_scorers) > 1}
        images = [key for key in own.columns if all(key in table.columns for table in tables.values())]
        if not tables or len(images) < 2:
            return {}
        reference = own[images].to_numpy()
        scores = {name: table[images].to_numpy() for name, table in tables.items()}
        parts = [[image_part(table, reference)] for table in scores.values()]
        if by_scorer is not None:
            parts = [
                [*part, scorer_part(by_scorer[name] - own_scorers)] for name, part in zip(tables, parts, strict=True)
            ]
        by_seed = [table.mean(axis=1) for table in scores.values()]
        found = band(reference.mean(axis=1), by_seed, parts, self.untrained_reference)
        return {
            name: _Entry(difference, len(scores[name]), len(own), len(images))
            for name, difference in zip(scores, found, strict=True)
        }

    def checkpoints(self, by_image: pd.DataFrame) -> dict[str, _Entry]:
        """Return the differences between the checkpoints of one seed, paired by image or group of images."""
        own, tables = self._complete(by_image)
        pairs = {name: (table.mean() - own.mean()).dropna() for name, table in tables.items()}
        effects = {name: mean_effect(pair.to_numpy()) for name, pair in pairs.items()}
        measured = {name: effect for name, effect in effects.items() if effect}
        return {
            name: _Entry(difference, len(tables[name]), len(own), len(pairs[name]))
            for name, difference in zip(measured, holm(list(measured.values())), strict=True)
        }

    def _complete(self, by_image: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
        """Return the scores (seeds × images) of the reference and of each method, of images that all its seeds have; a
        method without at least half the reference's images is left out."""
        if self.reference not in by_image:
            return pd.DataFrame(), {}
        own = by_image[self.reference].unstack("unit").dropna(how="all").dropna(axis=1)
        tables = {}
        for name in (name for name in self.methods if name in by_image):
            table = by_image[name].unstack("unit").reindex(columns=own.columns).dropna(how="all").dropna(axis=1)
            if len(table) and table.shape[1] >= max(2, own.shape[1] / 2):
                tables[name] = table
        return own, tables


def _unknown(difference: float) -> MeanDifference:
    """Return a difference of which nothing is known but its size."""
    return MeanDifference(difference, math.nan, math.nan, math.nan, math.nan)


def _keys(rows: pd.DataFrame) -> set[tuple[str, str, str]]:
    return set(zip(rows["direction"], rows["method"], rows["metric"], strict=True))
