"""The number format of a domain: that of its files by their headers, and the files that have another one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cgbench.api.dataset import FileProblem
from cgbench.datasets.images.stored import is_picture, stored_format
from cgbench.errors import DataBroken
from cgbench.formatting import plural, printable
from cgbench.pixel_format import RGB8, PixelFormat

MIXED, UNREADABLE = "mixed", "unreadable"


@dataclass(frozen=True)
class DomainFormat:
    """The format of most files of a domain, and a problem for each file that has another one, or one that is not
    read."""

    pixels: PixelFormat = RGB8
    problems: Mapping[Path, FileProblem] = field(default_factory=dict)


def domain_format(files: Sequence[Path], letter: str) -> DomainFormat:
    """Return the format of the files of domain `letter`, "A" or "B". Files that cannot be opened are left out: whoever
    reads them says what is wrong."""
    formats: dict[Path, PixelFormat] = {}
    problems: dict[Path, FileProblem] = {}
    for path in dict.fromkeys(files):
        try:
            picture = is_picture(path)
        except DataBroken:
            continue
        try:
            formats[path] = RGB8 if picture else PixelFormat(*stored_format(path), window=None)
        except DataBroken as error:
            text = str(error).removeprefix(f"{printable(str(path))}: ")
            problems[path] = FileProblem(path, text, UNREADABLE)
    if not formats:
        return DomainFormat(problems=problems)
    (usual, count), *_ = Counter(formats.values()).most_common()
    example = next(path for path, pixels in formats.items() if pixels == usual)
    most = f"{count} of {plural(len(formats), 'file')} of domain {letter} hold {_words(usual)}"
    for path, pixels in formats.items():
        if pixels != usual:
            named = f"{printable(example.parent.name)}/{printable(example.name)}"
            text = f"holds {_words(pixels)}, but {most}, such as {named}: store all images of a domain alike"
            problems[path] = FileProblem(path, text, MIXED)
    return DomainFormat(usual, problems)


def _words(pixels: PixelFormat) -> str:
    return "an 8-bit picture" if pixels.is_rgb8 else pixels.described().split(", ")[0]
