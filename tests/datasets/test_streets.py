"""`streets`: determinism, geometry that does not depend on resolution, splits, variety, difficulty."""

import hashlib
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from cgbench.api.names import IGNORE
from cgbench.api.registry import DATASETS
from cgbench.datasets import streets
from cgbench.datasets.street_scenes.geometry import MATERIALS, Camera
from cgbench.datasets.street_scenes.render import draw_faces, render_labels
from cgbench.datasets.streets import PALETTE, Streets, labels, photo, scene
from cgbench.errors import CgbenchError

SIDE = 48


@cache
def sample(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Return photos (n, S, S, 3) and labels (n, S, S) of training scenes."""
    return (
        np.stack([photo("train", i, SIDE) for i in range(count)]),
        np.stack([labels("train", i, SIDE) for i in range(count)]),
    )


def test_is_registered_and_ready():
    dataset = DATASETS.get("streets")
    assert isinstance(dataset, Streets)
    assert dataset.missing() is None
    assert dataset.direction_name("AtoB") == "labels→photo"


def test_palette_is_that_of_cityscapes():
    from cgbench.datasets.cityscapes import PALETTE as CITYSCAPES

    assert {(entry.name, entry.colour) for entry in PALETTE} <= {(entry.name, entry.colour) for entry in CITYSCAPES}


@pytest.mark.parametrize("split, index", [("train", 3), ("test", 5), ("ood", 2)])
def test_a_scene_is_the_same_every_time(split, index):
    def drawn():
        return photo(split, index, 40), labels(split, index, 40)

    first = drawn()
    photo(split, index + 1, 40)  # replaces the memoized scene
    for before, again in zip(first, drawn(), strict=True):
        np.testing.assert_array_equal(before, again)


def test_an_image_and_its_labels_are_of_one_scene_that_is_built_once(monkeypatch):
    built, build_scene = [], streets.build_scene

    def counted(*args, **kwargs):
        built.append(build_scene(*args, **kwargs))
        return built[-1]

    monkeypatch.setattr(streets, "build_scene", counted)
    item = Streets().items("val", "B")[9]
    item.image(40), item.labels(40)
    assert len(built) == 1


def test_a_scene_is_the_same_in_another_process():
    code = (
        "import hashlib; from cgbench.datasets.streets import photo, labels;"
        "print(hashlib.sha256(photo('test', 1, 40).tobytes() + labels('test', 1, 40).tobytes()).hexdigest())"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    in_this_process = hashlib.sha256(photo("test", 1, 40).tobytes() + labels("test", 1, 40).tobytes()).hexdigest()
    assert elsewhere == in_this_process


def test_splits_and_indices_are_different_scenes():
    photos = [photo(split, index, 32) for split in ("train", "test", "ood") for index in (0, 1)]
    for i, first in enumerate(photos):
        for second in photos[i + 1 :]:
            assert np.abs(first.astype(int) - second).mean() > 8


def test_layout_does_not_depend_on_resolution():
    agreement = [(labels("test", i, 64) == labels("test", i, 256)[2::4, 2::4]).mean() for i in range(8)]
    assert min(agreement) > 0.92, agreement


def test_photo_and_labels_show_the_same_scene():
    """Edges of the labels are edges of the photo: contrast across class borders exceeds that within classes."""
    photos, ids = sample()
    grey = photos.astype(float).mean(axis=3)
    step, border = np.abs(np.diff(grey, axis=2)), np.diff(ids.astype(int), axis=2) != 0
    at_borders = step[border].mean()
    assert at_borders > 2 * step[~border].mean()
    shifted = np.roll(border, 5, axis=1)
    assert at_borders > 1.3 * step[shifted].mean()


def test_train_domains_share_no_scene():
    dataset = Streets()
    a, b = dataset.items("train", "A"), dataset.items("train", "B")
    assert len(a) == len(b) == 400
    assert not {item.key for item in a} & {item.key for item in b}
    assert np.array_equal(b[0].labels(32), labels("train", 400, 32))  # its own scene's, not that of another domain


@pytest.mark.parametrize("split, count", [("test", 100), ("pairs", 800), ("ood", 60)])
def test_other_splits_are_paired_and_labelled(split, count):
    dataset = Streets()
    a, b = dataset.items(split, "A"), dataset.items(split, "B")
    assert [item.key for item in a] == [item.key for item in b]
    assert len({item.key for item in a}) == count
    np.testing.assert_array_equal(a[7].labels(32), b[7].labels(32))


def test_the_scorer_learns_from_the_training_scenes_only():
    dataset = Streets()
    training = {item.key for domain in "AB" for item in dataset.items("train", domain)}
    scorer = dataset.items("pairs", "B")
    assert {item.key for item in scorer} == training
    np.testing.assert_array_equal(scorer[401].image(32), dataset.items("train", "B")[1].image(32))


def test_unknown_split_is_refused():
    with pytest.raises(CgbenchError, match="validation"):
        Streets().items("validation", "A")


@pytest.mark.parametrize("side", [32, 72])
def test_label_images_hold_palette_colours_only(side):
    item = Streets().items("test", "A")[4]
    image = item.image(side)
    assert image.shape == (side, side, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.array([entry.colour for entry in PALETTE], np.uint8)[item.labels(side)])


def test_photos_are_uint8_of_the_side_asked_for():
    for side in (33, 64):
        image = Streets().items("train", "B")[2].image(side)
        assert image.shape == (side, side, 3) and image.dtype == np.uint8 and image.std() > 5


def test_out_of_distribution_objects_are_visible_and_ignored():
    for item in Streets().items("ood", "A"):
        ids = item.labels(32)
        assert (ids == IGNORE).mean() > 0.004, item.key
    np.testing.assert_array_equal(item.image(32)[ids == IGNORE], 0)


def test_training_and_test_scenes_hold_known_classes_only():
    assert sample()[1].max() < len(PALETTE)
    assert max(labels("test", i, 32).max() for i in range(20)) < len(PALETTE)


def test_every_class_occurs_in_many_scenes():
    _, ids = sample()
    present = [(ids == k).any(axis=(1, 2)).mean() for k in range(len(PALETTE))]
    share = [(ids == k).mean() for k in range(len(PALETTE))]
    assert min(present) > 0.5, present
    assert min(share) > 0.008, share


def test_layouts_vary():
    scenes = [scene("train", i) for i in range(40)]
    assert np.std([s.camera.centre_v for s in scenes]) > 0.08
    assert np.std([s.camera.centre_u for s in scenes]) > 0.10
    assert len({s.light.kind for s in scenes}) == 5
    counts = [len(s.model.rows) for s in scenes]
    assert max(counts) > 2 * min(counts)


def test_photo_to_labels_is_not_a_matter_of_colour():
    """The nearest mean colour of the classes, even if fitted to these very photos, classifies few pixels."""
    photos, ids = sample()
    pixels, classes = photos.reshape(-1, 3).astype(float), ids.ravel()
    means = np.stack([pixels[classes == k].mean(axis=0) for k in range(len(PALETTE))])
    guess = ((pixels[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (guess == classes).mean() < 0.75


def test_camera_and_rays_agree():
    camera = Camera(focal=0.8, height=1.6, centre_u=0.4, centre_v=0.55, roll=0.03)
    across, up = camera.rays(50)
    depth = 7.0
    points = np.stack([across * depth, up * depth + camera.height, np.full_like(up, depth)], axis=-1).reshape(-1, 3)
    grid = (np.arange(50) + 0.5) / 50
    expected = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(camera.project(points), expected, atol=1e-5)


def test_every_pixel_shows_a_face_with_a_known_material():
    street = scene("test", 0)
    numbers = draw_faces(street, 64)
    assert numbers.min() >= 0 and numbers.max() < len(street.model.rows)
    assert {row[1] for row in street.model.rows} <= set(range(MATERIALS))
    assert render_labels(street, 32).shape == (32, 32)
