"""What is wrong with a published network's files: each fault is one line that names the file, before anything runs."""

import hashlib
import os
import re
from pathlib import Path

import pytest
import torch

from cgbench import DATASETS, Dataset, Domain
from cgbench.benchmarks.evaluation.scorer import published_scorer
from cgbench.benchmarks.published_networks.description import ARCHITECTURES, README, Published, read_description
from cgbench.benchmarks.trials.trial import resolve_trials
from cgbench.datasets.cityscapes import PALETTE as CITYSCAPES
from cgbench.errors import CgbenchError
from helpers.cli import SMALL, cgbench
from helpers.published_network import CLASSES, OUTPUTS, network, put


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CGBENCH_WEIGHTS", str(tmp_path))
    return tmp_path


def refusal(name="tiny"):
    """The one line that a network is refused with."""
    with pytest.raises(CgbenchError) as error:
        published_scorer(name, DATASETS.factory("streets")(None))
    text = str(error.value)
    assert "\n" not in text and len(text) < 600
    return text


def changed(**tensors):
    return {**network().state_dict(), **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "drn_d_22"}, "'architecture': 'drn_d_22' is not known (known: deeplabv3_"),
        ({"architecture": "fcn_resnet5"}, "(did you mean 'fcn_resnet50'?)"),
        ({"architecture": ...}, "'architecture' is missing"),
        ({"outputs": 11}, "'classes' has 12 entries, and 'outputs' is 11"),
        ({"outputs": True}, "'outputs'"),
        ({"outputs": 10**9}, "'outputs'"),
        ({"classes": [*OUTPUTS[:-1], 3]}, "'classes[11]'"),
        ({"classes": [*OUTPUTS[:-1], "raod"]}, "names 'raod', which is no class of 'streets' (did you mean 'road'?)"),
        ({"classes": [None, *CLASSES[:-2], *[None] * 5]}, "gives no output to 'person' and 'car' of 'streets'"),
        ({"mean": [0.5, 0.5]}, "'mean'"),
        ({"mean": [123.68, 116.779, 103.939]}, "'mean[0]'"),
        ({"std": [0.2, 0.2, 0.0]}, "'std[2]'"),
        ({"input_size": [32, 100_000]}, "'input_size[1]'"),
        ({"input_size": 64}, "'input_size'"),
        ({"sha256": "abc"}, "'sha256'"),
        ({"sha265": "0" * 64}, "sha265"),
    ],
)
def test_a_description_that_does_not_fit_is_named_with_its_field(changes, said, folder):
    put(folder, **changes)
    text = refusal()
    assert text.startswith(str(folder / "tiny.json")) and said in text


def test_the_example_of_the_readme_describes_a_network_for_cityscapes(folder):
    readme = Path(__file__).parents[3] / README
    (example,) = re.findall(r"```json\n(.*?)```", readme.read_text(encoding="utf-8"), re.S)
    path = folder / "drivers.json"
    path.write_text(example, encoding="utf-8")
    published = Published("drivers", read_description(path), path, path)
    classes = [entry.name for entry in CITYSCAPES]
    assert published.class_ids(classes, "cityscapes") == tuple(range(19))
    assert all(f"`{architecture}`" in readme.read_text(encoding="utf-8") for architecture in ARCHITECTURES)


@pytest.mark.parametrize("content", ["", "[]", '"tiny"', "{", '{"outputs": NaN}', "[" * 10_000])
def test_a_file_that_is_no_description_is_named(content, folder):
    put(folder)
    (folder / "tiny.json").write_text(content)
    assert refusal().startswith(str(folder / "tiny.json"))


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (changed(classifier__low_classifier__weight=torch.zeros(21, 40, 1, 1)),
         r"'classifier.low_classifier.weight' has the shape (21, 40, 1, 1), and the architecture (12, 40, 1, 1)"),
        (changed(classifier__low_classifier__bias=torch.tensor([torch.nan, *[0.0] * 11])),
         "'classifier.low_classifier.bias' holds infinite numbers or NaN"),
        (changed(classifier__low_classifier__bias=torch.full((12,), 1e39, dtype=torch.float64)), "infinite"),
        pytest.param(
            changed(classifier__low_classifier__bias=torch.zeros(12).to_sparse()), "no plain tensor",
            marks=pytest.mark.filterwarnings("ignore:Validating sparse"),
        ),
        ({f"module.{name}": it for name, it in network().state_dict().items()}, "has no 'backbone.0.0.weight' and has "
         "'module.backbone.0.0.weight', which the architecture has not"),
        ({name: it for name, it in network().state_dict().items() if "low" not in name}, "has no 'classifier.low"),
        ({"model": network().state_dict()}, "'model' is a OrderedDict and no tensor: save model.state_dict()"),
        (torch.zeros(3), "holds a Tensor and no state dict"),
        ({}, "no state dict"),
        ({"a\nb": torch.zeros(3)}, r"has 'a\nb', which the architecture has not"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_named(weights, said, folder):
    path = put(folder, weights=weights)
    text = refusal()
    assert text.startswith(str(path)) and said in text


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_of_weights_is_named(suffix, folder):
    path = put(folder, suffix=suffix)
    path.write_bytes(path.read_bytes()[: 10**6])
    text = refusal()
    assert text.startswith(str(path)) and "get it again" in text


def test_a_file_that_runs_code_is_not_run(folder):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(folder / "made"),)

    path = put(folder, weights={"weight": Evil()})
    assert refusal().startswith(f"{path} is not readable") and not (folder / "made").exists()


def test_a_file_of_another_digest_is_refused_and_one_of_the_stated_digest_is_taken(folder):
    path = put(folder)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    put(folder, sha256="0" * 64)
    text = refusal()
    assert text.startswith(f"{path} has the SHA-256 {sha256[:8]}…, and tiny.json says 00000000…")
    put(folder, sha256=sha256)
    assert published_scorer("tiny", DATASETS.factory("streets")(None)).info["published"]["scorer_weights"] == sha256


def test_a_huge_file_is_refused_unread(folder):
    path = put(folder)
    os.truncate(path, 2**31)
    assert refusal().startswith(f"{path} has 2.1 GB, at most 1.1 GB")


def test_what_is_absent_or_ambiguous_is_named(folder, monkeypatch):
    path = put(folder, "tiny")
    assert f"{folder / 'tinny.json'} is not there (did you mean 'tiny'?)" in refusal("tinny")
    for name in ("../tiny", "", "a\0b", "x" * 1000, str(folder / "tiny")):
        assert "is no name of a file" in refusal(name)
    put(folder, "tiny", ".safetensors")
    assert re.search(r"tiny.safetensors and tiny.pth are both there: remove one", refusal())
    path.unlink()
    (folder / "tiny.safetensors").unlink()
    assert f"{folder / 'tiny'}.safetensors is not there, nor tiny.pth: put" in refusal()
    monkeypatch.delenv("CGBENCH_WEIGHTS")
    assert "CGBENCH_WEIGHTS is not set" in refusal()


@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_a_run_is_refused_before_anything_is_written(dry, folder, tmp_path):
    put(folder, outputs=13, classes=[*OUTPUTS, None])
    runs = tmp_path / "runs"
    command = [
        "run",
        "--methods",
        "gan_only",
        "--dataset",
        "streets",
        "--preset",
        "smoke",
        "--set",
        "scorer=tiny",
        *dry,
    ]
    printed = cgbench(*command, "--runs-dir", runs, "--device", "cpu", code=2)
    assert "has the shape (12, 40, 1, 1), and the architecture (13, 40, 1, 1)" in printed
    assert not runs.exists()


@pytest.mark.parametrize(
    ("methods", "assignments", "said"),
    [
        ("gan_only", SMALL[4:], "scorer_limit"),
        ("gan_only", ["--set=scorers=2"], "--set scorers: scorer=tiny is one network that is not trained here"),
        ("feature_loss_gan", ["--set=features=scorer"], "features=scorer needs scorers that are trained"),
    ],
)
def test_settings_that_a_published_network_cannot_serve_are_refused(methods, assignments, said, folder):
    put(folder)
    command = ["run", "--methods", methods, "--dataset", "streets", "--preset", "smoke", "--set", "scorer=tiny"]
    assert said in cgbench(*command, *assignments, "--dry-run", code=2)


def test_a_dataset_without_labels_has_no_use_for_a_scorer():
    class Plain(Dataset):
        name, summary, domains = "plain", "photos without labels", (Domain("summer"), Domain("winter"))

        def items(self, split, domain):
            return []

    with pytest.raises(CgbenchError, match="scorer=tiny: dataset 'plain' has no labels"):
        resolve_trials(["gan_only"], Plain(None), [0], "smoke", ["scorer=tiny"])
