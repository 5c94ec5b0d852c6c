"""The cache of decoded images: its key depends on everything that determines the pixels; disk errors cost time, never a
run."""

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
from cgbench.benchmarks.data.geometry import square
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.data.loading import load_images
from cgbench.datasets.folder import Folder
from cgbench.datasets.validation_split import hold_out
from cgbench.errors import DataBroken
from cgbench.files import read_json, write_json
from helpers.counting_dataset import SIDE, Drawn, entries, load, same
from helpers.image_folders import healthy, scene


def entry_folder(root):
    (name,) = entries(root)
    return root / name


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("domain", "AB")
def test_a_set_is_decoded_once_and_stays_the_same(root, fresh, labels, domain):
    data, calls = Drawn(), []
    expected = fresh(Drawn(), domain=domain, labels=labels)
    for drawn in (6, 6):
        images = load(data, domain=domain, labels=labels)
        assert same(images, expected) and data.rendered == drawn * (1 + labels)
        assert not images.images.flags.writeable and isinstance(images.images.base, np.memmap)
    load_images(data, "test", domain, square(SIDE), labels=labels, progress=lambda *at: calls.append(at))
    assert calls == [(6, 6)]


def test_a_kept_digest_is_that_of_the_content(root):
    for _ in range(2):
        images = load(Drawn())
        assert images.digest == ImageSet(images.keys, np.array(images.images), np.array(images.labels)).digest
        unlabelled = images.without_labels()
        assert unlabelled.labels is None and unlabelled.digest == ImageSet(images.keys, np.array(images.images)).digest
        changed = replace(images, images=255 - images.images)
        assert changed.digest != images.digest


class Recoloured(Drawn):
    palette = (*Drawn.palette[:2], SemanticClass("2", (7, 7, 7)))
    identity = Drawn.identity


class Photos(Drawn):
    domains = (Domain("labels", "labels"), Domain("photo", "labels"))
    identity = Drawn.identity


@pytest.mark.parametrize(
    "data, changes",
    [(Drawn(), {"side": SIDE + 1}), (Drawn(), {"domain": "A"}), (Drawn(), {"split": "train"}), (Drawn(), {"limit": 3}),
     (Drawn(), {"labels": False}), (Drawn(), {"resize_mode": "crop"}), (Drawn(cache_identity="second"), {}),
     (Recoloured(), {}), (Photos(), {})],
    ids=lambda value: str(value) if isinstance(value, dict) else type(value).__name__,
)  # fmt: skip
def test_whatever_decides_the_pixels_has_an_entry_of_its_own(root, fresh, data, changes):
    load(Drawn())
    assert same(load(data, **changes), fresh(data, **changes))
    assert len(entries(root)) == 2


def test_versions_and_decoder_modules_decide_too(root, monkeypatch):
    names = set()
    for module, name, value in (
        (cache_key.PIL, "__version__", "0"),
        (cache_key, "DECODER_MODULES", ("cgbench.formatting",)),
    ):
        load(Drawn())
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            load(Drawn())
        names |= set(entries(root))
    assert len(names) == 3


class Subclass(Drawn):
    """A subclass without an identity of its own."""


@pytest.mark.parametrize("data", [Drawn(cache_identity=None), Subclass()], ids=["no identity", "a subclass"])
def test_a_dataset_that_does_not_say_what_it_draws_is_drawn_each_time(root, data):
    assert same(load(data), load(data)) and data.rendered == 24
    assert not entries(root)


def test_small_sets_are_not_worth_an_entry(root, monkeypatch):
    monkeypatch.setattr(decoded_cache, "MIN_CACHED_IMAGES", 7)
    load(Drawn(6))
    assert not entries(root)
    load(Drawn(7))
    assert len(entries(root)) == 1


def test_images_held_out_of_training_have_entries_of_their_own(root, fresh):
    load(Drawn(), "train")
    held_out = hold_out(Drawn(), 2)
    for split in ("train", "val"):
        assert same(load(held_out, split), fresh(held_out, split))
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
    monkeypatch.setattr(cache_key, "SETTLE_SECONDS", 60.0)
    load(Folder(healthy(tmp_path / "data")))
    assert not entries(root)


def test_what_changes_while_it_is_decoded_is_not_kept(root, tmp_path):
    data = Folder(healthy(tmp_path / "data"))
    files = sorted((tmp_path / "data" / "testB").iterdir())

    def change(done, total):
        if done == 2:
            scene(98).save(files[0])

    images = load_images(data, "test", "B", square(SIDE), progress=change)
    assert len(images) == len(files) and images.images.shape[1] == SIDE
    assert not entries(root)


def test_a_broken_image_is_named_as_before_and_leaves_nothing(root, tmp_path):
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


def pickled(folder):
    content = np.array([print], dtype=object)
    with (folder / "images.npy").open("wb") as file:
        np.lib.format.write_array(file, content, allow_pickle=True)


def with_updated_record(change):
    """Update the record after changing the file: only the file itself can reveal the change."""

    def changed(folder):
        change(folder)
        record = read_json(folder / "entry.json")
        record["files"]["images"] = cache_entries.file_state(folder / "images.npy")
        write_json(folder / "entry.json", record)

    return changed


def with_another_key(folder):
    """An entry whose record has another key."""
    record = read_json(folder / "entry.json")
    write_json(folder / "entry.json", record | {"key": "0" * 32})


def with_another_schema(folder):
    record = read_json(folder / "entry.json")
    write_json(folder / "entry.json", record | {"schema": cache_entries.SCHEMA + 1})


def replaced_by_file(folder):
    shutil.rmtree(folder)
    folder.write_text("no folder")


def replaced_by_link(folder):
    shutil.rmtree(folder)
    folder.symlink_to("nowhere")


DAMAGE = {
    "cut short": lambda folder: os.truncate(folder / "images.npy", 900),
    "emptied, and so recorded": with_updated_record(lambda folder: os.truncate(folder / "images.npy", 0)),
    "cut short, and so recorded": with_updated_record(lambda folder: os.truncate(folder / "images.npy", 900)),
    "longer": lambda folder: (folder / "labels.npy").open("ab").write(b"more"),
    "edited": lambda folder: flip_a_byte(folder / "images.npy"),
    "another header, and so recorded": with_updated_record(lambda folder: flip_a_byte(folder / "images.npy", 30)),
    "a pickle, and so recorded": with_updated_record(pickled),
    "a bare pickle, and so recorded": with_updated_record(
        lambda folder: (folder / "images.npy").write_bytes(pickle.dumps(print))
    ),
    "no images": lambda folder: (folder / "images.npy").unlink(),
    "no record": lambda folder: (folder / "entry.json").unlink(),
    "half a record": lambda folder: os.truncate(folder / "entry.json", 40),
    "a record of something else": lambda folder: (folder / "entry.json").write_text("[1, 2]"),
    "a record without digests": lambda folder: write_json(
        folder / "entry.json", read_json(folder / "entry.json") | {"digests": None}
    ),
    "of another set": with_another_key,
    "of another version": with_another_schema,
    "a file instead of the folder": replaced_by_file,
    "a link that leads nowhere": replaced_by_link,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_an_entry_that_is_not_whole_is_made_anew(root, fresh, damage):
    data = Drawn()
    load(data)
    damage(entry_folder(root))
    for drawn in (24, 24):
        assert same(load(data), fresh(Drawn())) and data.rendered == drawn
    assert len(entries(root)) == 1


@pytest.mark.parametrize("free_bytes", [0, 100, 900, 2000, 2700])
def test_a_disk_that_fills_costs_time_only(root, fresh, monkeypatch, capsys, free_bytes):
    """The limit of a file's size simulates the disk: like it, it accepts a part of a write before it fails."""
    monkeypatch.setattr(decoded_cache, "WRITE_BYTES", 1000)
    expected, limit = fresh(Drawn()), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, limit[1]))
        loaded = [load(Drawn()), load(Drawn(), labels=False)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert same(loaded[0], expected) and same(loaded[1], expected.without_labels())
    assert not entries(root)
    assert capsys.readouterr().out.count("decoded images are not kept in") == 1


def test_a_cache_that_cannot_be_written_costs_time_only(root, fresh, capsys):
    root.parent.mkdir()
    root.write_text("no folder")
    assert same(load(Drawn()), fresh(Drawn())) and same(load(Drawn(), "train"), fresh(Drawn(), "train"))
    assert capsys.readouterr().out.count(f"decoded images are not kept in {root}") == 1


def test_a_disk_that_loses_what_was_written_costs_time_only(root, fresh, monkeypatch):
    def lost(folder, spec, canvas):
        (folder / "images.npy").unlink()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(cache_entries, "map_image_set", lost)
    assert same(load(Drawn()), fresh(Drawn())) and not entries(root)


def test_memory_stays_flat_while_a_set_is_decoded(root, monkeypatch):
    monkeypatch.setattr(decoded_cache, "WRITE_BYTES", 20_000)
    monkeypatch.setenv("CGBENCH_CACHE_LIMIT", "1 GB")
    data, side = Drawn(400), 48
    tracemalloc.start()
    try:
        images = load(data, side=side, labels=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < images.images.nbytes / 2
