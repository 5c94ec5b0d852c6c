"""Each trained method against a reference method: paired differences, how sure they are, and what could be seen."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cgbench.api.metric import Value
from cgbench.errors import CgbenchError, did_you_mean
from cgbench.files import read_jsonl
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
    the scores of single images, where a metric has such, and speaks of other images as well. `difference` is method
    minus reference; `low` to `high` is its interval at the level at which Holm's procedure tests it among the methods
    of its column; `p` is adjusted by it; `better` says that a significant difference is one for the better.
    """

    reference: str
    rows: pd.DataFrame

    def better(self) -> set[tuple[str, str, str]]:
        """Return (direction, method, metric) of the numbers that are surely better than the reference's."""
        found = self.rows[(self.rows["basis"] == SEEDS) & self.rows["better"]]
        return set(zip(found["direction"], found["method"], found["metric"], strict=True))


def compare(run: Run, values: Mapping[str, Value], reference: str = "") -> Comparison | None:
    """Return the differences from `reference`: cyclegan if none is named, else the first trained method.

    Only seeds that both have, so the weights both started from and the images both saw are the same. None where nothing
    can be said: fewer than two seeds, or nothing to compare. An unknown reference raises `CgbenchError`.
    """
    if reference and reference not in run.order:
        raise CgbenchError(f"--reference {reference}: not in this run: {did_you_mean(reference, list(run.order))}")
    chosen = reference or (DEFAULT_REFERENCE if DEFAULT_REFERENCE in run.trained else next(iter(run.trained), ""))
    methods = [name for name in run.trained if name != chosen]
    rows = []
    for (direction, metric), numbers in _numbers(run).groupby(["direction", "metric"], sort=False):
        better = values[metric].better if metric in values else ""
        by_seed = numbers.pivot(index="seed", columns="method", values="value")
        found = {name: _seeds(by_seed, name, chosen) for name in methods}
        rows += _family(SEEDS, direction, metric, better, chosen, found)
    for (direction, metric), numbers in _scores(run, {chosen, *methods}).groupby(["direction", "metric"], sort=False):
        better = values[metric].better if metric in values else ""
        by_image = numbers.pivot(index=["seed", "key"], columns="method", values="value")
        found = {name: _images(by_image, name, chosen) for name in methods}
        rows += _family(BOTH, direction, metric, better, chosen, found)
    return Comparison(chosen, pd.DataFrame(rows, columns=COLUMNS)) if rows else None


Measured = tuple[Effect, int, int]  # an effect, its seeds and its images


def _family(
    basis: str, direction: str, metric: str, better: str, reference: str, found: Mapping[str, Measured | None]
) -> list[dict]:
    """Return the rows of one column: all methods together are one family of tests."""
    measured = {name: entry for name, entry in found.items() if entry is not None}
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


def _seeds(by_seed: pd.DataFrame, method: str, reference: str) -> Measured | None:
    """Return the effect over the seeds that both have."""
    if not {method, reference} <= set(by_seed.columns):
        return None
    differences = (by_seed[method] - by_seed[reference]).dropna()
    effect = over_seeds(differences.to_numpy())
    return effect and (effect, len(differences), 0)


def _images(by_image: pd.DataFrame, method: str, reference: str) -> Measured | None:
    """Return the effect over the seeds and images that both have; an image without a score for a seed is left out."""
    if not {method, reference} <= set(by_image.columns):
        return None
    table = (by_image[method] - by_image[reference]).unstack("key").dropna(how="all").dropna(axis=1)
    effect = over_seeds_and_images(table.to_numpy())
    return effect and (effect, *table.shape)


def _numbers(run: Run) -> pd.DataFrame:
    """Return the finite numbers of finished trials, each at its last step; details ("fcn_iou/road") left out."""
    wanted = (run.records["metric"] != "") & ~run.records["metric"].str.contains("/")
    records = run.records[wanted & (run.records["status"] == "done")]
    records = records[np.isfinite(records["value"])].sort_values("step", kind="stable")
    last = records.drop_duplicates(["direction", "method", "seed", "metric"], keep="last").sort_index()
    return last[["direction", "method", "seed", "metric", "value"]]


def _scores(run: Run, methods: set[str]) -> pd.DataFrame:
    """Return the scores of single images of the finished trials of `methods`."""
    rows = []
    for trial in run.trials:
        if trial.state == "done" and trial.method in methods:
            rows += [
                {**row, "method": trial.method, "seed": trial.seed} for row in read_jsonl(trial.folder.image_scores)
            ]
    return pd.DataFrame(rows, columns=["direction", "key", "metric", "value", "method", "seed"])
