"""Exported models: they equal torch on sizes and batches that were not traced, say what they are, overwrite nothing."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cgbench.api.registry import DATASETS, METHODS
from cgbench.benchmarks.cli import report
from cgbench.benchmarks.exchange import export_model, exported_formats
from cgbench.benchmarks.exchange.export_model import TOLERANCE, export, metadata
from cgbench.benchmarks.exchange.exported_formats import FORMATS, ONNX_PACKAGES
from cgbench.benchmarks.exchange.exported_network import ExportedNetwork, padded
from cgbench.benchmarks.exchange.translate_files import Translator, translating_model
from cgbench.benchmarks.trials.trial import Trial
from cgbench.benchmarks.trials.trial_record import trial_record
from cgbench.config_layers import Resolved
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.whole_images import pad_to_multiple, translate_whole
from cgbench.pixel_format import PixelFormat
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder
from helpers.cli import SMALL, cgbench
from helpers.image_folders import scene
from helpers.public_generators import Resnet, Unet
from helpers.tiny_models import tiny_config

ABSENT = [name for name in ONNX_PACKAGES if find_spec(name) is None]
needs_onnx = pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}")
DOCS = Path(__file__).resolve().parents[3] / "docs" / "export.md"
TRAINED = [name for name in METHODS.names() if METHODS.get(name).reference is None]
PAIRS = [(name, direction) for name in TRAINED for direction in METHODS.get(name).directions if name != "cogan"]
UNET = {"generator": "unet"}
SIDES_32 = {"crop_size": 32, "load_size": 32}


def fresh(name, direction="AtoB", **settings):
    """A trial of a method as it begins, ready to translate, and its record."""
    config = tiny_config(**settings)
    trial = Trial(METHODS.get(name), 0, "smoke", Resolved(config, {}, {}))
    model = translating_model(trial, direction, "cpu")
    data = DATASETS.factory("streets")(None)
    record = trial_record(trial, data, {}, "abc", {"test A": 1, "test B": 1}, 0, {}, {})
    return Translator(model, direction, config, True, 4, f"{name}, seed 0, {direction}"), record


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


def expected(translator, images, multiple):
    return translate_whole(lambda part: translator.model.translate(part, translator.direction), images, multiple)


def inputs(translator, network, images):
    return export_model._inputs(translator, network, (len(images), *images.shape[2:]))[1:]


@pytest.mark.parametrize("multiple", [1, 4, 16, 64])
def test_images_are_padded_as_translate_pads_them(multiple):
    for height, width in ((8, 9), (15, 16), (17, 33), (64, 65)):
        images = noise(1, 2, height, width)
        assert torch.equal(padded(images, multiple), pad_to_multiple(images, multiple))


@pytest.mark.parametrize(("name", "direction"), PAIRS)
def test_every_trained_method_can_be_exported_in_its_directions(name, direction):
    translator, record = fresh(name, direction)
    network = ExportedNetwork(translator.model, direction)
    images = noise(2, 3, 13, 22)
    with torch.no_grad():
        translated = network(images, *inputs(translator, network, images))
    assert (translated - expected(translator, images, network.multiple)).abs().max() < 1e-5
    assert metadata(translator, record, network)["direction"] == direction


@pytest.mark.parametrize("name", ["onnx", "torchscript", "pt2", "public"])
def test_a_search_is_refused_in_one_line(tmp_path, name):
    translator, record = fresh("cogan")
    with pytest.raises(CgbenchError, match=r"^cogan cannot be exported: it searches a latent code for every image$"):
        export(translator, record, name, tmp_path / "new" / f"a{export_model.SUFFIXES[name]}")
    assert not list(tmp_path.iterdir())


CASES = [("cyclegan", {}), ("cut", {}), ("unit", {}), ("munit", {}), ("pix2pix", {"norm": "batch"}), ("cyclegan", UNET)]


@needs_onnx
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_onnx_equals_torch_on_other_sizes_and_batches(tmp_path, name, settings):
    check_format("onnx", tmp_path, name, settings)


@pytest.mark.parametrize("form", ["torchscript", "pt2"])
@pytest.mark.parametrize(("name", "settings"), [("cyclegan", {"norm": "batch"}), ("munit", {})])
def test_so_do_the_formats_of_torch(tmp_path, form, name, settings):
    check_format(form, tmp_path, name, settings)


def check_format(form, folder, name, settings):
    translator, record = fresh(name, **settings)
    path = folder / f"model{FORMATS[form].suffix}"
    assert export(translator, record, form, path) < TOLERANCE
    assert list(folder.iterdir()) == [path]
    run, stored = FORMATS[form].load(path)
    if form == "torchscript":
        assert '"cpu"' not in str(run.inlined_graph)  # a constant device would keep it from a GPU
    network = ExportedNetwork(translator.model, "AtoB")
    assert stored == metadata(translator, record, network)
    for shape in ((1, 3, 8, 8), (3, 3, 33, 18), (1, 3, 16, 64)):
        images = noise(*shape)
        translated = run(images, *inputs(translator, network, images))
        assert translated.shape == images.shape and translated.dtype == torch.float32
        assert (translated - expected(translator, images, network.multiple)).abs().max() < 2 * TOLERANCE


def test_bf16_is_exported_in_float32(tmp_path):
    plain, half = fresh("cyclegan"), fresh("cyclegan", precision="bf16")
    for (translator, record), name in ((plain, "a.pt"), (half, "b.pt")):
        assert export(translator, record, "torchscript", tmp_path / name) < TOLERANCE
    images = noise(1, 3, 16, 16)
    a, b = (FORMATS["torchscript"].load(tmp_path / name)[0](images) for name in ("a.pt", "b.pt"))
    assert torch.equal(a, b)


def test_a_file_that_differs_is_not_put_in_place(tmp_path, monkeypatch):
    translator, record = fresh("cyclegan")
    real = ExportedNetwork.forward
    monkeypatch.setattr(ExportedNetwork, "forward", lambda *given: real(*given) + 1e-3)
    with pytest.raises(CgbenchError, match=r"differ from the trial's by 5\.0e-04 of their range, more than 0\.0001"):
        export(translator, record, "torchscript", tmp_path / "a.pt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["pt2", pytest.param("onnx", marks=needs_onnx)])
def test_a_network_that_cannot_be_exported_is_refused_in_one_line(tmp_path, form):
    class Doubting(nn.Module):
        def forward(self, images):
            return images if images.mean() > 0 else -images

    translator, record = fresh("cyclegan")
    translator.model.networks["G_ab"] = Doubting()
    with pytest.raises(CgbenchError) as caught:
        export(translator, record, form, tmp_path / f"a{FORMATS[form].suffix}")
    assert str(caught.value).startswith(f"cyclegan cannot be exported as {FORMATS[form].suffix}: ")
    assert len(str(caught.value).splitlines()) == 1 and not list(tmp_path.iterdir())


def test_domains_of_other_formats_keep_their_channels_and_say_their_windows(tmp_path):
    translator, record = fresh("cyclegan", channels_a=1, channels_b=4)
    formats = PixelFormat(1, "int16", (-1000, 2000), "HU", (-160, 240)), PixelFormat(4, "uint16", (0, 4095))
    translator = replace(translator, source=formats[0], target=formats[1])
    assert export(translator, record, "torchscript", tmp_path / "a.pt") < TOLERANCE
    run, stored = FORMATS["torchscript"].load(tmp_path / "a.pt")
    assert run(noise(2, 1, 9, 11)).shape == (2, 4, 9, 11)
    facts = {"channels": 1, "dtype": "int16", "window": [-1000, 2000], "unit": "HU", "display": [-160, 240]}
    assert {key: stored["source"][key] for key in facts} == facts and stored["target"]["window"] == [0, 4095]


def test_what_came_meanwhile_stays(tmp_path, monkeypatch):
    translator, record = fresh("cyclegan")
    real = export_model._write_public

    def meanwhile(network, facts, path):
        real(network, facts, path)
        (tmp_path / "a.json").write_text("mine")

    monkeypatch.setattr(export_model, "_write_public", meanwhile)
    with pytest.raises(CgbenchError, match=r"a\.json: already there"):
        export(translator, record, "public", tmp_path / "a.pth")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("name", "settings", "build"),
    [
        ("cyclegan", {}, lambda: Resnet(blocks=1)),
        ("cut", {"norm": "batch"}, lambda: Resnet(blocks=1, kind="batch", antialias=True)),
        ("pix2pix", {"generator": "unet", **SIDES_32}, lambda: Unet(halvings=5)),
    ],
)
def test_the_public_code_loads_the_weights_and_gives_the_same_outputs(tmp_path, name, settings, build):
    translator, record = fresh(name, **settings)
    assert export(translator, record, "public", tmp_path / "latest_net_G_A.pth") is None
    public = build().eval()
    public.load_state_dict(torch.load(tmp_path / "latest_net_G_A.pth", weights_only=True))
    images = noise(2, 3, 32, 64)
    with torch.no_grad():
        assert (public(images) - translator.model.translate(images, "AtoB")).abs().max() < 1e-5
    stored = json.loads((tmp_path / "latest_net_G_A.json").read_text())["cgbench"]
    assert stored["method"] == name and "width 4" in stored["network"]


def test_a_small_unet_that_the_public_code_cannot_build_is_refused(tmp_path):
    with pytest.raises(CgbenchError, match="the public U-Net has at least 5 halvings, and this one 4"):
        export(*fresh("cyclegan", **UNET), "public", tmp_path / "a.pth")
    assert not list(tmp_path.iterdir())


def test_a_method_without_a_public_network_is_refused(tmp_path):
    for name in ("unit", "munit"):
        with pytest.raises(CgbenchError, match=f"--format public: {name} translates through ContentEncoder and "):
            export(*fresh(name), "public", tmp_path / "a.pth")


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(exported_formats, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(CgbenchError, match=r"--format onnx needs onnxscript, not installed here: pip install '\.\[exp"):
        export_model.ensure_exportable(Path("a.onnx"), Path("run"), "onnx")
    export_model.ensure_exportable(Path("a.pt2"), Path("run"), "pt2")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two methods, one of which draws numbers, and a test image."""
    root = tmp_path_factory.mktemp("trained")
    for number, folder in enumerate(("trainA", "trainB", "testA", "testB")):
        (root / "own" / folder).mkdir(parents=True)
        for name in ("a", "b"):
            scene(number + ord(name), size=(31, 19)).save(root / "own" / folder / f"{name}.png")
    data = ["--dataset", "folder", "--data-root", root / "own", "--runs-dir", root, "--name", "run"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write_and_print", lambda *_: None)  # slow, and tested elsewhere
        cgbench("run", "--methods", "gan_only,munit", *data, *SMALL)
    return root / "run", root / "own" / "testA" / "a.png"


def export_command(*arguments, code=0):
    return cgbench("export", *arguments, code=code).splitlines()[-1]


def digests(folder):
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*") if path.is_file()}


def test_metadata_say_where_the_file_is_from(trained, tmp_path):
    run, before = trained[0], digests(trained[0])
    output = tmp_path / "new" / "model.pt"
    said = export_command(run, "--method", "gan_only", "--direction", "BtoA", "--format", "torchscript",
                          "--output", output)  # fmt: skip
    assert said.startswith(f"gan_only, seed 0, B→A, from step 3, in {output} (differs by ")
    stored, record = FORMATS["torchscript"].load(output)[1], read_trial(TrialFolder.of(run, "own", "gan_only", 0))
    assert (stored["method"], stored["seed"], stored["step"], stored["direction"]) == ("gan_only", 0, 3, "BtoA")
    assert stored["trial_digest"] == record["digest"] and len(stored["config_digest"]) == 12
    assert stored["dataset"] == {key: record["dataset"][key] for key in ("label", "licence", "source")}
    assert (stored["source"]["domain"], stored["target"]["domain"]) == ("B", "A")
    assert stored["source"]["window"] == [0, 255] and stored["source"]["channels"] == 3
    documented = re.findall(r"^\|(.+?)\|", DOCS.read_text().split("## The metadata")[1], re.M)  # the first column
    assert set(stored) == set(re.findall(r"`(\w+)`", "".join(documented)))
    assert digests(run) == before


def test_hostile_outputs_are_refused(trained, tmp_path):
    run = trained[0]
    chosen = [run, "--method", "gan_only", "--format", "pt2", "--output"]
    (tmp_path / "folder.pt2").mkdir()
    (tmp_path / "file.pt2").write_text("mine")
    (tmp_path / "link.pt2").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.iterdir())
    for name in ("folder.pt2", "file.pt2", "link.pt2"):
        assert f"{name}: already there, and nothing is overwritten" in export_command(*chosen, tmp_path / name, code=2)
    assert "lies in the run" in export_command(*chosen, run / "a.pt2", code=2)
    assert "ends in .pt2" in export_command(*chosen, tmp_path / "a.onnx", code=2)
    assert "name a directory" in export_command(*chosen, tmp_path / "file.pt2" / "a" / "b.pt2", code=2)
    assert "choose by --method" in export_command(run, "--format", "pt2", "--output", tmp_path / "a.pt2", code=2)
    assert sorted(tmp_path.iterdir()) == before and (tmp_path / "file.pt2").read_text() == "mine"


@needs_onnx
def test_the_example_of_the_docs_runs_without_cgbench(trained, tmp_path):
    run, image = trained
    (example,) = re.findall(r"```python\n(.+?)```", DOCS.read_text(), re.S)
    assert "cgbench." not in example and len(example.splitlines()) <= 13
    for method in ("gan_only", "munit"):
        model, output = tmp_path / f"{method}.onnx", tmp_path / f"{method}.png"
        export_command(run, "--method", method, "--format", "onnx", "--output", model)
        subprocess.run([sys.executable, "-c", example, model, image, output], check=True, timeout=120)
        assert Image.open(output).size == (31, 19)
    cgbench("translate", run, image, "--method", "gan_only", "--output", tmp_path / "ours", "--device", "cpu")
    pictures = (tmp_path / "gan_only.png", tmp_path / "ours" / "a.png")
    levels = [np.asarray(Image.open(path), np.int16) for path in pictures]
    assert np.abs(levels[0] - levels[1]).max() <= 1
