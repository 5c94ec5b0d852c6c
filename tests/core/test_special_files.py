"""What stands in the place of a file and is none, or is damaged or huge: every reader ends at once, in one line."""

import os
import socket
import struct
import zlib
from types import SimpleNamespace

import pytest

from cgbench.benchmarks.data.cache_entries import map_image_set
from cgbench.benchmarks.data.decode import ArrayLayout
from cgbench.benchmarks.evaluation import scorer as scorer_module
from cgbench.benchmarks.evaluation import scorer_cache
from cgbench.benchmarks.evaluation.scorer import Scorer, build_network
from cgbench.benchmarks.published_networks.description import find_published, read_description
from cgbench.benchmarks.published_networks.weights import read_weights
from cgbench.benchmarks.regression.baseline_file import read_baseline
from cgbench.benchmarks.training.checkpoint import read_checkpoint
from cgbench.benchmarks.trials.suite import read_suite
from cgbench.config_layers import resolve
from cgbench.datasets.download.catalogue import PublicSet
from cgbench.datasets.download.fetch import fetch
from cgbench.datasets.download.http import Limits, download
from cgbench.datasets.images.decoding import read_image, read_labels
from cgbench.errors import CgbenchError, DataBroken
from cgbench.files import append_jsonl, read_json, read_jsonl, write_json
from cgbench.methods.blocks.features import feature_network
from cgbench.pretrained_weights import VGG16, absent, checked_digest, find_weights
from cgbench.reports.formats.images import data_uri
from cgbench.reports.perceptual_study.answers import read_answers
from cgbench.reports.perceptual_study.study import read_key
from cgbench.results.run_folder import TrialFolder
from helpers.cli import cgbench
from helpers.run_folder import add_failures, build_run

HOLE = 2**31  # bytes of a file that takes none of the disk
QUICK = Limits(max_bytes=2**20, timeout=1.0, pause=0.0)
TINY = PublicSet("tiny", "http://127.0.0.1:1/tiny.zip", "no licence", "Nobody (2020)", {"trainA": 1})


def vgg(path):
    return feature_network(resolve([("--set", {"features": "vgg16"})]).config, None)


def state_dict(path):
    description = {"architecture": "fcn_resnet50", "outputs": 1, "classes": [None], "mean": [0.5] * 3, "std": [0.5] * 3}
    write_json(path.with_name("network.json"), {**description, "input_size": [32, 32]})
    return read_weights(find_published("network"))


READERS = {
    "json": read_json,
    "rows": lambda path: list(read_jsonl(path)),
    "suite": lambda path: read_suite(str(path)),
    "scorer": Scorer.load,
    "checkpoint": read_checkpoint,
    "weights": vgg,
    "description of a network": read_description,
    "state dict": state_dict,
    "state dict as safetensors": state_dict,
    "fetched archive": lambda path: fetch(TINY, path.parent, None, print, lambda *_: None, QUICK),
    "baseline": read_baseline,
    "answers": read_answers,
    "key of a study": read_key,
    "photo": read_image,
    "labels": read_labels,
    "output image": data_uri,
}
NAMES = {"weights": VGG16.name, "fetched archive": "tiny.zip"}
NAMES |= {"state dict": "network.pth", "state dict as safetensors": "network.safetensors"}
WRITERS = {
    "record": lambda path: write_json(path, {}),
    "rows": lambda path: append_jsonl(path, {}),
    "part": lambda path: download(TINY.url, path.with_name("f.zip"), QUICK, print, lambda *_: None),
}
KINDS = {
    "pipe": os.mkfifo,
    "socket": lambda path: socket.socket(socket.AF_UNIX).bind(path.name),
    "folder": os.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "endless link": lambda path: path.symlink_to(path),
    "dangling link": lambda path: path.symlink_to("nothing"),
    "damaged": lambda path: path.write_bytes(bytes(range(256))),
    "nothing in it": lambda path: path.write_bytes(b""),
    "huge": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), HOLE),
}


# no fault: an empty suite or log is one, and so is a log that is not there
SOUND = {("suite", "nothing in it"), *(("rows", kind) for kind in ("nothing in it", "dangling link", "endless link"))}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder that is the working directory, since the name of a socket must be short, and holds the weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CGBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_ends_at_once_in_one_line(reader, kind, place):
    path = place / NAMES.get(reader, "file")
    KINDS[kind](path)
    if (reader, kind) in SOUND:
        READERS[reader](path)
        return
    with pytest.raises(CgbenchError) as error:
        READERS[reader](path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device", "endless link", "dangling link"])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_writer_follows_no_link_and_waits_for_no_pipe(writer, kind, place):
    path = place / ("f.zip.part" if writer == "part" else "file")
    KINDS[kind](path)
    before = sorted(place.iterdir()), os.lstat(path).st_mode
    if writer == "record" and kind in ("device", "endless link", "dangling link"):
        WRITERS[writer](path)
        assert path.read_text() == "{}\n" and not path.is_symlink()  # the link is replaced
    else:
        with pytest.raises((CgbenchError, IsADirectoryError)):
            WRITERS[writer](path)
        assert (sorted(place.iterdir()), os.lstat(path).st_mode) == before


@pytest.mark.parametrize(("kind", "words"), [("pipe", "a named pipe"), ("folder", "a folder"), ("device", "a device")])
def test_weights_that_are_no_file_are_said_to_be_none(kind, words, place):
    KINDS[kind](place / VGG16.name)
    assert words in (absent(VGG16) or "")
    with pytest.raises(CgbenchError, match=words):
        find_weights(VGG16)


def test_weights_of_another_size_are_not_even_read(place, monkeypatch):
    KINDS["huge"](place / VGG16.name)
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("read"))
    with pytest.raises(DataBroken, match=r"is not vgg16-397923af\.pth: it has 2\.1 GB"):
        checked_digest(place / VGG16.name, VGG16)


def test_a_scorer_that_announces_more_than_it_holds_takes_no_memory(place, monkeypatch):
    network = build_network(3, 4)
    scorer = Scorer(network, {"classes": 3, "width": 4})
    scorer.info["width"] = 10**6  # some petabytes
    scorer.save(place / "scorer")
    monkeypatch.setattr(scorer_module, "build_network", lambda *_: pytest.fail("weights of that width were made"))
    with pytest.raises(DataBroken, match="is not a readable scorer"):
        Scorer.load(place / "scorer")


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "endless link", "dangling link"])
def test_a_scorer_in_the_cache_that_is_no_file_is_trained_again(kind, place, capsys):
    KINDS[kind](place / "scorer")
    assert scorer_cache._load(place / "scorer", "cpu") is None
    assert "must be trained again" in " ".join(capsys.readouterr().out.split())


def test_a_cached_set_that_is_a_pipe_is_decoded_again(place):
    os.mkfifo(place / "images.npy")
    with pytest.raises(CgbenchError, match="named pipe"):
        map_image_set(place, SimpleNamespace(arrays=lambda canvas: {"images": ArrayLayout((1, 2, 2, 3))}), (2, 2))


@pytest.mark.parametrize("kind", [*KINDS, "a picture of more pixels than are decoded"])
def test_an_output_image_that_cannot_be_read_is_shown_as_one(kind, place):
    run = add_failures(build_run(place / "run", ("cyclegan", "real"), (0,), images=2, side=8), images=2, ood_images=1)
    path = TrialFolder.of(run, "shapes", "cyclegan", 0).output("AtoB", "scene-000")
    path.unlink()
    os.chdir(path.parent)
    KINDS.get(kind, huge_png)(path)
    text = cgbench("report", run, "--format", "html")
    assert text.count("unreadable image") == 4  # in the grid and among the worst images, each with its text for screens
    said = cgbench("study", "make", run, "--practice", 0, "--scored", 2, "--output", place / "study.html", code=2)
    assert "scene-000.png is not a readable image" in said and said.count("\n") == 1
    path.unlink() if not path.is_dir() or path.is_symlink() else path.rmdir()
    assert "no image" in cgbench("report", run, "--format", "html")


def huge_png(path):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)))
