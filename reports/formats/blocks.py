"""A block of a printed table: header and rows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A table as text: `groups` are the lines of one row of the paper each."""

    heading: str
    headers: tuple[str, ...]
    groups: tuple[tuple[tuple[str, ...], ...], ...]
