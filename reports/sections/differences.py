"""Paired differences of each trained method from a reference method: intervals, tests, detectable differences."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cgbench.api.metric import SOURCE, Value
from cgbench.api.names import TrialState
from cgbench.errors import CgbenchError, did_you_mean
from cgbench.results.record_files import read_score_rows
from cgbench.results.run import Run
from cgbench.results.significance import Effect, holm, over_seeds, over_seeds_and_images

DEFAULT_REFERENCE = "cyclegan"
SEEDS, BOTH = "seeds", "seeds and images"
COLUMNS = ["direction", "metric", "basis", "method", "reference", "difference", "low", "high", "p", "significant",
           "better", "detectable", "seeds", "images"]  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """All differences of a run from its `reference`: one row per direction, metric, basis and method.

    The basis "seeds" compares the numbers of the table, seed by seed, on these test images. "seeds and images" compares
    the scores of single images, where a metric has such, and generalises to other images as well. `difference` is
    method minus reference; `low` to `high` is its interval at the level at which Holm's procedure tests it among the
    methods of its column; `p` is adjusted by it; `better` is whether the difference is significant and for the better.
    """

    reference: str
    rows: pd.DataFrame

    def better(self) -> set[tuple[str, str, str]]:
        """Return (direction, method, metric) of the numbers that are significantly better than the reference's."""
        rows = self.rows[(self.rows["basis"] == SEEDS) & self.rows["better"]]
        return set(zip(rows["direction"], rows["method"], rows["metric"], strict=True))


def compare(run: Run, values: Mapping[str, Value], reference: str = "") -> Comparison | None:
    """Return the differences from `reference`, by default cyclegan or, without it, the first trained method.

    Only seeds that both methods have are compared, so that both started from the same weights and saw the same images.
    None with fewer than two seeds, or without a method to compare. An unknown reference raises `CgbenchError`.
    """
    if reference and reference not in run.order:
        raise CgbenchError(f"--reference {reference}: not in this run: {did_you_mean(reference, list(run.order))}")
    resolved = reference or (DEFAULT_REFERENCE if DEFAULT_REFERENCE in run.trained else next(iter(run.trained), ""))
    methods = [name for name in run.trained if name != resolved]
    rows = []
    for (direction, metric), numbers in _numbers(run).groupby(["direction", "metric"], sort=False):
        better = values[metric].better if metric in values else ""
        by_seed = numbers.pivot(index="seed", columns="method", values="value")
        effects = {name: _seed_effect(by_seed, name, resolved) for name in methods}
        rows += _family(SEEDS, direction, metric, better, resolved, effects)
    for (direction, metric), numbers in _scores(run, {resolved, *methods}).groupby(["direction", "metric"], sort=False):
        better = values[metric].better if metric in values else ""
        by_image = numbers.pivot(index=["seed", "key"], columns="method", values="value")
        effects = {name: _image_effect(by_image, name, resolved) for name in methods}
        rows += _family(BOTH, direction, metric, better, resolved, effects)
    return Comparison(resolved, pd.DataFrame(rows, columns=COLUMNS)) if rows else None


MeasuredEffect = tuple[Effect, int, int]  # an effect, its number of seeds and its number of images


def _family(
    basis: str, direction: str, metric: str, better: str, reference: str, effects: Mapping[str, MeasuredEffect | None]
) -> list[dict]:
    """Return the rows of one column: all methods together are one family of tests."""
    measured = {name: entry for name, entry in effects.items() if entry is not None}
    verdicts = holm([effect for effect, _, _ in measured.values()])
    rows = []
    for (method, (effect, seeds, images)), verdict in zip(measured.items(), verdicts, strict=True):
        improved = effect.mean > 0 if better == "higher" else effect.mean < 0 if better == "lower" else False
        rows.append(
            {
                "direction": direction, "metric": metric, "basis": basis, "method": method, "reference": reference,
                "difference": effect.mean, "low": verdict.low, "high": verdict.high, "p": verdict.p,
                "significant": verdict.significant, "better": verdict.significant and improved,
                "detectable": verdict.detectable, "seeds": seeds, "images": images,
            }
        )  # fmt: skip
    return rows


def _seed_effect(by_seed: pd.DataFrame, method: str, reference: str) -> MeasuredEffect | None:
    """Return the effect over the seeds that both methods have."""
    if not {method, reference} <= set(by_seed.columns):
        return None
    differences = (by_seed[method] - by_seed[reference]).dropna()
    effect = over_seeds(differences.to_numpy())
    return None if effect is None else (effect, len(differences), 0)


def _image_effect(by_image: pd.DataFrame, method: str, reference: str) -> MeasuredEffect | None:
    """Return the effect over the seeds and images that both methods have; an image that lacks a seed is left out."""
    if not {method, reference} <= set(by_image.columns):
        return None
    table = (by_image[method] - by_image[reference]).unstack("key").dropna(how="all").dropna(axis=1)
    effect = over_seeds_and_images(table.to_numpy())
    return None if effect is None else (effect, table.shape[0], table.shape[1])


def _numbers(run: Run) -> pd.DataFrame:
    """Return the finite numbers of finished trials; details ("fcn_iou/road") left out."""
    done = run.records[(run.records["status"] == TrialState.DONE) & (run.records["metric"] != "")]
    finite = done[np.isfinite(done["value"]) & ~done["metric"].str.contains("/")]
    return finite[["direction", "method", "seed", "metric", "value"]]


def _scores(run: Run, methods: set[str]) -> pd.DataFrame:
    """Return the scores of single images of the finished trials of `methods`; `key` says whose image it is as well."""
    rows = []
    for trial in run.trials:
        if trial.state == TrialState.DONE and trial.method in methods:
            rows += [
                {**row, "key": f"{row.get('of', SOURCE)}/{row['key']}", "method": trial.method, "seed": trial.seed}
                for row in read_score_rows(trial.folder.image_scores)
            ]
    return pd.DataFrame(rows, columns=["direction", "key", "metric", "value", "method", "seed"])
