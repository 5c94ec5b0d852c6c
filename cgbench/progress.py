"""The type of a progress callback."""

from collections.abc import Callable

ProgressCallback = Callable[[int, int], None]  # called with (done, total)
