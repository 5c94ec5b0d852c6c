"""Near-duplicates: the same picture after recompression, scaling, mirroring, a change of light, or a crop.

Two stages. Candidates are found among all pairs by the correlation of 16 × 16 thumbnails without their slow changes
of light, each also cropped to 0.9 and 0.8 at five places and mirrored. The best candidates of a picture are then
laid over one another at 64 × 64: the normalised correlation at the best scale and place must reach the threshold.
The threshold follows the set: where any two pictures are alike, as in medical slices, more is asked for.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

COARSE = 16
BEST = 3  # candidates of a picture that are looked at closely
CANDIDATE = 0.55  # correlation of 16 × 16 from which a pair is looked at closely
CLOSE = 0.88  # correlation at 64 × 64 that makes a near-duplicate; see tests/test_duplicates.py for what it finds
PLACES = ((0.5, 0.5), (0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
CROPS = ((1.0, 0.0, 0.0), *((scale, y, x) for scale in (0.9, 0.8) for y, x in PLACES))
STEP = 0.05  # between the scales that are tried around a candidate's
HOPELESS = 0.4  # below the threshold by this much at a candidate's own scale, others are not tried
BLOCK = 256  # pictures compared at once; bounds the memory


@dataclass(frozen=True)
class Pair:
    """Two near-duplicates: their places in the two sets, and how alike they are, up to 1."""

    first: int
    second: int
    likeness: float


def near_duplicates(first: np.ndarray, second: np.ndarray) -> tuple[list[Pair], float]:
    """Return the near-duplicates between two sets of grey thumbnails, uint8 (N, 64, 64), and the threshold used.

    For each picture of `first` the most alike one of `second` is returned, if it is alike enough.
    """
    if not len(first) or not len(second):
        return [], CLOSE
    threshold = _threshold(first, second)
    pairs = []
    for place, candidates in enumerate(_candidates(first, second)):
        close = [(_overlaid(first[place], second[j], crop, turned, threshold), j) for j, crop, turned in candidates]
        if close and max(close)[0] >= threshold:
            likeness, j = max(close)
            pairs.append(Pair(place, int(j), float(likeness)))
    return pairs, threshold


def _threshold(first: np.ndarray, second: np.ndarray) -> float:
    """Return how alike two pictures must be: `CLOSE`, or more where unrelated pictures are alike already.

    Up to 300 pairs spread over both sets say how alike unrelated ones are: of the likeness that five in a hundred
    exceed, 85 % of what is left to 1 is asked for.
    """
    count = min(300, len(first) * len(second))
    a = np.linspace(0, len(first) - 1, count).round().astype(int)
    b = (np.linspace(0, len(second) - 1, count).round().astype(int) * 7 + 3) % len(second)
    alike = (_features(first[a], 1.0, 4.0) * _features(second[b], 1.0, 4.0)).sum(axis=1)
    usual = float(np.quantile(alike, 0.95))
    return max(CLOSE, usual + 0.85 * (1 - usual)) if count >= 20 else CLOSE


def _candidates(first: np.ndarray, second: np.ndarray) -> list[list[tuple[int, tuple[float, int], bool]]]:
    """Return for each picture of `first` up to `BEST` (place in `second`, (scale, which is the crop), mirrored)."""
    ours, theirs = _cropped(first), _cropped(second)  # (N, crops, 16, 16)
    vectors = [_coarse(theirs[:, crop]) for crop in range(len(CROPS))]
    found = []
    for start in range(0, len(first), BLOCK):
        part = ours[start : start + BLOCK]
        best = np.full((len(part), len(second)), -1.0, np.float32)
        how = np.zeros((len(part), len(second)), np.int16)
        for mirrored in (0, 1):
            turned = part[..., ::-1] if mirrored else part
            whole = _coarse(turned[:, 0])
            for crop in range(len(CROPS)):
                sides = [(_coarse(turned[:, crop]), vectors[0])]
                if crop:
                    sides.append((whole, vectors[crop]))
                for side, (a, b) in enumerate(sides):
                    alike = a @ b.T
                    better = alike > best
                    best[better], how[better] = alike[better], (crop * 2 + side) * 2 + mirrored
        for row, codes in zip(best, how, strict=True):
            top = np.argsort(-row, kind="stable")[:BEST]
            found.append([_decoded(int(j), int(codes[j])) for j in top if row[j] >= CANDIDATE])
    return found


def _decoded(place: int, code: int) -> tuple[int, tuple[float, int], bool]:
    return place, (CROPS[code // 4][0], code // 2 % 2), bool(code % 2)


def _overlaid(ours: np.ndarray, theirs: np.ndarray, crop: tuple[float, int], mirrored: bool, wanted: float) -> float:
    """Return the best normalised correlation of two thumbnails, one laid into the other at scales near the crop's."""
    ours = np.ascontiguousarray(ours[:, ::-1]) if mirrored else ours
    scale, side = crop
    best = -1.0
    for near in (scale, scale - STEP) if scale == 1.0 else (scale, scale + STEP, scale - STEP):
        for which in (0, 1) if near != scale == 1.0 else (side,):
            large, small = (ours, theirs) if which == 0 else (theirs, ours)
            best = max(best, _laid_into(large, small, near))
        if best < wanted - HOPELESS:
            break
    return best


def _laid_into(large: np.ndarray, small: np.ndarray, scale: float) -> float:
    """Return the highest normalised correlation of `small`, shrunk to `scale`, with any place in `large`.

    Only places where all of it lies inside count, so that the transform need be no larger than `large`.
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
    spread, under = rfft2(field), np.conj(rfft2(window))
    places = slice(0, side - size + 1)
    product = irfft2(spread * np.conj(rfft2(patch, frame)), frame)[places, places]
    total = irfft2(spread * under, frame)[places, places]
    squares = irfft2(rfft2(field**2) * under, frame)[places, places]
    variance = np.maximum(squares - total**2 / size**2, 1e-3)
    return float((product / np.sqrt(variance)).max() / max(float(np.linalg.norm(patch)), 1e-3))


def _cropped(thumbs: np.ndarray) -> np.ndarray:
    """Return the crops of thumbnails at 16 × 16, float32 (N, crops, 16, 16)."""
    side = thumbs.shape[-1]
    boxes = []
    for scale, y, x in CROPS:
        left, top = x * side * (1 - scale), y * side * (1 - scale)
        boxes.append((left, top, left + side * scale, top + side * scale))
    out = np.empty((len(thumbs), len(CROPS), COARSE, COARSE), np.float32)
    for index, thumb in enumerate(thumbs):
        picture = Image.fromarray(thumb)
        for place, box in enumerate(boxes):
            out[index, place] = picture.resize((COARSE, COARSE), Image.Resampling.BOX, box=box)
    return out


def _coarse(pictures: np.ndarray) -> np.ndarray:
    return _features(pictures, 0.5, COARSE / 6)


def _features(pictures: np.ndarray, fine: float, slow: float) -> np.ndarray:
    """Return pictures (N, S, S) as unit vectors, float32 (N, S²); one without any structure is all zero."""
    flat = _filtered(pictures, fine, slow).reshape(len(pictures), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(length > 1e-2, flat / np.maximum(length, 1e-2), 0).astype(np.float32)


def _filtered(pictures: np.ndarray, fine: float, slow: float) -> np.ndarray:
    """Return the difference of two Gaussian blurs, float32 (N, S, S)."""
    from scipy.ndimage import gaussian_filter

    pictures = pictures.astype(np.float32)
    return gaussian_filter(pictures, (0, fine, fine)) - gaussian_filter(pictures, (0, slow, slow))
