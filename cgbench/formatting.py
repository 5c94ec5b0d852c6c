"""Durations, sizes and counts as text, names made printable, and text in lines that fit."""

import re
import shlex
import textwrap
from collections.abc import Sequence

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
MIN_WIDTH = 60  # of a terminal: a narrower one breaks lines itself


def printable(text: str, keep: str = "") -> str:
    """Return `text` with unencodable and control characters escaped, apart from those in `keep`.

    A file name on Linux is any bytes: those that are not UTF-8 become `\\xe9`, control characters `\\x1b`.
    """
    try:
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return escaped_controls(text, keep)


def escaped_controls(text: str, keep: str = "") -> str:
    """Return `text` with control characters, and those that change the direction of writing, as their escapes, apart
    from those in `keep`."""
    return CONTROLS.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


def utf8(text: str) -> bytes:
    """Return text as UTF-8; a lone surrogate, as in a file name that is not UTF-8, becomes its escape `\\udce9`."""
    return text.encode("utf-8", "backslashreplace")


def shell_word(text: str) -> str:
    """Return `text` as one word of a shell command that can be printed and pasted.

    A name with control characters, or bytes that are not UTF-8, is written as `$'caf\\xe9'`, which bash, zsh and ksh
    read; any other is quoted as every shell reads it.
    """
    if printable(text) == text:
        return shlex.quote(text)
    return "$'" + printable(text.replace("\\", r"\\").replace("'", r"\'")) + "'"


def plural(count: int, word: str) -> str:
    """Return a count with its noun: `1 seed`, `3 seeds`, `2 processes`."""
    if count == 1:
        return f"1 {word}"
    return f"{count} {word}{'es' if word.endswith(('s', 'x', 'ch')) else 's'}"


def duration(seconds: float) -> str:
    """Return a length of time: `42 s`, `7 min`, `3.5 h`, `2.1 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def size(count: float) -> str:
    """Return a number of bytes: `12 MB`, `3.4 GB`."""
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def shortened(text: str, length: int = 60) -> str:
    """Return `text` as it is, or its first `length` characters and how many it has."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text):,} characters)"


def listed(names: Sequence[str]) -> str:
    """Return names as "a", "a and b", or "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def wrapped(text: str, width: int, first: str = "", later: str = "") -> str:
    """Return `text` in lines of at most `width` characters that begin with `first` and `later`; no word is broken."""
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
