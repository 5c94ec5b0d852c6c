"""Markdown tables, lists and escaping."""

import textwrap
from collections.abc import Sequence

WIDTH = 110  # characters in a line of notes


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells as a Markdown table with aligned columns; the first line is the header."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    ruled = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in ruled)


def escaped(text: str) -> str:
    """Return plain text escaped for Markdown, on one line."""
    for character in "\\|*`[":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split())


def bullet(text: str) -> str:
    """Return a note as an item of a Markdown list, escaped and wrapped."""
    return textwrap.fill(
        escaped_text(text),
        WIDTH,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def escaped_text(text: str) -> str:
    """Return plain text escaped for Markdown, on one line, with its leading spaces."""
    return " " * (len(text) - len(text.lstrip(" "))) + escaped(text)
