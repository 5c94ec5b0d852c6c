"""Near-duplicates and shared scenes: planted cases are found, and healthy sets have none."""

import io

import numpy as np
import pytest
from PIL import Image

from cgbench.datasets.checks.checker import check
from cgbench.datasets.checks.near_duplicates import near_duplicates
from cgbench.datasets.checks.shared_scenes import same_scenes
from cgbench.datasets.folder import Folder
from cgbench.datasets.pairing.edge_likeness import edge_map
from helpers.image_folders import healthy, scene

COUNT = 24


def thumb(image):
    return np.asarray(image.convert("L").resize((64, 64), Image.Resampling.BOX))


def recompressed(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cropped(image, share, rng):
    width, height = image.size
    w, h = round(width * share), round(height * share)
    x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    return image.crop((x, y, x + w, y + h))


RNG = np.random.default_rng(5)
# a change of an image, and the share of near-duplicates that must be found
PLANTED = {
    "the same": (lambda image: image, 1.0),
    "JPEG 30": (lambda image: recompressed(image, 30), 1.0),
    "JPEG 10": (lambda image: recompressed(image, 10), 1.0),
    "half the size": (lambda image: image.resize((96, 96)), 1.0),
    "a quarter": (lambda image: image.resize((48, 48)), 1.0),
    "mirrored": (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 1.0),
    "brighter": (lambda image: image.point(lambda level: min(255, level * 1.15 + 10)), 1.0),
    "grey": (lambda image: image.convert("L").convert("RGB"), 1.0),
    "crop to 0.95": (lambda image: cropped(image, 0.95, RNG), 0.85),
    "crop to 0.9": (lambda image: cropped(image, 0.9, RNG), 0.85),
    "crop to 0.9, mirrored": (
        lambda image: cropped(image, 0.9, RNG).transpose(Image.Transpose.FLIP_LEFT_RIGHT), 0.85,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def images():
    return [scene(k, size=(192, 192)) for k in range(COUNT)]


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("turned", [False, True], ids=["in training", "in test"])
def test_planted_near_duplicates_are_found(images, kind, turned):
    change, share = PLANTED[kind]
    others = [thumb(scene(k, size=(192, 192))) for k in range(100, 100 + COUNT)]
    planted, originals = np.stack([thumb(change(p)) for p in images]), np.stack([thumb(p) for p in images])
    sets = (planted, np.stack([*others, *originals])) if turned else (originals, np.stack([*others, *planted]))
    pairs, _ = near_duplicates(*sets)
    right = [pair for pair in pairs if pair.second == COUNT + pair.first]
    assert len(right) == len(pairs), "none is taken for another"
    assert len(right) >= share * COUNT


def test_other_scenes_are_no_duplicates(images):
    pairs, threshold = near_duplicates(
        np.stack([thumb(p) for p in images]), np.stack([thumb(scene(k)) for k in range(100, 300)])
    )
    assert pairs == [] and 0.85 < threshold < 0.95


def test_sets_where_all_are_alike_ask_for_more():
    rng = np.random.default_rng(1)
    body = np.asarray(scene(1).convert("L").resize((64, 64)), float)
    slices = (body + rng.normal(0, 6, (60, 64, 64))).clip(0, 255).astype(np.uint8)
    pairs, threshold = near_duplicates(slices[:30], slices[30:])
    assert pairs == [] and threshold > 0.95
    pairs, _ = near_duplicates(slices[:30], np.concatenate([slices[30:], slices[3:4]]))
    assert [(pair.first, pair.second) for pair in pairs] == [(3, 30)]


def test_empty_sets_have_no_duplicates():
    none = np.zeros((0, 64, 64), np.uint8)
    assert near_duplicates(none, none)[0] == []


def test_leaks_are_reported_with_both_names(tmp_path):
    root = healthy(tmp_path / "set")
    recompressed(Image.open(root / "trainA" / "a004.png"), 40).save(root / "testA" / "leak.jpg")
    Image.open(root / "trainB" / "b015.png").transpose(0).save(root / "testB" / "mirror.png")
    Image.open(root / "trainB" / "b016.png").save(root / "trainA" / "both.png")
    report = check(Folder(root))
    leaks = {f.files[0]: f.text.split()[0] for f in report.issues if f.check == "leak"}
    assert leaks == {"testA/leak.jpg": "trainA/a004.png", "testB/mirror.png": "trainB/b015.png"}
    assert [(f.files[0], f.severity) for f in report.issues if f.check == "between-domains"] == [
        ("trainA/both.png", "error")
    ]


# scenes that both domains show


def outlines(images):
    return np.stack([edge_map(image) for image in images])


def night(image):
    """The same scene in other colours: dark parts bright, another tint, half the size."""
    pixels = 255 - np.asarray(image.resize((96, 96)), float)
    return Image.fromarray((pixels * (0.5, 0.6, 0.9)).astype(np.uint8))


def test_pairs_are_found_by_name_by_order_and_by_edges(images):
    a, b = outlines(images), outlines([night(p) for p in images])
    turn = np.roll(np.arange(COUNT), 7)
    by_name = [(i, int(np.flatnonzero(turn == i)[0])) for i in range(COUNT)]
    assert same_scenes(a, b[turn], by_name).matched_by == "name"
    result = same_scenes(a, b, [])
    assert result.matched_by == "order" and result.excess > 6 and len(result.pairs) == COUNT
    shuffled = same_scenes(a[:-1], b[turn], [])
    right = {(i, j) for i, j in by_name if i < COUNT - 1}
    assert shuffled.matched_by == "edges" and set(shuffled.pairs) <= right and len(shuffled.pairs) > 0.8 * COUNT


def test_a_few_pairs_among_many_are_found(images):
    a = outlines(images)
    b = outlines([*(night(scene(k)) for k in range(200, 230)), *(night(p) for p in images[:3])])
    assert set(same_scenes(a, b, []).pairs) <= {(0, 30), (1, 31), (2, 32)} and same_scenes(a, b, []).pairs


def test_equal_names_alone_are_no_pairs(images):
    a, b = outlines(images), outlines([night(scene(k)) for k in range(300, 300 + COUNT)])
    assert same_scenes(a, b, [(k, k) for k in range(COUNT)]).pairs == ()


def test_an_unpaired_set_of_pairs_is_reported_with_names(tmp_path):
    root = healthy(tmp_path / "set")
    for path in (root / "trainB").iterdir():
        path.unlink()
    for path in (root / "trainA").iterdir():
        night(Image.open(path)).save(root / "trainB" / path.name)
    issues = [f for f in check(Folder(root)).issues if f.check == "same-scenes"]
    assert len(issues) == 1 and "12 pairs with the same name" in issues[0].text
    assert "trainA/a003.png and trainB/a003.png" in issues[0].files


def colourised(root, names, kept=()):
    """A folder whose B is A in colour under `names`, and whose A is grey but for the pictures `kept`."""
    healthy(root)
    for path in (root / "trainB").iterdir():
        path.unlink()
    for number, path in enumerate(sorted((root / "trainA").iterdir())):
        Image.open(path).save(root / "trainB" / f"{names(number)}.png")
        if number not in kept:
            Image.open(path).convert("L").save(path)
    return Folder(root)


@pytest.mark.parametrize("names", [lambda number: f"a{number:03d}", lambda number: f"z{99 - number}"])
def test_grey_pictures_and_their_colours_show_the_same_scenes_and_are_no_error(names, tmp_path):
    report = check(colourised(tmp_path / "set", names))
    assert [(f.check, f.severity) for f in report.issues] == [("same-scenes", "warning")] * len(report.issues)
    named = " ".join(file for f in report.issues for file in f.files) + " ".join(f.text for f in report.issues)
    assert all(f"trainA/a{number:03d}.png" in named for number in range(12))


def test_pictures_that_are_equal_in_colour_too_are_an_error(tmp_path):
    report = check(colourised(tmp_path / "set", lambda number: f"a{number:03d}", kept=(3, 5)))
    assert [(f.files[0], f.severity) for f in report.issues if f.check == "between-domains"] == [
        ("trainA/a003.png", "error"),
        ("trainA/a005.png", "error"),
    ]


def test_an_error_of_one_picture_makes_none_of_those_that_are_only_similar(tmp_path):
    root = healthy(tmp_path / "set")
    Image.open(root / "trainB" / "b016.png").save(root / "trainA" / "copy.png")
    recompressed(Image.open(root / "trainB" / "b017.png"), 30).save(root / "trainA" / "alike.jpg")
    found = {f.files[0]: f.severity for f in check(Folder(root)).issues if f.check == "between-domains"}
    assert found == {"trainA/copy.png": "error", "trainA/alike.jpg": "warning"}
