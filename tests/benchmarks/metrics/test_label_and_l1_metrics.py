"""Metrics of images and labels alone: segmentation scores, reconstruction, identity, L1 to the truth."""

import subprocess
import sys

import numpy as np
import pytest

from cgbench import METRICS, CgbenchError, SemanticClass, Translations
from cgbench.api.palette import nearest_class
from cgbench.benchmarks.metrics.functional.image_distances import l1_by_image

PALETTE = tuple(
    SemanticClass(name, colour)
    for name, colour in [
        ("road", (128, 64, 128)),
        ("sky", (70, 130, 180)),
        ("car", (0, 0, 142)),
        ("tree", (107, 142, 35)),
    ]
)
COLOURS = np.array([item.colour for item in PALETTE], np.uint8)
OURS = ("fcn_score", "label_accuracy", "reconstruction", "paired_l1", "style_diversity")


@pytest.fixture
def labels():
    return np.random.default_rng(1).integers(0, 4, (3, 8, 8)).astype(np.uint8)


def translations(true, kind, **changes):
    """Return three translations of 8 pixels, label images in the true colours, with palette and scorer."""
    images = COLOURS[true % 4]
    fields = {
        "direction": "BtoA", "keys": ("a", "b", "c"), "sources": images, "outputs": images, "target_kind": kind,
        "labels": true, "palette": PALETTE, "scorer": lambda photos: nearest_class(photos, PALETTE),
    }  # fmt: skip
    return Translations(**fields | changes)


def test_metrics_are_found_and_declare_what_they_return(labels):
    everything = {"reconstructions": COLOURS[labels], "other_outputs": COLOURS[labels], "targets": COLOURS[labels]}
    everything["paired"] = True
    for name in OURS:
        metric = METRICS.get(name)
        example = translations(labels, "labels" if name == "label_accuracy" else "photo", **everything)
        assert metric.name == name and metric.not_applicable(example) is None
        scores = metric.compute(example)
        assert list(scores.values) == [value.name for value in metric.values]
        assert set(scores.per_image) <= set(scores.values)
        assert all(by_image.shape == (3,) for by_image in scores.per_image.values())


@pytest.mark.parametrize(
    ("name", "prefix", "kind"), [("fcn_score", "fcn", "photo"), ("label_accuracy", "label", "labels")]
)
def test_segmentation_scores_count_wrong_pixels(labels, name, prefix, kind):
    labels[:] = 0
    labels[:, :4] = 1
    predicted = labels.copy()
    predicted[0, 0, :] = 0  # 8 of the first image's 32 pixels of class 1 are predicted as class 0
    labels[2] = 255
    scores = METRICS.get(name).compute(translations(labels, kind, outputs=COLOURS[predicted]))
    assert scores.values[f"{prefix}_pixel"] == pytest.approx(120 / 128)
    assert scores.values[f"{prefix}_class"] == pytest.approx((1 + 56 / 64) / 2)
    assert scores.values[f"{prefix}_iou"] == pytest.approx((64 / 72 + 56 / 64) / 2)
    assert scores.per_image[f"{prefix}_pixel"] == pytest.approx([56 / 64, 1, np.nan], nan_ok=True)
    assert scores.per_image[f"{prefix}_iou"] == pytest.approx([(32 / 40 + 24 / 32) / 2, 1, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("name", "kind", "changes", "reason"),
    [
        ("fcn_score", "labels", {}, "is for translations to photos"),
        ("fcn_score", "photo", {"labels": None}, "needs test labels"),
        ("fcn_score", "photo", {"scorer": None}, "needs a scorer"),
        ("fcn_score", "photo", {"palette": ()}, "needs a palette"),
        ("label_accuracy", "photo", {}, "is for translations to label images"),
        ("label_accuracy", "labels", {"labels": None}, "needs test labels"),
        ("label_accuracy", "labels", {"palette": ()}, "needs a palette"),
        ("reconstruction", "photo", {}, "needs a method that reconstructs"),
        ("paired_l1", "photo", {}, "needs paired test images"),
        ("paired_l1", "photo", {"targets": np.zeros((2, 8, 8, 3), np.uint8)}, "needs paired test images"),
    ],
)
def test_metrics_say_why_they_do_not_apply(labels, name, kind, changes, reason):
    assert METRICS.get(name).not_applicable(translations(labels, kind, **changes)).startswith(reason)


def test_only_the_fcn_score_depends_on_the_scorer():
    assert [METRICS.get(name).uses_scorer for name in OURS] == [True, False, False, False, False]


def test_nearest_class_agrees_with_brute_force(monkeypatch):
    monkeypatch.setattr("cgbench.api.palette.PIXELS_AT_ONCE", 100)
    random = np.random.default_rng(0)
    colours = np.concatenate([random.integers(0, 256, (29, 3)), [[0, 0, 0], [255, 255, 255], [0, 0, 2]]])
    palette = [SemanticClass(str(i), tuple(map(int, colour))) for i, colour in enumerate(colours)]
    images = np.concatenate([random.integers(0, 256, (3, 16, 16, 3)), random.integers(0, 3, (1, 16, 16, 3))])
    distances = ((images[..., None, :] - colours) ** 2).sum(axis=-1)
    ids = nearest_class(images.astype(np.uint8), palette)
    assert ids.dtype == np.uint8
    assert (ids == distances.argmin(axis=-1)).all()


def test_nearest_class_takes_the_lowest_id_of_a_tie():
    palette = [SemanticClass("right", (12, 0, 0)), SemanticClass("left", (10, 0, 0)), SemanticClass("far", (9, 0, 0))]
    assert nearest_class(np.array([[[[11, 0, 0]]]], np.uint8), palette).item() == 0


def test_nearest_class_refuses_colours_that_cannot_be_told_apart():
    twins = [SemanticClass("pole", (153, 153, 153)), SemanticClass("sky", (1, 2, 3)), SemanticClass("post", (153,) * 3)]
    with pytest.raises(CgbenchError, match="'pole' and 'post' share the colour"):
        nearest_class(np.zeros((1, 2, 2, 3), np.uint8), twins)
    with pytest.raises(CgbenchError, match="palette of 0 classes"):
        nearest_class(np.zeros((1, 2, 2, 3), np.uint8), [])


def test_l1_is_on_the_scale_of_zero_to_one_and_does_not_wrap_around(labels):
    black, white = np.zeros((3, 8, 8, 3), np.uint8), np.full((3, 8, 8, 3), 255, np.uint8)
    half = white.copy()
    half[:, :4] = 0
    half[2] = 51
    assert l1_by_image(black, white) == pytest.approx([1, 1, 1])
    assert l1_by_image(white, black) == pytest.approx([1, 1, 1])
    scores = METRICS.get("reconstruction").compute(translations(labels, "photo", sources=black, reconstructions=half))
    assert scores.per_image["reconstruction_l1"] == pytest.approx([0.5, 0.5, 0.2])
    assert scores.values["reconstruction_l1"] == pytest.approx(0.4)
    with pytest.raises(CgbenchError, match="as many and as large"):
        l1_by_image(black, white[:2])


def test_paired_l1_compares_outputs_with_targets(labels):
    grey, white = np.full((3, 8, 8, 3), 153, np.uint8), np.full((3, 8, 8, 3), 255, np.uint8)
    example = translations(labels, "photo", outputs=grey, targets=white, paired=True, sources=white)
    assert METRICS.get("paired_l1").compute(example).values["paired_l1"] == pytest.approx(0.4)


def test_details_give_every_class_and_the_published_arithmetic():
    """One of four classes is present and recognised: 1 without the absent ones, a quarter if they count as 0."""
    road = np.zeros((3, 8, 8), np.uint8)
    scores = METRICS.get("label_accuracy").compute(translations(road, "labels"))
    assert scores.values["label_iou"] == scores.values["label_class"] == 1
    assert scores.details["label_iou/compat"] == scores.details["label_class/compat"] == pytest.approx(1 / 4)
    assert scores.details["label_iou/road"] == 1 and np.isnan(scores.details["label_iou/sky"])


def test_diversity_is_the_distance_between_two_draws(labels):
    black, grey = np.zeros((3, 8, 8, 3), np.uint8), np.full((3, 8, 8, 3), 51, np.uint8)
    metric = METRICS.get("style_diversity")
    example = translations(labels, "photo", outputs=black, other_outputs=grey)
    assert metric.compute(example).values["style_diversity"] == pytest.approx(0.2)
    assert "draws" in metric.not_applicable(translations(labels, "photo"))


def test_listing_metrics_does_not_import_torch():
    code = (
        "import sys; from cgbench.benchmarks.metrics import segmentation, reconstruction; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_what_lies_beside_images_of_sizes_of_their_own_is_not_measured():
    random, sizes = np.random.default_rng(2), np.array([[12, 16], [16, 11], [14, 14]])
    sources, targets, outputs = random.integers(0, 256, (3, 3, 16, 16, 3), dtype=np.uint8)
    fields = {"direction": "AtoB", "keys": ("a", "b", "c"), "target_kind": "photo", "paired": True, "sizes": sizes}
    fields |= {"sources": sources, "targets": targets, "outputs": outputs, "identities": sources}
    example = Translations(**fields, target_sizes=sizes[::-1], reconstructions=outputs)

    def expected(first, second, of):
        cuts = enumerate(of.tolist())
        pairs = ((first[i, :h, :w].astype(float), second[i, :h, :w].astype(float)) for i, (h, w) in cuts)
        return [np.abs(a - b).mean() / 255 for a, b in pairs]

    def by_image(metric, value):
        return METRICS.get(metric).compute(example).per_image[value]

    assert by_image("paired_l1", "paired_l1") == pytest.approx(expected(outputs, targets, sizes))
    assert by_image("reconstruction", "reconstruction_l1") == pytest.approx(expected(outputs, sources, sizes))
    assert by_image("identity", "identity_l1") == pytest.approx(expected(sources, targets, sizes[::-1]))
    for row, (height, width) in enumerate(sizes.tolist()):
        alone = {name: fields[name][row : row + 1, :height, :width] for name in ("sources", "targets", "outputs")}
        single = Translations(**fields | alone | {"keys": ("a",), "sizes": None, "identities": None})
        for value, score in METRICS.get("similarity").compute(single).per_image.items():
            assert by_image("similarity", value)[row] == pytest.approx(score[0])
