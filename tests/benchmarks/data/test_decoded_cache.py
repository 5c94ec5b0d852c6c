"""Decoded images are kept under what decides their pixels; whatever is wrong with the disk costs time and no run."""

import os
import pickle
import resource
import shutil
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from cgbench import Domain, SemanticClass
from cgbench.benchmarks.data import cache_entries, cache_key, decoded_cache
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.data.loading import load_images
from cgbench.datasets.folder import Folder
from cgbench.datasets.validation_split import hold_out
from cgbench.errors import DataBroken
from cgbench.files import read_json, write_json
from helpers.counting_dataset import SIDE, Drawn, entries, load, same
from helpers.image_folders import healthy, scene
from helpers.tiny_models import tiny_config


def place_of(root):
    (name,) = entries(root)
    return root / name


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("domain", "AB")
def test_a_set_is_decoded_once_and_stays_the_same(root, fresh, labels, domain):
    data, told = Drawn(), []
    expected = fresh(Drawn(), domain=domain, labels=labels)
    for drawn in (6, 6):
        found = load(data, domain=domain, labels=labels)
        assert same(found, expected) and data.drawn == drawn * (1 + labels)
        assert not found.images.flags.writeable and isinstance(found.images.base, np.memmap)
    load_images(data, "test", domain, SIDE, tiny_config(), labels=labels, progress=lambda *at: told.append(at))
    assert told == [(6, 6)]


def test_a_kept_digest_is_that_of_the_content(root):
    for _ in range(2):
        found = load(Drawn())
        assert found.digest == ImageSet(found.keys, np.array(found.images), np.array(found.labels)).digest
        alone = found.without_labels()
        assert alone.labels is None and alone.digest == ImageSet(found.keys, np.array(found.images)).digest
        changed = replace(found, images=255 - found.images)
        assert changed.digest != found.digest


class Recoloured(Drawn):
    palette = (*Drawn.palette[:2], SemanticClass("2", (7, 7, 7)))
    identity = Drawn.identity


class Photos(Drawn):
    domains = (Domain("labels", "labels"), Domain("photo", "labels"))
    identity = Drawn.identity


@pytest.mark.parametrize(
    "data, other",
    [(Drawn(), {"side": SIDE + 1}), (Drawn(), {"domain": "A"}), (Drawn(), {"split": "train"}), (Drawn(), {"limit": 3}),
     (Drawn(), {"labels": False}), (Drawn(), {"resize_mode": "crop"}), (Drawn(says="second"), {}), (Recoloured(), {}),
     (Photos(), {})],
    ids=lambda value: str(value) if isinstance(value, dict) else type(value).__name__,
)  # fmt: skip
def test_whatever_decides_the_pixels_has_an_entry_of_its_own(root, fresh, data, other):
    load(Drawn())
    assert same(load(data, **other), fresh(data, **other))
    assert len(entries(root)) == 2


def test_versions_and_rules_decide_too(root, monkeypatch):
    names = set()
    for module, name, value in ((cache_key.PIL, "__version__", "0"), (cache_key, "RULES", ("cgbench.formatting",))):
        load(Drawn())
        with monkeypatch.context() as other:
            other.setattr(module, name, value)
            load(Drawn())
        names |= set(entries(root))
    assert len(names) == 3


class Heir(Drawn):
    """Draws as it likes and says nothing of its own."""


@pytest.mark.parametrize("data", [Drawn(says=None), Heir()], ids=["says nothing", "an heir"])
def test_a_dataset_that_does_not_say_what_it_draws_is_drawn_each_time(root, data):
    assert same(load(data), load(data)) and data.drawn == 24
    assert not entries(root)


def test_small_sets_are_not_worth_an_entry(root, monkeypatch):
    monkeypatch.setattr(decoded_cache, "MIN_CACHED_IMAGES", 7)
    load(Drawn(6))
    assert not entries(root)
    load(Drawn(7))
    assert len(entries(root)) == 1


def test_images_held_out_of_training_have_entries_of_their_own(root, fresh):
    load(Drawn(), "train")
    kept = hold_out(Drawn(), 2)
    for split in ("train", "val"):
        assert same(load(kept, split), fresh(kept, split))
    assert len(entries(root)) == 3


def test_a_file_that_changed_is_decoded_again_whatever_its_times_say(root, fresh, tmp_path):
    data = Folder(healthy(tmp_path / "data"))
    load(data)
    file = tmp_path / "data" / "testB" / sorted(os.listdir(tmp_path / "data" / "testB"))[0]
    before = file.stat()
    for change in (lambda: scene(99).save(file, "BMP"), lambda: file.write_bytes(file.read_bytes()[:-1] + b"\x07")):
        change()
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert same(load(data), fresh(data))
    assert len(entries(root)) == 3


def test_a_file_that_changed_a_moment_ago_is_not_trusted(root, monkeypatch, tmp_path):
    monkeypatch.setattr(cache_key, "SETTLED", 60.0)
    load(Folder(healthy(tmp_path / "data")))
    assert not entries(root)


def test_what_changes_while_it_is_decoded_is_not_kept(root, tmp_path):
    data = Folder(healthy(tmp_path / "data"))
    files = sorted((tmp_path / "data" / "testB").iterdir())

    def change(done, total):
        if done == 2:
            scene(98).save(files[0])

    found = load_images(data, "test", "B", SIDE, tiny_config(), progress=change)
    assert len(found) == len(files) and found.images.shape[1] == SIDE
    assert not entries(root)


def test_a_broken_picture_is_named_as_before_and_leaves_nothing(root, tmp_path):
    data = Folder(healthy(tmp_path / "data"))
    load(data)
    broken = sorted((tmp_path / "data" / "testB").iterdir())[3]
    broken.write_bytes(broken.read_bytes()[:90])
    with pytest.raises(DataBroken, match=rf"{broken.name}.*datasets check folder"):
        load(data)
    broken.unlink()
    broken.symlink_to("nowhere")
    with pytest.raises(DataBroken, match=rf"{broken.name}.*nowhere"):
        load(data)
    assert len(entries(root)) == 1


def flip_a_byte(path, at=-5):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def pickled(place):
    content = np.array([print], dtype=object)
    with (place / "images.npy").open("wb") as file:
        np.lib.format.write_array(file, content, allow_pickle=True)


def as_if_untouched(change):
    """Let the record agree with the changed file: what is left to notice is the file itself."""

    def changed(place):
        change(place)
        facts = read_json(place / "entry.json")
        facts["files"]["images"] = cache_entries.file_state(place / "images.npy")
        write_json(place / "entry.json", facts)

    return changed


def of_another(place):
    """An entry that belongs under another name."""
    facts = read_json(place / "entry.json")
    write_json(place / "entry.json", facts | {"key": "0" * 32})


def other_form(place):
    facts = read_json(place / "entry.json")
    write_json(place / "entry.json", facts | {"schema": cache_entries.SCHEMA + 1})


def a_file_instead(place):
    shutil.rmtree(place)
    place.write_text("no folder")


def a_link_instead(place):
    shutil.rmtree(place)
    place.symlink_to("nowhere")


DAMAGE = {
    "cut short": lambda place: os.truncate(place / "images.npy", 900),
    "emptied, and so recorded": as_if_untouched(lambda place: os.truncate(place / "images.npy", 0)),
    "cut short, and so recorded": as_if_untouched(lambda place: os.truncate(place / "images.npy", 900)),
    "longer": lambda place: (place / "labels.npy").open("ab").write(b"more"),
    "edited": lambda place: flip_a_byte(place / "images.npy"),
    "another header, and so recorded": as_if_untouched(lambda place: flip_a_byte(place / "images.npy", 30)),
    "a pickle, and so recorded": as_if_untouched(pickled),
    "a bare pickle, and so recorded": as_if_untouched(
        lambda place: (place / "images.npy").write_bytes(pickle.dumps(print))
    ),
    "no images": lambda place: (place / "images.npy").unlink(),
    "no record": lambda place: (place / "entry.json").unlink(),
    "half a record": lambda place: os.truncate(place / "entry.json", 40),
    "a record of something else": lambda place: (place / "entry.json").write_text("[1, 2]"),
    "a record without digests": lambda place: write_json(
        place / "entry.json", read_json(place / "entry.json") | {"digests": None}
    ),
    "of another set": of_another,
    "of another version": other_form,
    "a file instead of the folder": a_file_instead,
    "a link that leads nowhere": a_link_instead,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_an_entry_that_is_not_whole_is_made_anew(root, fresh, damage):
    data = Drawn()
    load(data)
    damage(place_of(root))
    for drawn in (24, 24):
        assert same(load(data), fresh(Drawn())) and data.drawn == drawn
    assert len(entries(root)) == 1


@pytest.mark.parametrize("room", [0, 100, 900, 2000, 2700])
def test_a_disk_that_fills_costs_time_only(root, fresh, monkeypatch, capsys, room):
    """The limit of a file's size stands for the disk: like it, it lets a part of a write through before it refuses."""
    monkeypatch.setattr(decoded_cache, "WRITE_BYTES", 1000)
    expected, before = fresh(Drawn()), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        found = [load(Drawn()), load(Drawn(), labels=False)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert same(found[0], expected) and same(found[1], expected.without_labels())
    assert not entries(root)
    assert capsys.readouterr().out.count("decoded images are not kept in") == 1


def test_a_cache_that_cannot_be_written_costs_time_only(root, fresh, capsys):
    root.parent.mkdir()
    root.write_text("no folder")
    assert same(load(Drawn()), fresh(Drawn())) and same(load(Drawn(), "train"), fresh(Drawn(), "train"))
    assert capsys.readouterr().out.count(f"decoded images are not kept in {root}") == 1


def test_a_disk_that_loses_what_was_written_costs_time_only(root, fresh, monkeypatch):
    def lost(place, wanted):
        (place / "images.npy").unlink()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(cache_entries, "open_set", lost)
    assert same(load(Drawn()), fresh(Drawn())) and not entries(root)


def test_memory_stays_flat_while_a_set_is_decoded(root, monkeypatch):
    monkeypatch.setattr(decoded_cache, "WRITE_BYTES", 20_000)
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", "1 GB")
    data, side = Drawn(400), 48
    tracemalloc.start()
    try:
        found = load(data, side=side, labels=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < found.images.nbytes / 2
