"""A run of four methods with known numbers of each trial and known scores of single images."""

import numpy as np

from cgbench.files import write_jsonl
from cgbench.reports.sections.differences import Basis
from cgbench.results.run_folder import TrialFolder
from helpers.run_folder import build_run

LEVELS = {  # method -> FCN pixel accuracy of seeds 0 to 4, of which most tests use three
    "cyclegan": (0.50, 0.54, 0.51, 0.52, 0.50),
    "gan_only": (0.30, 0.345, 0.31, 0.325, 0.3),
    "cycle_only": (0.25, 0.60, 0.40, 0.45, 0.55),
    "copy": (0.2,) * 5,
}
KEYS = ("a", "b", "c", "d")


def image_scores(method, seed):
    rng = np.random.default_rng([len(method), seed])
    return LEVELS[method][seed] + rng.normal(0, 0.01, len(KEYS))


def measured(path, seeds=(0, 1, 2), states=None):
    """Return a run with known numbers of each trial and known scores of single images."""
    run = build_run(path / "run", methods=tuple(LEVELS), seeds=seeds, states=states, images=2, side=8)
    for method in LEVELS:
        for seed in seeds:
            folder = TrialFolder.of(run, "shapes", method, seed)
            if folder.trial.exists() and folder.status()["state"] == "done":
                common = {"direction": "AtoB", "metric": "fcn_pixel"}
                row = {**common, "step": 2000, "value": LEVELS[method][seed], "n": 4, "protocol": "aaaaaaaaaaaa"}
                write_jsonl(folder.metrics, [row])
                scores = zip(KEYS, image_scores(method, seed), strict=True)
                write_jsonl(
                    folder.image_scores, [{**common, "key": key, "value": float(score)} for key, score in scores]
                )
    return run


def row(comparison, method, basis=Basis.SEEDS):
    rows = comparison.rows
    (entry,) = rows[(rows["method"] == method) & (rows["basis"] == basis)].itertuples()
    return entry


def levels(method, seeds=3):
    return np.array(LEVELS[method][:seeds])


def interval(entry):
    return entry.difference, entry.low, entry.high, entry.p, entry.detectable
