"""Checks of decoded images and label maps: unusable, blank, tiny, of another shape, repeated, swapped domains."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from cgbench.api.dataset import Dataset
from cgbench.api.names import Split
from cgbench.datasets.checks.image_stats import ImageStats, LabelStats
from cgbench.datasets.checks.report import Issue, display_name, issues_for
from cgbench.datasets.images.decoding import DARK_LEVEL, SPREAD_LEVELS, arrive_black, is_sixteen_bit, same_shape
from cgbench.formatting import plural

MIN_SIDE = 16  # pixels
MAX_ASPECT_FACTOR = 1.25  # between an image's width : height and the usual one of its domain
MIN_MAJORITY = 2 / 3  # share of a domain's images whose aspect ratio is its usual one
SQUARE = 0.05  # by which the width : height of an image that is called square may differ from 1
SHAPES_NAMED = 3  # groups of shapes that the text about a domain without a usual one names
SHAPE_FIX = "use --set resize_mode=crop, or crop them: resize_mode=squash would distort them"
SIGNIFICANCE = 1e-3  # probability of as many test images on the wrong side, if each were assigned by a coin
MIN_ACCURACY = 0.8  # share of training images that must be classified correctly before test images are


def check_images(stats: Sequence[ImageStats]) -> list[Issue]:
    """Return an issue for each image that cannot be used, has one colour, is very small, or is almost black after the
    conversion from 16 bits."""
    broken = [(image.name, image.problem) for image in stats if image.problem]
    issues = issues_for("unreadable", "error", "mend, replace or remove them", dict.fromkeys(broken))
    good = [image for image in stats if not image.problem]
    dark = [image for image in good if _is_dark(image)]
    flat = [image for image in good if image.constant and image.domain.kind == "photo" and image not in dark]
    entries = [(image.name, "one colour from edge to edge") for image in flat]
    issues += issues_for("constant", "warning", "remove them, unless they are meant", entries)
    small = [image for image in good if min(image.height, image.width) < MIN_SIDE and image.item.file]
    entries = [(image.name, f"{image.width} × {image.height} pixels") for image in small]
    issues += issues_for("tiny", "warning", "replace them: enlarged, they are a blur", entries)
    return issues + _dark_issues(good, dark)


def _is_dark(image: ImageStats) -> bool:
    return image.domain.pixels.is_rgb8 and image.thumb.max() < DARK_LEVEL and is_sixteen_bit(image.item.file)


def _dark_issues(good: Sequence[ImageStats], dark: Sequence[ImageStats]) -> list[Issue]:
    """Return an issue for each almost black 16-bit picture: an error where all 16-bit pictures of its set are so."""
    issues = []
    for name in dict.fromkeys((image.split, image.letter) for image in dark):
        of_set = [image for image in good if (image.split, image.letter) == name]
        levels = [image.brightest for image in of_set if is_sixteen_bit(image.item.file)]
        severity = "error" if arrive_black(levels, len(of_set)) else "warning"
        text = f"no level above {DARK_LEVEL - 1} of 255"
        entries = [(image.name, text) for image in dark if (image.split, image.letter) == name]
        issues += issues_for("dark", severity, SPREAD_LEVELS, entries)
    return issues


def check_labels(dataset: Dataset, stats: Sequence[ImageStats]) -> list[Issue]:
    """Return an issue for each label map that cannot be used, is blank, has ids beyond the palette, or does not match
    the shape of its photo."""
    issues, labels_by_file = [], {}
    for image in stats:
        if image.labels is None and not image.labels_problem:
            continue
        name = display_name(image.item.labels_file, dataset.root) if image.item.labels_file else image.name
        if image.labels_problem:
            issues += issues_for("unreadable", "error", "mend, replace or remove them", [(name, image.labels_problem)])
            continue
        labels_by_file[image.item.labels_file] = image.labels
        issues += _label_issues(name, image.labels, len(dataset.palette))
    fix = "a label map must show its photo, whole: make both anew"
    for image in stats:
        labels = image.labels or labels_by_file.get(image.item.labels_file)
        if image.problem or labels is None or (image.item.labels_file is None and image.labels is None):
            continue
        if not same_shape(image.height, image.width, labels.height, labels.width):
            text = f"{image.width} × {image.height}, its label map {labels.width} × {labels.height}"
            issues.append(Issue("label-shape", "error", text, fix, (image.name,)))
    return issues


def _label_issues(name: str, labels: LabelStats, classes: int) -> list[Issue]:
    if classes and labels.largest >= classes:
        text = f"class id {labels.largest}, but the palette has {classes} classes (0 to {classes - 1}, 255 ignored)"
        return [Issue("label-ids", "error", text, "store ids of the palette", (name,))]
    if labels.classes <= 1:
        text = "all of it is ignored" if not labels.classes else f"class {labels.largest} from edge to edge"
        return [Issue("blank", "warning", text, "look at them: a label map without classes teaches nothing", (name,))]
    return []


def check_shapes(stats: Sequence[ImageStats]) -> list[Issue]:
    """Return an issue for each image of another aspect ratio than most of its domain, one for a domain in which no
    ratio is that of most, and one where the domains' usual ratios differ."""
    issues, usual = [], {}
    for letter in "AB":
        usable = [image for image in stats if image.letter == letter and not image.problem]
        if not usable:
            continue
        groups = aspect_groups([image.width / image.height for image in usable])
        aspect, count = groups[0]
        if count < MIN_MAJORITY * len(usable):
            issues.append(Issue("shape", "warning", _shapes_text(letter, groups, len(usable)), SHAPE_FIX))
            continue
        usual[letter] = aspect
        outliers = [image for image in usable if not _is_close(image.width / image.height, aspect)]
        text = f"width : height is about {aspect:.2f} in {count} of {len(usable)} pictures of domain {letter}"
        entries = [(image.name, f"{image.width} × {image.height}; {text}") for image in outliers]
        issues += issues_for("shape", "warning", SHAPE_FIX, entries)
    if len(usual) == 2 and not _is_close(usual["A"], usual["B"]):
        text = f"width : height is mostly about {usual['A']:.2f} in A and {usual['B']:.2f} in B"
        fix = "use --set resize_mode=crop: squashed, the distortion alone would tell the domains apart"
        issues.append(Issue("shape", "warning", text, fix))
    return issues


def aspect_groups(aspects: Sequence[float]) -> list[tuple[float, int]]:
    """Return groups of like aspect ratios (width : height), the largest first: the most frequent ratio of each, and how
    many of the ratios, each in one group, are within `MAX_ASPECT_FACTOR` of it."""
    left, reach, groups = np.sort(np.log(np.asarray(aspects, np.float64))), np.log(MAX_ASPECT_FACTOR), []
    while len(left):
        found, counts = np.unique(left.round(4), return_counts=True)
        low, high = np.searchsorted(left, found - reach, "right"), np.searchsorted(left, found + reach, "left")
        best = np.lexsort((counts, high - low))[-1]  # of those with the most neighbours the most frequent
        groups.append((float(np.exp(found[best])), int(high[best] - low[best])))
        left = np.delete(left, np.s_[low[best] : high[best]])
    return sorted(groups, key=lambda group: -group[1])


def _shapes_text(letter: str, groups: Sequence[tuple[float, int]], total: int) -> str:
    """Return the shapes of a domain without a usual one: "of 20 pictures 10 lying (about 1.33), 10 upright (...)"."""
    texts = []
    for aspect, count in groups[:SHAPES_NAMED]:
        word = "lying" if aspect > 1 + SQUARE else "upright" if aspect < 1 - SQUARE else "square"
        texts.append(f"{count} {word} (about {aspect:.2f})")
    others = sum(count for _, count in groups[SHAPES_NAMED:])
    more = [f"{others} of other shapes"] if others else []
    return f"domain {letter} has no usual width : height: of {total} pictures {', '.join([*texts, *more])}"


def _is_close(aspect: float, reference: float) -> bool:
    return 1 / MAX_ASPECT_FACTOR < aspect / reference < MAX_ASPECT_FACTOR


def check_repeated(stats: Sequence[ImageStats]) -> list[Issue]:
    """Return an issue for each photo with the same pixels as another one of its split and domain."""
    first: dict[Any, ImageStats] = {}
    entries = []
    for image in stats:
        if image.problem or image.constant or image.domain.kind != "photo":
            continue
        original = first.setdefault((image.split, image.letter, image.digest), image)
        if original is not image:
            entries.append((image.name, f"the same pixels as {original.name}"))
    return issues_for("repeated", "warning", "remove one of each, or know that it counts twice", entries)


def check_swapped(stats: Sequence[ImageStats]) -> list[Issue]:
    """Return issues for domains that look exchanged: labels in place of photos, or test sets of the other domain."""
    return [*_exchanged_labels_and_photos(stats), *_exchanged_test_sets(stats)]


def _exchanged_labels_and_photos(stats: Sequence[ImageStats]) -> list[Issue]:
    """Return an issue where the photos have more flat regions than the label images."""
    flat = {}
    for kind in ("labels", "photo"):
        shares = [image.colour[9] / 255 for image in stats if image.domain.kind == kind and not image.problem]
        flat[kind] = float(np.median(shares)) if len(shares) >= 4 else None
    if None in flat.values() or flat["photo"] <= flat["labels"] + 0.05:
        return []
    text = f"{flat['photo']:.0%} of the photos' neighbouring pixels are equal, {flat['labels']:.0%} of the label maps'"
    return [Issue("swapped", "error", text, "exchange the folders of labels and photos")]


def _exchanged_test_sets(stats: Sequence[ImageStats]) -> list[Issue]:
    """Return an issue for each test set that the nearest centroid of colour and texture, fitted to trainA and trainB,
    assigns to the other domain."""
    sets = {
        (split, letter): np.array([o.colour for o in stats if (o.split, o.letter) == (split, letter) and not o.problem])
        for split in (Split.TRAIN, Split.TEST)
        for letter in "AB"
    }
    if min(len(sets[Split.TRAIN, "A"]), len(sets[Split.TRAIN, "B"])) < 8 or not all(map(len, sets.values())):
        return []
    centroids = _Centroids(sets[Split.TRAIN, "A"], sets[Split.TRAIN, "B"])
    accuracy = min(centroids.share_of_b(sets[Split.TRAIN, "B"]), 1 - centroids.share_of_b(sets[Split.TRAIN, "A"]))
    if accuracy < MIN_ACCURACY:
        return []
    wrong = {"A": centroids.share_of_b(sets[Split.TEST, "A"]), "B": 1 - centroids.share_of_b(sets[Split.TEST, "B"])}
    issues = []
    for letter, share in wrong.items():
        count, other_domain = len(sets[Split.TEST, letter]), "B" if letter == "A" else "A"
        if share > 0.5 and _binomial_tail(round(share * count), count) < SIGNIFICANCE:
            images = plural(count, "image")
            text = f"test {letter}: {share:.0%} of its {images} look like training images of {other_domain}"
            fix = "look whether the folders of A and B are exchanged"
            issues.append(Issue("swapped", "error" if min(wrong.values()) > 0.5 else "warning", text, fix))
    return issues


class _Centroids:
    """A linear discriminant between two sets of feature vectors, with a regularised covariance."""

    def __init__(self, a: np.ndarray, b: np.ndarray) -> None:
        within = np.concatenate([a - a.mean(0), b - b.mean(0)])
        covariance = np.cov(within.T)
        covariance += np.eye(len(covariance)) * (0.1 * np.trace(covariance) / len(covariance) + 1e-6)
        self.axis = np.linalg.solve(covariance, b.mean(0) - a.mean(0))
        self.middle = (a.mean(0) + b.mean(0)) / 2

    def share_of_b(self, features: np.ndarray) -> float:
        """Return the share of feature vectors that are nearer to the centroid of B."""
        return float(((features - self.middle) @ self.axis > 0).mean())


def _binomial_tail(hits: int, count: int) -> float:
    """Return the probability of at least `hits` heads in `count` throws of a coin."""
    from math import comb

    return sum(comb(count, k) for k in range(hits, count + 1)) / 2**count


def usual_size(stats: Sequence[ImageStats]) -> str:
    """Return the most frequent size of the images from files and the number of other sizes, as text."""
    sizes = Counter((image.width, image.height) for image in stats if not image.problem and image.item.file)
    if not sizes:
        return "drawn" if any(image.item.file is None for image in stats) else "–"
    (width, height), count = sizes.most_common(1)[0]
    return f"{width} × {height}" + ("" if count == sizes.total() else f" and {plural(len(sizes) - 1, 'other size')}")
