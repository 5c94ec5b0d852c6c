"""Label images: which class a colour means."""

from collections.abc import Sequence

import numpy as np

from cgbench.api.dataset import SemanticClass
from cgbench.api.names import IGNORE
from cgbench.errors import CgbenchError

PIXELS_AT_ONCE = 2**18  # bounds the memory


def nearest_class(
    images: np.ndarray, palette: Sequence[SemanticClass], void: Sequence[tuple[int, int, int]] = ()
) -> np.ndarray:
    """Return the id of the nearest palette colour of each pixel: uint8 (..., 3) to uint8 (...).

    Nearest by L2 distance in RGB; the lowest id where several are equally near. Pixels nearest to one of the `void`
    colours become 255. An empty palette, one of more than 255 classes and one with a colour twice raise `CgbenchError`.
    """
    colours = np.concatenate([_checked_colours(palette), np.array(void, np.float32).reshape(-1, 3)])
    ids = np.array([*range(len(palette)), *(IGNORE for _ in void)], np.uint8)
    pixels = images.reshape(-1, 3)
    found = np.empty(len(pixels), np.uint8)
    # |x - c|² = |x|² - 2 x·c + |c|², and |x|² does not matter; all whole numbers below 2^24, so float32 is exact
    weights, offsets = -2 * colours.T, (colours**2).sum(axis=1)
    for start in range(0, len(pixels), PIXELS_AT_ONCE):
        part = slice(start, start + PIXELS_AT_ONCE)
        found[part] = ids[np.argmin(pixels[part].astype(np.float32) @ weights + offsets, axis=1)]
    return found.reshape(images.shape[:-1])


def _checked_colours(palette: Sequence[SemanticClass]) -> np.ndarray:
    """Return the palette's colours, float32 (C, 3), different from one another."""
    if not 1 <= len(palette) <= 255:
        raise CgbenchError(f"a palette of {len(palette)} classes cannot be decoded: it needs 1 to 255")
    for i, item in enumerate(palette):
        for other in palette[:i]:
            if tuple(other.colour) == tuple(item.colour):
                raise CgbenchError(f"palette: classes '{other.name}' and '{item.name}' share the colour {item.colour}")
    return np.array([item.colour for item in palette], np.float32)
