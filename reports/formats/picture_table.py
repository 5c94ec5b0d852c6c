"""Table of pictures in stored numbers, independent of its format."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

DIVERGING = "RdBu_r"  # of matplotlib: blue below 0, white at 0, red above


@dataclass(frozen=True)
class Scale:
    """How numbers become grey, or where `diverging` colours around 0: the numbers at its ends, and its label."""

    low: float
    high: float
    label: str
    diverging: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """Numbers (H, W), the name of their scale, the text below, and the height of a pixel over its width."""

    numbers: np.ndarray
    scale: str
    caption: str = ""
    aspect: float = 1.0

    @property
    def shape(self) -> tuple[float, float]:
        """Height and width in widths of a pixel."""
        return self.numbers.shape[0] * self.aspect, float(self.numbers.shape[1])


@dataclass(frozen=True, eq=False)
class PictureTable:
    """Pictures by row and column, or a text in place of one; `name` is that of the figure's file, `note` the text
    below."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[Picture | str, ...], ...]
    scales: Mapping[str, Scale]
    note: str = ""
