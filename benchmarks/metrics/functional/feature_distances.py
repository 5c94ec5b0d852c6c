"""Distances between two sets of features: Fréchet distance (FID) and kernel distance (KID)."""

import numpy as np

SUBSETS = 100
SUBSET_SIZE = 1000
JACKKNIFE_ROWS = 4000  # larger sets are subsampled to this size for the standard error


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return |m₁ − m₂|² + tr(S₁ + S₂ − 2 (S₁ S₂)^½) of features (N, D) and (M, D), N and M at least 2.

    Heusel et al. 2017, equation 6, with unbiased covariances. The trace of the root is the sum of the singular values
    of R₁ R₂ᵀ, where Rᵢᵀ Rᵢ = Sᵢ: without a matrix root, N < D needs no correction. Fewer than two rows raise
    `ValueError`.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"the Fréchet distance needs two images or more of each kind: {len(first)}, {len(second)}")
    means = [features.mean(axis=0, dtype=np.float64) for features in (first, second)]
    roots = [
        np.asarray(np.linalg.qr((features - mean) / np.sqrt(len(features) - 1), mode="r"))
        for features, mean in zip((first, second), means, strict=True)
    ]
    spread = sum((root**2).sum() for root in roots)
    shared = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    return max(0.0, float(((means[0] - means[1]) ** 2).sum() + spread - 2 * shared))


def kernel_distance(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> float:
    """Return the unbiased squared kernel distance of features (N, D) and (M, D), N and M at least 2.

    Bińkowski et al. 2018, section 4: kernel (x·y / D + 1)³, mean over 100 pairs of subsets of min(N, M, 1000) rows,
    drawn without replacement from `rng`; not scaled. Fewer than two rows raise `ValueError`.
    """
    size = min(len(first), len(second), SUBSET_SIZE)
    if size < 2:
        raise ValueError(f"the kernel distance needs two images or more of each kind: {len(first)}, {len(second)}")
    if size == len(first) == len(second):
        return _unbiased(*_kernels(first, second))  # every subset would be the whole set
    estimates = [
        _unbiased(
            *_kernels(*(features[rng.choice(len(features), size, replace=False)] for features in (first, second)))
        )
        for _ in range(SUBSETS)
    ]
    return float(np.mean(estimates))


def kernel_error(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> float:
    """Return the standard error of the kernel distance over images, by the jackknife of both sets; NaN below 3 rows.

    It is that of fresh images of both kinds. The deviation over subsets would not estimate it, for subsets of the same
    images overlap. The jackknife is right where the sets differ, and up to √2 too large where they are equal: the part
    of second order, all that is left there, counts twice (Efron, Stein 1981). Two methods share the real images and
    the scenes: √(e₁² + e₂²) is too large an error of their difference where these move both distances alike.
    """
    samples = [
        features if len(features) <= JACKKNIFE_ROWS else features[rng.choice(len(features), JACKKNIFE_ROWS, False)]
        for features in (first, second)
    ]
    within_first, within_second, between = _kernels(*samples)
    n, m = between.shape
    if min(n, m) < 3:
        return float("nan")
    off_diagonal = [kernel.sum() - np.trace(kernel) for kernel in (within_first, within_second)]
    means = off_diagonal[0] / (n * (n - 1)), off_diagonal[1] / (m * (m - 1))
    rows = [kernel.sum(axis=0) - np.diag(kernel) for kernel in (within_first, within_second)]
    without_first = (
        (off_diagonal[0] - 2 * rows[0]) / ((n - 1) * (n - 2))
        + means[1]
        - 2 * (between.sum() - between.sum(1)) / ((n - 1) * m)
    )
    without_second = (
        (off_diagonal[1] - 2 * rows[1]) / ((m - 1) * (m - 2))
        + means[0]
        - 2 * (between.sum() - between.sum(0)) / (n * (m - 1))
    )
    variance = sum((len(values) - 1) * np.var(values) for values in (without_first, without_second))
    return float(np.sqrt(variance))


def kernel_contributions(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return each scene's contribution to the kernel distance (N,), of features (N, D) and (N, D) whose rows show one
    scene each; their mean is the distance. 3 to 4000 rows; other numbers raise `ValueError`.

    They are the pseudo-values of the jackknife over scenes (Efron, Stein 1981), moved to that mean. Their standard
    deviation / √N is the distance's standard error over other scenes; that of the contributions' difference between two
    methods the standard error of the difference of the distances, since both methods have the scenes in common.
    """
    count = len(first)
    if not 3 <= count == len(second) <= JACKKNIFE_ROWS:
        raise ValueError(f"contributions need 3 to {JACKKNIFE_ROWS} rows, as many of each kind: {count}, {len(second)}")
    within_first, within_second, between = _kernels(first, second)
    sums: np.ndarray | float = 0.0  # without one scene: of both kernels within, without each row's with itself
    for kernel in (within_first, within_second):
        np.fill_diagonal(kernel, 0)
        sums = sums + kernel.sum() - 2 * kernel.sum(axis=0)
    across = between.sum() - between.sum(axis=0) - between.sum(axis=1) + np.diag(between)
    without = sums / ((count - 1) * (count - 2)) - 2 * across / (count - 1) ** 2
    distance = (within_first.sum() + within_second.sum()) / (count * (count - 1)) - 2 * between.mean()
    return (count - 1) * (without.mean() - without) + distance


def _kernels(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the kernel matrices (N, N), (M, M) and (N, M)."""
    x, y = first.astype(np.float64), second.astype(np.float64)
    return tuple((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))


def _unbiased(within_first: np.ndarray, within_second: np.ndarray, between: np.ndarray) -> float:
    """Return the estimate without each row's kernel with itself (Gretton et al. 2012, lemma 6)."""
    within = [(kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1)) for kernel in
             (within_first, within_second)]  # fmt: skip
    return float(sum(within) - 2 * between.mean())
