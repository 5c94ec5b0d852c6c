"""cgbench: unpaired image translation, compared under identical seeds.

This package is the core: what a method, a dataset and a metric declare, how they are found, how seeds are
derived and how results are written. It never imports torch, so listings and reports start at once; numpy is
imported where an array is made. The public names below are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cgbench.api.dataset import Dataset, Domain, Item, SemanticClass
    from cgbench.api.failure import Control, Detection, Failure
    from cgbench.api.graph_nodes import Apply, Compute, ImagePool, LatentSearch, Network, Precomputed, Sample
    from cgbench.api.method import Method, Player, Reference, Term
    from cgbench.api.metric import Metric, Scores, Translations, Value
    from cgbench.api.registry import DATASETS, FAILURES, METHODS, METRICS
    from cgbench.benchmarks.interface.entry_points import open_run, run
    from cgbench.benchmarks.interface.opened_run import Run
    from cgbench.config import TrialConfig
    from cgbench.digests import source_digest
    from cgbench.errors import CgbenchError

__version__ = "0.1.0"

__all__ = [
    "DATASETS",
    "FAILURES",
    "METHODS",
    "METRICS",
    "Apply",
    "CgbenchError",
    "Compute",
    "Control",
    "Dataset",
    "Detection",
    "Domain",
    "Failure",
    "ImagePool",
    "Item",
    "LatentSearch",
    "Method",
    "Metric",
    "Network",
    "Player",
    "Precomputed",
    "Reference",
    "Run",
    "Sample",
    "Scores",
    "SemanticClass",
    "Term",
    "Translations",
    "TrialConfig",
    "Value",
    "open_run",
    "run",
    "source_digest",
]
_HOMES = {
    "cgbench.api.dataset": ("Dataset", "Domain", "Item", "SemanticClass"),
    "cgbench.api.failure": ("Control", "Detection", "Failure"),
    "cgbench.api.graph_nodes": ("Apply", "Compute", "ImagePool", "LatentSearch", "Network", "Precomputed", "Sample"),
    "cgbench.api.method": ("Method", "Player", "Reference", "Term"),
    "cgbench.api.metric": ("Metric", "Scores", "Translations", "Value"),
    "cgbench.api.registry": ("DATASETS", "FAILURES", "METHODS", "METRICS"),
    "cgbench.benchmarks.interface.entry_points": ("open_run", "run"),
    "cgbench.benchmarks.interface.opened_run": ("Run",),
    "cgbench.config": ("TrialConfig",),
    "cgbench.digests": ("source_digest",),
    "cgbench.errors": ("CgbenchError",),
}


def __getattr__(name: str) -> Any:
    """Return a public name from the module that defines it."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'cgbench' has no attribute '{name}'")
