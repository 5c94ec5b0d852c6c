"""Dataset checks: every planted fault is reported, all in one run, and healthy datasets give no issue."""

import io
import json
import os
import shutil
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from cgbench.api.dataset import Dataset, Domain, Item, SemanticClass
from cgbench.api.registry import DATASETS
from cgbench.benchmarks.data.geometry import square
from cgbench.datasets.camvid import CamVid
from cgbench.datasets.checks.checker import check
from cgbench.datasets.checks.image_checks import aspect_groups
from cgbench.datasets.folder import Folder
from helpers.cli import SMALL, cgbench
from helpers.image_folders import healthy, scene


def files_of(report, check_name):
    """The files that a check reports."""
    return {file for issue in report.issues if issue.check == check_name for file in issue.files}


def bytes_of(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width, height):
    """A PNG of a few hundred bytes whose header claims this size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# healthy sets


def test_a_healthy_folder_gives_nothing(tmp_path):
    report = check(Folder(healthy(tmp_path / "good")))
    assert report.issues == () and report.dataset == "good"
    first = report.summaries[0]
    assert (first.split, first.domain, first.images, first.size) == ("train", "A", 12, "96 × 96")


@pytest.mark.parametrize("name", ["streets", "phantoms"])
def test_drawn_datasets_give_nothing(name):
    report = check(DATASETS.get(name), limit=12)
    assert report.issues == () and report.root == ""
    assert "only 12 images" in report.remarks[0]


# files


def unreadable(folder):
    good = bytes_of(scene(900))
    (folder / "zero.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no image")
    (folder / "cut.png").write_bytes(good[: len(good) // 2])
    (folder / "short.jpg").write_bytes(bytes_of(scene(901), "JPEG")[:-2])
    (folder / "flipped.png").write_bytes(good[:3000] + bytes([good[3000] ^ 4]) + good[3001:])
    (folder / "bomb.png").write_bytes(bomb(50_000, 50_000))
    (folder / "large.png").write_bytes(bomb(10_000, 9_000))
    (folder / "pixel.png").write_bytes(bytes_of(Image.new("RGB", (1, 1))))
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "dangling.png").symlink_to("nowhere.png")
    tifffile.imwrite(folder / "float.tif", np.zeros((20, 20)))  # of 64 bits
    (folder / "wide.tif").write_bytes(bytes_of(Image.fromarray(np.full((20, 20), 70_000, np.int32)), "TIFF"))
    (folder / "script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    os.mkfifo(folder / "pipe.png")
    return {path.name for path in folder.iterdir() if not path.name[1:4].isdigit()}


def test_every_file_that_cannot_be_used_is_named_in_one_go(tmp_path):
    root = healthy(tmp_path / "set")
    names = {f"{where}/{name}" for where in ("trainA", "testB") for name in unreadable(root / where)}
    report = check(Folder(root))
    assert len(names) == 28 and files_of(report, "unreadable") == names
    output = cgbench("datasets", "check", "folder", "--data-root", root, code=1)
    for name in names:
        assert name in output
    assert f"{len(names)} errors" in output and "mend the errors first" in output


@pytest.mark.parametrize("name", ["zero.png", "short.jpg", "bomb.png", "pipe.png"])
def test_a_run_refuses_what_the_dataset_check_calls_an_error_and_names_the_check(tmp_path, name):
    from cgbench.benchmarks.data.loading import load_images
    from cgbench.errors import DataBroken

    root = healthy(tmp_path / "set")
    unreadable(root / "testB")
    for path in list((root / "testB").iterdir()):
        if path.name != name and not path.name.startswith("b0"):
            path.unlink()
    with pytest.raises(DataBroken, match=rf"testB/{name}: .*cgbench datasets check folder --data-root .* lists all"):
        load_images(Folder(root), "test", "B", square(16))


def test_a_run_names_the_dataset_check_before_it_plans(tmp_path):
    root = healthy(tmp_path / "set")
    scene(935).save(root / "testA" / "a012.jpg")
    scene(936).save(root / "testA" / "a012.png")
    output = cgbench(
        "run",
        "--methods",
        "gan_only",
        "--dataset",
        "folder",
        "--data-root",
        root,
        *SMALL,
        "--runs-dir",
        tmp_path,
        code=2,
    )
    assert "has the same name as a012" in output and f"cgbench datasets check folder --data-root {root} " in output


def test_files_without_permission_are_named(tmp_path, monkeypatch):
    """Root may read everything, so the refusal of the system is simulated."""
    root = healthy(tmp_path / "set")
    real = Image.open

    def refusing(path, *args, **kwargs):
        if str(path).endswith("a003.png"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(Image, "open", refusing)
    report = check(Folder(root))
    assert files_of(report, "unreadable") == {"trainA/a003.png"} and "chmod u+r" in report.issues[0].text


def test_suspicious_files_are_named(tmp_path):
    root = healthy(tmp_path / "set")
    folder = root / "trainA"
    (folder / "named.png").write_bytes(bytes_of(scene(910), "JPEG"))
    scene(911).save(folder / "many.tif", save_all=True, append_images=[scene(912)])
    Image.new("RGB", (64, 64), (9, 9, 9)).save(folder / "black.png")
    scene(913).resize((9, 9)).save(folder / "small.png")
    scene(914, size=(300, 90)).save(folder / "wide.png")
    scene(915).convert("CMYK").save(folder / "ink.jpg")
    (folder / ".hidden.png").write_bytes(bytes_of(scene(917)))
    (folder / "folder.png").mkdir()
    (folder / "moving.gif").write_bytes(b"GIF89a")
    scene(918).save(folder / "A000.png")
    shutil.copy(folder / "a001.png", folder / "again.png")
    odd = os.fsdecode(os.fsencode(folder) + b"/caf\xe9\x1b.png")
    scene(919).save(io.FileIO(odd, "w"), "PNG")
    report = check(Folder(root))
    assert report.count("error") == 0
    named = {
        "format": "named.png", "frames": "many.tif", "constant": "black.png", "tiny": "small.png", "shape": "wide.png",
        "colours": "ink.jpg", "repeated": "again.png",
    }  # fmt: skip
    for name, file in named.items():
        assert files_of(report, name) == {f"trainA/{file}"}, name
    assert files_of(report, "ignored") == {"trainA/.hidden.png", "trainA/folder.png", "trainA/moving.gif"}
    assert files_of(report, "names") == {"trainA/a000.png", "trainA/caf\\xe9\\x1b.png"}
    output = cgbench("datasets", "check", "folder", "--data-root", root)
    assert "\x1b" not in output and "caf\\xe9\\x1b.png" in output
    data = json.loads(cgbench("datasets", "check", "folder", "--data-root", root, "--format", "json"))
    assert data["summary"] == {"error": 0, "warning": report.count("warning"), "note": 1}
    assert {file for finding in data["findings"] for file in finding["files"]} >= {"trainA/ink.jpg", "trainA/wide.png"}


def test_a_name_of_other_bytes_goes_all_the_way_to_the_records(tmp_path):
    from cgbench.files import append_jsonl, file_name, read_json, read_jsonl, write_json

    root = healthy(tmp_path / "set")
    scene(920).save(io.FileIO(os.fsdecode(os.fsencode(root / "testA") + b"/caf\xe9.png"), "w"), "PNG")
    key = Folder(root).items("test", "A")[-1].key
    assert key == "caf\\xe9" and file_name(key).encode().isascii()
    write_json(tmp_path / "a.json", {"path": os.fsdecode(b"caf\xe9")})
    append_jsonl(tmp_path / "a.jsonl", {"path": os.fsdecode(b"caf\xe9")})
    assert read_json(tmp_path / "a.json") == next(read_jsonl(tmp_path / "a.jsonl")) == {"path": "caf\\udce9"}


# shapes


def shaped(root, sizes):
    """A healthy folder whose trainA and testA have these sizes in turn instead."""
    healthy(root)
    for number, path in enumerate(path for name in ("trainA", "testA") for path in sorted((root / name).iterdir())):
        scene(number, size=sizes[number % len(sizes)]).save(path)
    return [(issue.text, issue.files) for issue in check(Folder(root)).issues if issue.check == "shape"]


LYING, UPRIGHT, SQUARE, WIDE = (96, 72), (72, 96), (96, 96), (200, 64)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([LYING, UPRIGHT], "9 lying (about 1.33), 9 upright (about 0.75)"),
        ([LYING, UPRIGHT, SQUARE], "6 lying (about 1.33), 6 square (about 1.00), 6 upright (about 0.75)"),
        ([LYING, WIDE], "9 lying (about 1.33), 9 lying (about 3.12)"),
        ([LYING, UPRIGHT, WIDE, (64, 200), (300, 64), (64, 300)], "9 of other shapes"),
    ],
)
def test_a_domain_without_a_usual_shape_is_one_issue(sizes, said, tmp_path):
    ((text, files),) = shaped(tmp_path / "set", sizes)
    assert text.startswith("domain A has no usual width : height: of 18 pictures ") and files == ()
    assert set(said.split(", ")) <= set(text.split("pictures ")[1].split(", "))


def test_the_usual_shape_is_the_most_frequent_one_and_each_other_is_named(tmp_path):
    issues = shaped(tmp_path / "set", [SQUARE, SQUARE, SQUARE, (100, 96), (96, 94), UPRIGHT])
    assert [files for _, files in issues] == [("trainA/a005.png",), ("trainA/a011.png",), ("testA/a029.png",)]
    assert {text for text, _ in issues} == {"72 × 96; width : height is about 1.00 in 15 of 18 pictures of domain A"}


def test_two_domains_of_unlike_shapes_are_one_issue(tmp_path):
    assert shaped(tmp_path / "set", [LYING]) == [("width : height is mostly about 1.33 in A and 1.00 in B", ())]


def test_groups_of_aspect_ratios_hold_every_one_once():
    rng = np.random.default_rng(0)
    for aspects in ([1e-7, 1e7], [1.0], np.exp(rng.normal(0, 1, 200)), [0.9, 1.0, 1.0, 1.1, 1.24]):
        groups = aspect_groups(list(aspects))
        assert sum(count for _, count in groups) == len(aspects)
        assert [count for _, count in groups] == sorted((count for _, count in groups), reverse=True)
    assert aspect_groups([0.9, 1.0, 1.0, 1.1, 1.24]) == [(1.0, 5)]


# lists


def test_empty_domains_and_names_that_are_taken(tmp_path):
    root = healthy(tmp_path / "set")
    for path in (root / "testB").iterdir():
        path.unlink()
    (root / "trainA" / "a000.jpg").write_bytes(bytes_of(scene(930), "JPEG"))
    report = check(Folder(root))
    assert [f.check for f in report.issues if "testB" in f.text] == ["missing"] and report.incomplete
    assert files_of(report, "empty") == set() and report.test_images == ""
    assert files_of(report, "partner") == {"trainA/a000.png"}


def test_pairs_but_for_one_file(tmp_path):
    root = healthy(tmp_path / "set", test=12)
    for letter in "AB":
        for number, path in enumerate(sorted((root / f"test{letter}").iterdir())):
            path.rename(path.with_name(f"{number:02d}_{letter}.png"))
    (root / "testB" / "03_B.png").unlink()
    assert files_of(check(Folder(root)), "pairs") == {"testA/03_A.png"}


def test_nothing_there_is_said_as_by_run(tmp_path):
    assert "--data-root" in cgbench("datasets", "check", "folder", code=2)
    assert "trainA" in cgbench("datasets", "check", "folder", "--data-root", tmp_path, code=2)
    assert "did you mean 'streets'" in cgbench("datasets", "check", "street", code=2)
    root = healthy(tmp_path / "set")
    assert "no split 'night'" in cgbench("datasets", "check", "folder", "--data-root", root, "--split", "night", code=2)
    output = cgbench("datasets", "--data-root", root, "check", "folder", "--split", "test", "--limit", "4")
    assert "only 4 images" in output and "train" not in output and "nothing to report" in output


# labels


@pytest.fixture
def city(tmp_path):
    """A small CamVid: label maps of random rectangles, and noisy photos of the same shapes."""
    root = tmp_path / "camvid"
    rng = np.random.default_rng(3)
    for split, count in (("train", 12), ("val", 6)):
        for kind in (split, f"{split}annot"):
            (root / kind).mkdir(parents=True)
        for k in range(count):
            ids = np.zeros((60, 80), np.uint8)
            for _ in range(8):
                y, x, c = rng.integers(0, 50), rng.integers(0, 70), rng.integers(1, 12)
                ids[y : y + rng.integers(8, 30), x : x + rng.integers(8, 30)] = c
            levels = rng.integers(30, 220, (12, 3))[ids] + rng.normal(0, 12, (60, 80, 3))
            name = f"{'0001TP' if k % 2 else '0006R0'}_{split}{k:03d}.png"
            Image.fromarray(ids).save(root / f"{split}annot" / name)
            Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(root / split / name)
    return root


def test_a_healthy_labelled_set_gives_nothing(city):
    assert check(CamVid(city)).issues == ()


def test_faults_of_label_maps_are_named(city):
    annot = city / "valannot"
    names = [path.name for path in sorted(annot.iterdir())]
    Image.fromarray(np.full((60, 80), 40, np.uint8)).save(annot / names[0])
    Image.fromarray(np.full((60, 80), 11, np.uint8)).save(annot / names[1])
    Image.fromarray(np.full((60, 80), 3, np.uint8)).save(annot / names[2])
    Image.fromarray(np.asarray(Image.open(annot / names[3]))[:, :60]).save(annot / names[3])
    (annot / names[4]).unlink()
    train = sorted((city / "train").iterdir())[0]
    exif = Image.Exif()
    exif[274] = 3
    Image.open(train).save(train, exif=exif)
    report = check(CamVid(city))
    assert files_of(report, "unreadable") == {f"valannot/{names[0]}"} and "class id 40" in report.issues[0].text
    assert files_of(report, "blank") == {f"valannot/{name}" for name in names[1:3]}
    assert files_of(report, "label-shape") == {f"val/{names[3]}"}
    assert files_of(report, "partner") == {f"val/{names[4]}"}
    assert files_of(report, "rotated") == {f"train/{train.name}"}


def test_labels_and_photos_exchanged_is_an_error(city):
    class Exchanged(CamVid):
        domains = (Domain("photo"), Domain("labels", "labels"))

    assert [f.check for f in check(Exchanged(city)).issues if f.severity == "error"] == ["swapped"]


def test_test_sets_exchanged_is_an_error(tmp_path):
    root = healthy(tmp_path / "set", train=20, test=14)
    (root / "testA").rename(root / "x")
    (root / "testB").rename(root / "testA")
    (root / "x").rename(root / "testB")
    report = check(Folder(root))
    assert {f.check for f in report.issues} == {"swapped"} and report.count("error") == 2


# a plug-in


class Odd(Dataset):
    name, summary, palette = "odd", "", (SemanticClass("a", (0, 0, 0)), SemanticClass("b", (9, 9, 9)))
    domains = (Domain("x"), Domain("y"))
    paired_test = True

    def items(self, split, domain):
        pixels = [np.asarray(scene(940 + 10 * (domain == "B") + 100 * (split == "test") + k)) for k in range(4)]
        if (split, domain) == ("train", "A"):
            pixels[1] = pixels[1].astype(np.float32)
            pixels[2] = pixels[2][:, :, :1]
        ids = np.zeros((96, 96), np.uint8)
        ids[:9], ids[20:40] = 1, 2 if split == "test" and domain == "B" else 0
        keys = ["a", "b", "c", "d" if (split, domain) != ("test", "B") else "e"]
        items = [Item(k, lambda side, p=p: p, lambda side: ids) for k, p in zip(keys, pixels, strict=True)]
        if (split, domain) == ("train", "B"):
            items.append(Item("boom", lambda side: 1 / 0))
        return items


class Empty(Odd):
    def items(self, split, domain):
        return super().items(split, domain)[: 0 if (split, domain) == ("train", "B") else None]


def test_an_empty_domain_of_a_plugin_is_an_error():
    report = check(Empty())
    assert [f.text for f in report.issues if f.check == "empty"] == ["split 'train' has no image of domain B (y)"]
    assert not report.incomplete


def test_a_plugin_that_keeps_no_promise_is_reported_and_not_fatal():
    report = check(Odd())
    assert files_of(report, "unreadable") == {"train A b", "train A c", "train B boom"}
    assert any("ZeroDivisionError" in issue.text for issue in report.issues)
    assert files_of(report, "label-ids") == {f"test B {key}" for key in "abce"}
    assert files_of(report, "partner") == {"d", "e"}
