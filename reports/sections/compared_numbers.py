"""The numbers that differences are computed from: of each seed, of single images, and of each scorer."""

import numpy as np
import pandas as pd

from cgbench.api.metric import SOURCE
from cgbench.api.names import TrialState
from cgbench.results.record_files import read_metric_rows, read_score_rows
from cgbench.results.records import TEST
from cgbench.results.run import RunRecords


def numbers_by_seed(run: RunRecords) -> pd.DataFrame:
    """Return the finite numbers of finished trials; details ("fcn_iou/road") left out."""
    done = run.records[(run.records["status"] == TrialState.DONE) & (run.records["metric"] != "")]
    finite = done[np.isfinite(done["value"]) & ~done["metric"].str.contains("/")]
    return finite[["direction", "method", "seed", "metric", "value"]]


def scores_by_image(run: RunRecords, methods: set[str]) -> pd.DataFrame:
    """Return the scores of single images of the finished trials of `methods`. `unit` is the image and whose it is, or
    the group of images that are not independent of each other."""
    rows = []
    for trial in run.trials:
        if trial.state == TrialState.DONE and trial.method in methods:
            rows += [
                {**row, "unit": f"{row.get('of', SOURCE)}/{row.get('group') or row['key']}", "method": trial.method,
                 "seed": trial.seed}
                for row in read_score_rows(trial.folder.image_scores)
            ]  # fmt: skip
    return pd.DataFrame(rows, columns=["direction", "unit", "metric", "value", "method", "seed"])


def numbers_by_scorer(run: RunRecords, methods: set[str]) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Return by direction and metric the numbers of each scorer by method, (scorers,), means over its seeds; of metrics
    and methods that several scorers measured."""
    found: dict[tuple[str, str], dict[str, list[list[float]]]] = {}
    for trial in run.trials:
        if trial.state == TrialState.DONE and trial.method in methods:
            rows = read_metric_rows(trial.folder.metrics)
            last = max((row["step"] for row in rows), default=0)
            for row in rows:
                numbers = row.get("by_scorer", [])
                if len(numbers) > 1 and row["step"] == last and row.get("split", TEST) == TEST:
                    by_method = found.setdefault((row["direction"], row["metric"]), {})
                    by_method.setdefault(trial.method, []).append(numbers)
    return {
        place: {
            name: np.mean(numbers, axis=0) for name, numbers in by_method.items() if len({len(n) for n in numbers}) == 1
        }
        for place, by_method in found.items()
    }
