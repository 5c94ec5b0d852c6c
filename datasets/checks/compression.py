"""Comparison of file formats, compression and image sizes between sets, which would tell the domains apart.

Headers tell formats, JPEG qualities and sizes. A JPEG that was saved as PNG again keeps the 8 × 8 grid of its blocks in
its pixels, up to a quality of about 90 and unless it was resized since (`block_grid`). Domains of label maps
are left out: they must be lossless.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cgbench.api.dataset import Dataset
from cgbench.api.names import Split
from cgbench.datasets.checks.image_stats import ImageStats
from cgbench.datasets.checks.report import Issue
from cgbench.datasets.images.decoding import Header

MIN_SHARE = 0.25  # difference of the shares of lossy files, or of JPEG, from which two sets differ
MIN_QUALITY = 10  # difference of the median JPEG qualities
MIN_SUBSAMPLING = 0.5  # difference of the shares of JPEG files with reduced chroma
MIN_SCALE = 2.0  # ratio of the median sizes (square roots of the pixel counts)
MIN_EFFECT = 0.9  # share of pairs of images, one of each set, that the number orders alike
# median `block_grid` of a set with JPEG blocks and of one without; of photos at quality 90 it is 0.04, of others 0.005
GRID, NO_GRID = 0.035, 0.02
MIN_IMAGES = 4  # of each set, from which their pixels are compared

SetName = tuple[str, str]  # split and letter
FIX = "prepare both alike: one size and one format; where one exists as JPEG only, save the other at its quality first"
CONSEQUENCES = {
    "domains": "a discriminator and FID can separate the domains by {} alone",
    "splits": "FID and all distances to test images would measure {} too",
}


@dataclass(frozen=True)
class SetFormats:
    """Formats, JPEG qualities, chroma subsamplings and sizes (square roots of pixel counts) of a set's files."""

    headers: Sequence[Header]

    @property
    def lossy(self) -> float:
        """The share of files whose compression is lossy."""
        return sum(header.lossy for header in self.headers) / len(self.headers)

    @property
    def jpeg(self) -> float:
        """The share of JPEG files."""
        return sum(header.quality > 0 for header in self.headers) / len(self.headers)

    @property
    def qualities(self) -> list[int]:
        return [header.quality for header in self.headers if header.quality]

    @property
    def reduced_chroma(self) -> float:
        """The share of files with reduced chroma among JPEG files with colours."""
        found = [header.subsampling for header in self.headers if header.subsampling]
        return sum(name != "4:4:4" for name in found) / len(found) if found else 0.0

    @property
    def scales(self) -> list[float]:
        return [(header.width * header.height) ** 0.5 for header in self.headers]

    def text(self) -> str:
        """Return the most frequent format, with its quality, and size: "JPEG, quality about 75, 4:2:0, 256 × 256"."""
        parts = [_usual([_format(header) for header in self.headers])]
        if parts[0].endswith("JPEG"):
            parts.append(f"quality about {np.median(self.qualities):.0f}")
            subsamplings = [header.subsampling for header in self.headers if header.subsampling]
            parts += [_usual(subsamplings)] if subsamplings else []
        return ", ".join([*parts, _usual([f"{header.width} × {header.height}" for header in self.headers])])


def compare_formats(dataset: Dataset, headers: Mapping[SetName, Sequence[Header]]) -> list[Issue]:
    """Return an issue for the training sets of the domains, and one for test and training set of a domain, whose files
    differ in format, JPEG quality, chroma subsampling or size; known from headers alone."""
    issues = []
    for kind, first, second in _comparisons(dataset):
        if reason := _difference(headers, first, second):
            described = "; ".join(f"{_title(name)}: {SetFormats(headers[name]).text()}" for name in (first, second))
            issues.append(Issue("compression", "warning", f"{described}: {CONSEQUENCES[kind].format(reason)}", FIX))
    return issues


def compare_block_grids(
    dataset: Dataset, stats: Sequence[ImageStats], headers: Mapping[SetName, Sequence[Header]]
) -> list[Issue]:
    """Return an issue for each pair of sets of which one has the grid of JPEG blocks in its pixels and the other has
    not. Pairs that `compare_formats` reports by their headers are left out."""
    grids: dict[SetName, list[float]] = {}
    for image in stats:
        if image.item.file is not None and image.block_grid is not None:
            grids.setdefault((image.split, image.letter), []).append(image.block_grid)
    issues = []
    for kind, first, second in _comparisons(dataset):
        a, b = grids.get(first, []), grids.get(second, [])
        if min(len(a), len(b)) < MIN_IMAGES or "compression" in _difference(headers, first, second):
            continue
        medians, order = (float(np.median(a)), float(np.median(b))), share_ordered(a, b)
        if max(medians) < GRID or min(medians) > NO_GRID or max(order, 1 - order) < MIN_EFFECT:
            continue
        with_grid, without = (first, second) if medians[0] > medians[1] else (second, first)
        text = (
            f"{_title(with_grid)} has the 8 × 8 grid of JPEG in its pixels, {_title(without)} has not "
            f"({max(medians):.2f} and {min(medians):.2f}): {CONSEQUENCES[kind].format('compression')}"
        )
        issues.append(Issue("compression", "warning", text, FIX))
    return issues


def share_ordered(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the share of pairs of one number each in which that of `a` is larger, ties counting half: 0 to 1."""
    first, second = np.asarray(a)[:, None], np.sort(np.asarray(b))
    below = np.searchsorted(second, first, "left") + np.searchsorted(second, first, "right")
    return float(below.mean() / (2 * len(second)))


def _comparisons(dataset: Dataset) -> list[tuple[str, SetName, SetName]]:
    """Return the pairs of sets to compare: domains in training, test against training."""
    photos = [letter for letter, domain in zip("AB", dataset.domains, strict=True) if domain.kind == "photo"]
    between = [("domains", (Split.TRAIN, "A"), (Split.TRAIN, "B"))] if len(photos) == 2 else []
    return [*between, *(("splits", (Split.TEST, letter), (Split.TRAIN, letter)) for letter in photos)]


def _difference(headers: Mapping[SetName, Sequence[Header]], first: SetName, second: SetName) -> str:
    """Return by what two sets differ, "compression", "size" or both; "" where they are alike or one has no files."""
    if not headers.get(first) or not headers.get(second):
        return ""
    a, b = SetFormats(headers[first]), SetFormats(headers[second])
    compression = max(abs(a.lossy - b.lossy), abs(a.jpeg - b.jpeg)) >= MIN_SHARE
    if min(a.jpeg, b.jpeg) >= 0.5 and not compression:
        quality = abs(float(np.median(a.qualities) - np.median(b.qualities)))
        order = share_ordered(a.qualities, b.qualities)
        compression = quality >= MIN_QUALITY and max(order, 1 - order) >= MIN_EFFECT
        compression = compression or abs(a.reduced_chroma - b.reduced_chroma) >= MIN_SUBSAMPLING
    ratio, order = float(np.median(a.scales) / np.median(b.scales)), share_ordered(a.scales, b.scales)
    size = max(ratio, 1 / ratio) >= MIN_SCALE and max(order, 1 - order) >= MIN_EFFECT
    return " and ".join([*(["compression"] if compression else []), *(["size"] if size else [])])


def _usual(names: Sequence[str]) -> str:
    (name, count), *others = Counter(names).most_common()
    return f"mostly {name}" if others and count < len(names) else name


def _format(header: Header) -> str:
    """Return the name of a file's format, and of TIFF and WebP whether it is lossy."""
    if header.format in ("TIFF", "WEBP"):
        return f"{'lossy' if header.lossy else 'lossless'} {'WebP' if header.format == 'WEBP' else 'TIFF'}"
    return "JPEG" if header.format == "MPO" else header.format


def _title(name: SetName) -> str:
    return f"{name[0]} {name[1]}"
