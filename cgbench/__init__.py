"""cgbench: unpaired image translation, compared under identical seeds.

This package is the core: what a method, a dataset and a metric declare, how they are found, how seeds are
derived and how results are written. It never imports torch, so listings and reports start at once.
"""

from cgbench.config import TrialConfig
from cgbench.dataset import Dataset, Domain, Item, SemanticClass
from cgbench.errors import CgbenchError
from cgbench.failure import Failure, Finding
from cgbench.identity import source_digest
from cgbench.method import Method, Player, Reference, Term
from cgbench.metric import Metric, Scores, Translations, Value
from cgbench.nodes import Apply, Compute, Draw, History, Measured, Network, Search
from cgbench.registry import DATASETS, FAILURES, METHODS, METRICS

__version__ = "0.1.0"

__all__ = [
    "DATASETS",
    "FAILURES",
    "METHODS",
    "METRICS",
    "Apply",
    "CgbenchError",
    "Compute",
    "Dataset",
    "Domain",
    "Draw",
    "Failure",
    "Finding",
    "History",
    "Item",
    "Measured",
    "Method",
    "Metric",
    "Network",
    "Player",
    "Reference",
    "Scores",
    "Search",
    "SemanticClass",
    "Term",
    "Translations",
    "TrialConfig",
    "Value",
    "source_digest",
]
