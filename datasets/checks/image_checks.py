"""What single images, label maps and whole sets say about mistakes: blank, tiny, of unlike shape, swapped."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from cgbench.api.dataset import Dataset
from cgbench.datasets.checks.image_stats import ImageStats, Maps
from cgbench.datasets.checks.report import Issue, issues_for, shown
from cgbench.datasets.images import FIXED_POINT_MODES, header, same_shape

LEAST_SIDE = 16  # pixels
SHAPE = 1.25  # times the usual width : height from which a picture is of another shape
SURE = 1e-3  # chance of as many test images on the wrong side, if their domains were told apart by a coin
TELLING = 0.8  # share of training images that must fall to their own domain before test images are judged by it


def check_images(seen: Sequence[ImageStats]) -> list[Issue]:
    """Return what cannot be used, pictures of one colour, very small ones, and 16-bit pictures that become black."""
    broken = [(one.name, one.problem) for one in seen if one.problem]
    found = issues_for("unreadable", "error", "mend, replace or remove them", dict.fromkeys(broken))
    good = [one for one in seen if not one.problem]
    dark = [one for one in good if _is_dark(one)]
    flat = [one for one in good if one.constant and one.domain.kind == "photo" and one not in dark]
    entries = [(one.name, "one colour from edge to edge") for one in flat]
    found += issues_for("constant", "warning", "remove them, unless they are meant", entries)
    small = [one for one in good if min(one.height, one.width) < LEAST_SIDE and one.item.file]
    entries = [(one.name, f"{one.width} × {one.height} pixels") for one in small]
    found += issues_for("tiny", "warning", "replace them: enlarged, they are a blur", entries)
    entries = [(one.name, "no level above 31 of 255") for one in dark]
    return found + issues_for("dark", "warning", "spread their levels over 0 to 65535 (12-bit data: times 16)", entries)


def _is_dark(one: ImageStats) -> bool:
    if one.item.file is None or one.thumb.max() >= 32:
        return False
    return header(one.item.file).mode in FIXED_POINT_MODES


def check_labels(dataset: Dataset, seen: Sequence[ImageStats]) -> list[Issue]:
    """Return label maps that cannot be used, are blank, hold ids beyond the palette, or fit no photo."""
    found, maps = [], {}
    for one in seen:
        if one.maps is None and not one.maps_problem:
            continue
        name = shown(one.item.labels_file, dataset.root) if one.item.labels_file else one.name
        if one.maps_problem:
            found += issues_for("unreadable", "error", "mend, replace or remove them", [(name, one.maps_problem)])
            continue
        maps[one.item.labels_file] = one.maps
        found += _of_map(name, one.maps, len(dataset.palette))
    remedy = "a label map must show its photo, whole: make both anew"
    for one in seen:
        labels = one.maps or maps.get(one.item.labels_file)
        if one.problem or labels is None or (one.item.labels_file is None and one.maps is None):
            continue
        if not same_shape(one.height, one.width, labels.height, labels.width):
            text = f"{one.width} × {one.height}, its label map {labels.width} × {labels.height}"
            found.append(Issue("label-shape", "error", text, remedy, (one.name,)))
    return found


def _of_map(name: str, maps: Maps, classes: int) -> list[Issue]:
    if classes and maps.largest >= classes:
        text = f"class id {maps.largest}, but the palette has {classes} classes (0 to {classes - 1}, 255 ignored)"
        return [Issue("label-ids", "error", text, "store ids of the palette", (name,))]
    if maps.classes <= 1:
        text = "all of it is ignored" if not maps.classes else f"class {maps.largest} from edge to edge"
        return [Issue("blank", "warning", text, "look at them: a label map without classes teaches nothing", (name,))]
    return []


def check_shapes(seen: Sequence[ImageStats]) -> list[Issue]:
    """Return pictures whose width : height is unlike that of their domain, and domains unlike one another."""
    found, usual = [], {}
    for letter in "AB":
        ours = [one for one in seen if one.letter == letter and not one.problem]
        if not ours:
            continue
        usual[letter] = float(np.median([one.width / one.height for one in ours]))
        odd = [one for one in ours if not 1 / SHAPE < one.width / one.height / usual[letter] < SHAPE]
        text = f"width : height is {usual[letter]:.2f} in most of domain {letter}"
        entries = [(one.name, f"{one.width} × {one.height}; {text}") for one in odd]
        found += issues_for(
            "shape",
            "warning",
            "use --set resize_mode=crop, or crop them: resize_mode=squash would distort them",
            entries,
        )
    if len(usual) == 2 and not 1 / SHAPE < usual["A"] / usual["B"] < SHAPE:
        text = f"width : height is mostly {usual['A']:.2f} in A and {usual['B']:.2f} in B"
        remedy = "use --set resize_mode=crop: squashed, the distortion alone would tell the domains apart"
        found.append(Issue("shape", "warning", text, remedy))
    return found


def check_repeated(seen: Sequence[ImageStats]) -> list[Issue]:
    """Return photos that are there twice, pixel by pixel, in one split and domain."""
    first, entries = {}, []
    for one in seen:
        if one.problem or one.constant or one.domain.kind != "photo":
            continue
        other = first.setdefault((one.split, one.letter, one.digest), one)
        if other is not one:
            entries.append((one.name, f"the same pixels as {other.name}"))
    return issues_for("repeated", "warning", "remove one of each, or know that it counts twice", entries)


def check_swapped(seen: Sequence[ImageStats]) -> list[Issue]:
    """Return whether domains look exchanged: labels where photos should be, or test sets like the wrong domain."""
    return [*_labels_and_photos(seen), *_test_against_training(seen)]


def _labels_and_photos(seen: Sequence[ImageStats]) -> list[Issue]:
    """Label images are flat and have few colours: where the photos are flatter, the two are exchanged."""
    flat = {}
    for kind in ("labels", "photo"):
        shares = [one.colour[9] / 255 for one in seen if one.domain.kind == kind and not one.problem]
        flat[kind] = float(np.median(shares)) if len(shares) >= 4 else None
    if None in flat.values() or flat["photo"] <= flat["labels"] + 0.05:
        return []
    text = f"{flat['photo']:.0%} of the photos' neighbouring pixels are equal, {flat['labels']:.0%} of the label maps'"
    return [Issue("swapped", "error", text, "exchange the folders of labels and photos")]


def _test_against_training(seen: Sequence[ImageStats]) -> list[Issue]:
    """The nearest centroid of colour and texture, learnt on trainA and trainB, must know testA and testB."""
    sets = {
        (split, letter): np.array([o.colour for o in seen if (o.split, o.letter) == (split, letter) and not o.problem])
        for split in ("train", "test")
        for letter in "AB"
    }
    if min(len(sets["train", "A"]), len(sets["train", "B"])) < 8 or not all(map(len, sets.values())):
        return []
    telling = _Centroids(sets["train", "A"], sets["train", "B"])
    own = min(telling.share_of_b(sets["train", "B"]), 1 - telling.share_of_b(sets["train", "A"]))
    if own < TELLING:
        return []
    wrong = {"A": telling.share_of_b(sets["test", "A"]), "B": 1 - telling.share_of_b(sets["test", "B"])}
    found = []
    for letter, share in wrong.items():
        count, other = len(sets["test", letter]), "B" if letter == "A" else "A"
        if share > 0.5 and _by_chance(round(share * count), count) < SURE:
            text = f"test {letter}: {share:.0%} of its {count} images look like training images of {other}"
            remedy = "look whether the folders of A and B are exchanged"
            found.append(Issue("swapped", "error" if min(wrong.values()) > 0.5 else "warning", text, remedy))
    return found


class _Centroids:
    """Two centroids in a space where the features have the spread of one within the sets, and are uncorrelated."""

    def __init__(self, a: np.ndarray, b: np.ndarray) -> None:
        within = np.concatenate([a - a.mean(0), b - b.mean(0)])
        covariance = np.cov(within.T)
        covariance += np.eye(len(covariance)) * (0.1 * np.trace(covariance) / len(covariance) + 1e-6)
        self.axis = np.linalg.solve(covariance, b.mean(0) - a.mean(0))
        self.middle = (a.mean(0) + b.mean(0)) / 2

    def share_of_b(self, images: np.ndarray) -> float:
        """Return the share of images that are nearer to the centroid of B."""
        return float(((images - self.middle) @ self.axis > 0).mean())


def _by_chance(hits: int, count: int) -> float:
    """Return the chance of at least `hits` heads in `count` throws of a coin."""
    from math import comb

    return sum(comb(count, k) for k in range(hits, count + 1)) / 2**count


def usual_size(seen: Sequence[ImageStats]) -> str:
    """Return the most frequent size of images that files gave, and whether there are others."""
    sizes = Counter((one.width, one.height) for one in seen if not one.problem and one.item.file)
    if not sizes:
        return "drawn" if any(one.item.file is None for one in seen) else "–"
    (width, height), count = sizes.most_common(1)[0]
    return f"{width} × {height}" + ("" if count == sizes.total() else f" and {len(sizes) - 1} other sizes")
