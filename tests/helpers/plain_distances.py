"""The Fréchet distance written out, to compare with."""

import numpy as np
from scipy.linalg import sqrtm


def plain_frechet(a, b):
    """Return the Fréchet distance by Heusel et al. 2017, equation 6, with a matrix root."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(first @ second)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * np.real(root))
