"""Measurement of the grid of 8 × 8 blocks that JPEG compression leaves in pixels."""

import numpy as np

MIN_SIDE = 64  # pixels
# share of neighbours that differ; photos have 0.6 and more, and 0.17 at JPEG quality 5; label maps have 0.05 at most
MIN_TEXTURE = 0.1


def block_grid(grey: np.ndarray) -> float | None:
    """Return how much an image, uint8 (H, W), looks like one made of blocks of 8 × 8 pixels: 0 to 1; None if a side is
    below `MIN_SIDE` pixels, or if it is flat like a label map, whose few edges may lie anywhere.

    A step between neighbouring pixels is a peak where it is larger than both steps beside it. Of the eight places that
    a step can have in a block, the share of peaks at the one with most of them is taken, less that at the next: without
    blocks all places are alike, and in an image enlarged by 2 or 4 several are. It is the mean of both directions.
    """
    if min(grey.shape) < MIN_SIDE:
        return None
    excess = []
    for lines in (grey, grey.T):
        steps = np.abs(np.diff(lines.astype(np.int16), axis=1))
        if (steps > 0).mean() < MIN_TEXTURE:
            return None
        peaks = (steps[:, 1:-1] > np.maximum(steps[:, :-2], steps[:, 2:])).mean(axis=0)
        places = np.sort(peaks[: len(peaks) // 8 * 8].reshape(-1, 8).mean(axis=0))
        excess.append(places[-1] - places[-2])
    return float(np.mean(excess))
