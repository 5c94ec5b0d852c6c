"""Table as text, independent of its format."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A table as text. Each of `groups` is one row of the table, as one line of cells or several."""

    heading: str
    headers: tuple[str, ...]
    groups: tuple[tuple[tuple[str, ...], ...], ...]
