"""`cgbench.run` beside the command: the same numbers under the same settings, and a generator of what was trained."""

import numpy as np
import pytest
import torch

import cgbench
from cgbench.files import read_json, read_jsonl
from cgbench.results.run_folder import trial_folders
from helpers.cli import cgbench as command
from helpers.image_folders import healthy

SMALL = {"steps": 2, "crop_size": 16, "load_size": 18, "ngf": 4, "ndf": 4, "horizontal_flip": False}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    healthy(root)
    return root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return cgbench.run(
        ["gan_only"], "folder", seeds=[3], preset="smoke", settings=SMALL, data_root=data, name="python",
        runs_dir=folder, device="cpu", quiet=True,
    )  # fmt: skip


def test_it_gives_the_numbers_of_the_command(run, data):
    settings = [word for key, value in SMALL.items() for word in ("--set", f"{key}={str(value).lower()}")]
    command(
        "run", "--methods", "gan_only", "--dataset", "folder", "--seeds", 3, "--preset", "smoke", *settings,
        "--data-root", data, "--name", "command", "--runs-dir", run.path.parent, "--device", "cpu",
    )  # fmt: skip
    other = cgbench.open_run(run.path.parent / "command")
    keys = ["method", "seed", "direction", "metric", "value", "protocol"]
    assert run.records[keys].equals(other.records[keys]) and len(run.records)
    assert set(run.trials["digest"]) == set(other.trials["digest"])
    for one, two in zip(trial_folders(run.path), trial_folders(other.path), strict=True):
        losses = [[(row["step"], row["losses"]) for row in read_jsonl(trial.steps)] for trial in (one, two)
                  if trial.steps.exists()]  # fmt: skip
        assert not losses or losses[0] == losses[1]


def test_the_record_names_the_command_that_repeats_it(run, data):
    line = read_json(run.path / "run.json")["command"]
    assert line.startswith("cgbench run --methods gan_only --dataset folder --seeds 3 --preset smoke")
    assert f"--data-root {data}" in line and "--set horizontal_flip=false" in line


def test_quiet_prints_nothing(run, data, capfd):
    cgbench.run(["gan_only"], "folder", seeds=[3], preset="smoke", settings=SMALL, data_root=data, name="python",
                runs_dir=run.path.parent, device="cpu", quiet=True)  # fmt: skip
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": ["gan_onyl"], "dataset": "streets"}, "did you mean 'gan_only'"),
        ({"methods": ["gan_only"]}, "--dataset is missing"),
        ({"methods": ["gan_only"], "dataset": "streets", "preset": "tiny"}, "preset"),
        ({"methods": ["gan_only"], "dataset": "streets", "settings": {"stepz": 3}}, "unknown setting 'stepz'"),
        ({"methods": ["gan_only"], "dataset": "streets", "seeds": [-1]}, "--seeds"),
    ],
)
def test_mistakes_are_errors_of_one_line(arguments, message, tmp_path):
    with pytest.raises(cgbench.CgbenchError, match=message) as caught:
        cgbench.run(**arguments, runs_dir=tmp_path, quiet=True)
    assert "\n" not in str(caught.value) and not any(tmp_path.iterdir())


def test_the_generator_gives_the_saved_outputs(run):
    generator = run.trial("gan_only").generator("AtoB")
    assert isinstance(generator, torch.nn.Module) and sum(p.numel() for p in generator.parameters()) > 0
    outputs, sources = run.images("gan_only"), run.images(which="sources")
    for key, source in sources.items():
        output = generator.postprocess(generator(generator.preprocess(source)))
        assert np.abs(output.astype(int) - outputs[key]).max() <= 1  # batches of other sizes round otherwise
    whole = generator.translate(np.random.default_rng(0).integers(0, 256, (19, 30, 3), dtype=np.uint8))
    assert whole.shape == (19, 30, 3) and whole.dtype == np.uint8
    with pytest.raises(cgbench.CgbenchError, match=r"it must be \(H, W, 3\) of uint8"):
        generator.preprocess(np.zeros((4, 4), np.float32))
    with pytest.raises(cgbench.CgbenchError, match="no finished trained trial"):
        run.trial("copy").generator("AtoB")
