"""Dataset checks: every planted fault of files and lists is reported, all in one run; healthy sets give no issue."""

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

from cgbench.api.registry import DATASETS
from cgbench.benchmarks.data.geometry import square
from cgbench.datasets.checks.checker import check
from cgbench.datasets.folder import Folder
from helpers.cli import SMALL, cgbench
from helpers.image_folders import files_of, healthy, scene


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
