"""Near-duplicates: the same image after recompression, scaling, mirroring, a change of brightness, or a crop.

Two stages. Candidates are selected among all pairs by the correlation of band-pass filtered 16 × 16 thumbnails, each
also cropped to 0.9 and 0.8 at five positions and mirrored. The best candidates of an image are then aligned at
64 × 64: the normalised correlation at the best scale and position must reach the threshold. The threshold adapts to
the set: it is higher where any two images are similar, as in medical slices.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

COARSE = 16
MAX_CANDIDATES = 3  # of an image that are aligned
CANDIDATE = 0.55  # correlation at 16 × 16 from which a pair is aligned
THRESHOLD = 0.88  # correlation at 64 × 64 of near-duplicates; its recall: tests/datasets/test_near_duplicates.py
POSITIONS = ((0.5, 0.5), (0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
CROPS = ((1.0, 0.0, 0.0), *((scale, y, x) for scale in (0.9, 0.8) for y, x in POSITIONS))
STEP = 0.05  # between the scales that are tried around a candidate's
MARGIN = 0.4  # below the threshold by this much at a candidate's own scale, other scales are not tried
BLOCK = 256  # images compared at once; bounds the memory


@dataclass(frozen=True)
class Pair:
    """Two near-duplicates: their indices in the two sets, and their similarity, at most 1."""

    first: int
    second: int
    similarity: float


def near_duplicates(first: np.ndarray, second: np.ndarray) -> tuple[list[Pair], float]:
    """Return the near-duplicates between two sets of grey thumbnails, uint8 (N, 64, 64), and the threshold used.

    For each image of `first`, the most similar image of `second` is returned if it reaches the threshold.
    """
    if not len(first) or not len(second):
        return [], THRESHOLD
    threshold = _threshold(first, second)
    pairs = []
    for i, candidates in enumerate(_candidates(first, second)):
        aligned = [(_aligned(first[i], second[j], crop, mirrored, threshold), j) for j, crop, mirrored in candidates]
        if aligned and max(aligned)[0] >= threshold:
            similarity, j = max(aligned)
            pairs.append(Pair(i, int(j), float(similarity)))
    return pairs, threshold


def _threshold(first: np.ndarray, second: np.ndarray) -> float:
    """Return the minimum similarity of near-duplicates: `THRESHOLD`, or more where unrelated images are similar.

    The 95th percentile of the similarity is taken over up to 300 pairs spread over both sets; the threshold lies at
    85 % of the way from there to 1.
    """
    count = min(300, len(first) * len(second))
    a = np.linspace(0, len(first) - 1, count).round().astype(int)
    b = (np.linspace(0, len(second) - 1, count).round().astype(int) * 7 + 3) % len(second)
    similarities = (_features_of(first, a) * _features_of(second, b)).sum(axis=1)
    unrelated = float(np.quantile(similarities, 0.95))
    return max(THRESHOLD, unrelated + 0.85 * (1 - unrelated)) if count >= 20 else THRESHOLD


def _candidates(first: np.ndarray, second: np.ndarray) -> list[list[tuple[int, tuple[float, int], bool]]]:
    """Return for each image of `first` up to `MAX_CANDIDATES` of (index in `second`, (scale, side of the crop),
    mirrored); side 0 is a crop of `first`, side 1 of `second`."""
    first_crops, second_crops = _cropped(first), _cropped(second)  # (N, crops, 16, 16)
    vectors = [_coarse_features(second_crops[:, crop]) for crop in range(len(CROPS))]
    candidates = []
    for start in range(0, len(first), BLOCK):
        block = first_crops[start : start + BLOCK]
        best = np.full((len(block), len(second)), -1.0, np.float32)
        best_codes = np.zeros((len(block), len(second)), np.int16)
        for mirrored in (0, 1):
            crops = block[..., ::-1] if mirrored else block
            whole = _coarse_features(crops[:, 0])
            for crop in range(len(CROPS)):
                sides = [(_coarse_features(crops[:, crop]), vectors[0])]
                if crop:
                    sides.append((whole, vectors[crop]))
                for side, (a, b) in enumerate(sides):
                    similarities = a @ b.T
                    better = similarities > best
                    best[better], best_codes[better] = similarities[better], (crop * 2 + side) * 2 + mirrored
        for row, codes in zip(best, best_codes, strict=True):
            top = np.argsort(-row, kind="stable")[:MAX_CANDIDATES]
            candidates.append([_candidate(int(j), int(codes[j])) for j in top if row[j] >= CANDIDATE])
    return candidates


def _candidate(index: int, code: int) -> tuple[int, tuple[float, int], bool]:
    return index, (CROPS[code // 4][0], code // 2 % 2), bool(code % 2)


def _aligned(a: np.ndarray, b: np.ndarray, crop: tuple[float, int], mirrored: bool, threshold: float) -> float:
    """Return the best normalised correlation of two thumbnails, one placed in the other at scales near the crop's."""
    a = np.ascontiguousarray(a[:, ::-1]) if mirrored else a
    scale, crop_side = crop
    best = -1.0
    for near in (scale, scale - STEP) if scale == 1.0 else (scale, scale + STEP, scale - STEP):
        for side in (0, 1) if near != scale == 1.0 else (crop_side,):
            large, small = (a, b) if side == 0 else (b, a)
            best = max(best, _max_correlation(large, small, near))
        if best < threshold - MARGIN:
            break
    return best


def _max_correlation(large: np.ndarray, small: np.ndarray, scale: float) -> float:
    """Return the highest normalised correlation of `small`, shrunk to `scale`, with any position in `large`.

    Only positions where it lies inside entirely count, so that the transform need be no larger than `large`.
    """
    from scipy.fft import irfft2, rfft2

    side = len(large)
    size = round(side * scale)
    if size < side:
        small = np.asarray(Image.fromarray(small).resize((size, size), Image.Resampling.BOX))
    field, patch = _filtered(large[None], 1.0, 4.0)[0], _filtered(small[None], 1.0, 4.0)[0]
    patch = patch - patch.mean()
    if size == side:
        field = field - field.mean()
        return float((field * patch).sum() / max(float(np.linalg.norm(field) * np.linalg.norm(patch)), 1e-3))
    frame = (side, side)
    window = np.zeros(frame, np.float32)
    window[:size, :size] = 1
    field_spectrum, window_spectrum = rfft2(field), np.conj(rfft2(window))
    valid = slice(0, side - size + 1)
    product = irfft2(field_spectrum * np.conj(rfft2(patch, frame)), frame)[valid, valid]
    total = irfft2(field_spectrum * window_spectrum, frame)[valid, valid]
    squares = irfft2(rfft2(field**2) * window_spectrum, frame)[valid, valid]
    variance = np.maximum(squares - total**2 / size**2, 1e-3)
    return float((product / np.sqrt(variance)).max() / max(float(np.linalg.norm(patch)), 1e-3))


def _cropped(thumbs: np.ndarray) -> np.ndarray:
    """Return the crops of thumbnails at 16 × 16, float32 (N, crops, 16, 16)."""
    side = thumbs.shape[-1]
    boxes = []
    for scale, y, x in CROPS:
        left, top = x * side * (1 - scale), y * side * (1 - scale)
        boxes.append((left, top, left + side * scale, top + side * scale))
    crops = np.empty((len(thumbs), len(CROPS), COARSE, COARSE), np.float32)
    for index, thumb in enumerate(thumbs):
        image = Image.fromarray(thumb)
        for crop, box in enumerate(boxes):
            crops[index, crop] = np.asarray(image.resize((COARSE, COARSE), Image.Resampling.BOX, box=box))
    return crops


def _features_of(images: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return the features of the images at `indices`, those of an image computed once."""
    chosen, places = np.unique(indices, return_inverse=True)
    return _features(images[chosen], 1.0, 4.0)[places]


def _coarse_features(images: np.ndarray) -> np.ndarray:
    return _features(images, 0.5, COARSE / 6)


def _features(images: np.ndarray, fine: float, slow: float) -> np.ndarray:
    """Return images (N, S, S) as unit vectors, float32 (N, S²); an image without any structure is all zero."""
    flat = _filtered(images, fine, slow).reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(length > 1e-2, flat / np.maximum(length, 1e-2), 0).astype(np.float32)


def _filtered(images: np.ndarray, fine: float, slow: float) -> np.ndarray:
    """Return the difference of two Gaussian blurs (a band-pass filter), float32 (N, S, S)."""
    from scipy.ndimage import gaussian_filter

    images = images.astype(np.float32)
    return gaussian_filter(images, (0, fine, fine)) - gaussian_filter(images, (0, slow, slow))
