"""The types of fields in a run's files, with their bounds."""

import math
from typing import Annotated, Literal

from msgspec import Meta

MOST = 1e100  # of a number's magnitude: sums of such numbers, and of their squares, stay finite

Text = Annotated[str, Meta(max_length=100_000)]
Name = Annotated[str, Meta(min_length=1, max_length=1_000)]
Natural = Annotated[int, Meta(ge=0, le=2**53)]  # every one of them is exact as a float
Number = Annotated[float, Meta(ge=-MOST, le=MOST)]  # excludes NaN and infinities
NonNegative = Annotated[float, Meta(ge=0, le=MOST)]
Share = Annotated[float, Meta(ge=0, le=1)]
Direction = Literal["AtoB", "BtoA"]
Integer = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Scalar = bool | Integer | Number | Text | None


def ensure_measured(name: str, value: float) -> None:
    """Raise ValueError for a finite number that is too large to be summed."""
    if MOST < abs(value) < math.inf:
        raise ValueError(f"{name} is {value:g}: beyond {MOST:g}")
