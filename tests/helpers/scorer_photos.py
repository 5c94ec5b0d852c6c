"""Noisy photos of coloured blocks that a scorer learns in seconds, and settings for it."""

from dataclasses import replace

import numpy as np

from cgbench import TrialConfig
from cgbench.benchmarks.evaluation.scorer_training import ScorerData

CONFIG = replace(TrialConfig(), scorer_steps=60, scorer_batch=8, scorer_width=6)
QUICK = replace(CONFIG, scorer_steps=2, scorers=1)
COLOURS = np.array([[60, 60, 70], [220, 60, 50], [70, 90, 220]], np.float64)
PALETTE = np.array([[250, 240, 20], [20, 240, 230], [240, 20, 240]], np.uint8)


def scenes(count, seed=0, side=16):
    """Noisy photos of a ground with a red and a blue block, their class ids, and one ignored row."""
    random = np.random.default_rng(seed)
    labels = np.zeros((count, side, side), np.uint8)
    for image in labels:
        for number in (1, 2):
            top, left = random.integers(0, side - 6, 2)
            image[top : top + 6, left : left + 6] = number
    photos = COLOURS[labels] + random.normal(0, 12, (*labels.shape, 3))
    labels[:, -1] = 255
    return photos.clip(0, 255).astype(np.uint8), labels


def scorer_data(photos, labels):
    """The photos with their labels, and as pictures of the other domain the labels in flat colours."""
    return ScorerData(photos, labels, PALETTE[labels % 3])
