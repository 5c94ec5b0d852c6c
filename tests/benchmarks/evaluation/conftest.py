"""A scorer of three classes, trained for 60 steps."""

import pytest

from cgbench.benchmarks.evaluation.scorer_training import train_scorer
from helpers.scorer_photos import CONFIG, scenes, scorer_data


@pytest.fixture(scope="module")
def trained():
    return train_scorer(scorer_data(*scenes(40)), 3, CONFIG)
