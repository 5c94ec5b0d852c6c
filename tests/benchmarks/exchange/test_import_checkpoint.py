"""Weights of public generators in a run: translated, measured as a method's own outputs, and refused in one line."""

import shutil

import pytest
import torch

from cgbench.benchmarks.exchange.public_names import to_public
from cgbench.benchmarks.exchange.public_networks import PublicNetwork
from cgbench.benchmarks.exchange.translate_files import open_translator
from cgbench.files import read_json, read_jsonl
from cgbench.results.records import read_trial
from cgbench.results.run_folder import TrialFolder
from helpers.cli import SMALL, cgbench, leave_out_what_is_slow
from helpers.image_folders import healthy
from helpers.public_generators import Autoencoder, Resnet, Unet, with_weights


@pytest.fixture(autouse=True, scope="module")
def _quick():
    """Reports and the plan's times are slow, and tested elsewhere."""
    with pytest.MonkeyPatch.context() as patched:
        leave_out_what_is_slow(patched)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory, _quick):
    folder = tmp_path_factory.mktemp("trained")
    data = healthy(folder / "own", train=4, test=3)
    options = [*SMALL, "--set=memory_format=contiguous", "--runs-dir", folder, "--name", "run"]
    cgbench("run", "--methods", "cyclegan", "--dataset", "folder", "--data-root", data, *options)
    return folder / "run", data


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained[0], tmp_path / "run")


def method_folder(run, name, seed=0):
    return TrialFolder.of(run, "own", name, seed)


def import_checkpoint(run, trained, state, *options, name="theirs", direction="AtoB", code=0):
    file = run.parent / "latest_net_G_A.pth"
    torch.save(state, file)
    arguments = [run, file, "--as", name, "--direction", direction, "--data-root", trained[1], "--device", "cpu"]
    return cgbench("import", "checkpoint", *arguments, *options, code=code)


def rows(folder, direction):
    return {row["metric"]: row["value"] for row in read_jsonl(folder.metrics) if row["direction"] == direction}


def outputs(folder, direction):
    return [path.read_bytes() for path in sorted((folder.path / "outputs" / direction).iterdir())]


@pytest.mark.parametrize(("direction", "network"), [("AtoB", "G_ab"), ("BtoA", "G_ba")])
def test_weights_that_went_out_and_came_back_have_the_outputs_and_numbers_of_the_run(run, trained, direction, network):
    own = method_folder(run, "cyclegan")
    model = open_translator((own, read_trial(own)), direction, "last", "cpu").model
    blocks = model.config.blocks
    state = to_public(model.networks[network].state_dict(), PublicNetwork("resnet", 3, 3, 4, blocks))
    said = import_checkpoint(run, trained, state, "--training", "three steps", direction=direction)
    assert "theirs: checkpoint latest_net_G_A.pth (SHA-256 " in said
    added = method_folder(run, "theirs")
    record = read_json(added.trial)["external"]
    assert (record["direction"], record["seed"], record["training"]) == (direction, None, "three steps")
    assert f"resnet_{blocks}blocks, 3 → 3 channels, width 4, instance norm" in record["origin"]
    assert outputs(added, direction) == outputs(own, direction)
    found, expected = rows(added, direction), rows(own, direction)
    assert found and found == {name: expected[name] for name in found}


def test_munit_draws_a_style_per_image_and_says_it(run, trained):
    states = {domain: with_weights(Autoencoder(style=8), ord(domain)).state_dict() for domain in "ab"}
    said = import_checkpoint(run, trained, states, "--seed", "5", name="styled")
    assert "in a random style of 8 numbers for each image, drawn with seed 5" in said.replace("\n", " ")
    import_checkpoint(run, trained, states, "--seed", "6", name="styled")
    first, second = (method_folder(run, "styled", seed) for seed in (5, 6))
    assert "drawn with seed 6" in read_json(second.trial)["external"]["origin"]
    assert outputs(first, "AtoB") != outputs(second, "AtoB")


@pytest.mark.parametrize(("state", "message"), [
    (Resnet(1, 3, blocks=6).state_dict(), "reads images of 1 channel, and domain A of the run has 3"),
    (Resnet(3, 1, blocks=6).state_dict(), "gives images of 1 channel, and domain B of the run has 3"),
    (Unet(halvings=7, ngf=2).state_dict(), "multiples of 128, not 16×16"),
    ({"fc.weight": torch.zeros(3, 4)}, "no generator that is known here"),
])  # fmt: skip
def test_what_does_not_fit_leaves_the_run_as_it_was(run, trained, state, message):
    before = sorted(run.rglob("*"))
    said = import_checkpoint(run, trained, state, code=2)
    assert message in " ".join(said.split())
    assert sorted(run.rglob("*")) == before
