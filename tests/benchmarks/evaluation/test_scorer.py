"""The scorer: its network, what it predicts, and its file."""

import copy
import warnings

import numpy as np
import pytest
import torch

from cgbench.benchmarks.evaluation import scorer
from cgbench.benchmarks.evaluation.scorer import Scorer, build_network
from cgbench.errors import DataBroken
from helpers.scorer_photos import PALETTE, scenes


def test_gradients_agree_with_float64():
    network = build_network(3, 4).train()
    exact = copy.deepcopy(network).double()
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    target = torch.arange(512).reshape(2, 16, 16) % 3
    network = network.to(memory_format=torch.channels_last)
    for net, images in ((network, x), (exact, x.double())):
        torch.nn.functional.cross_entropy(net(images), target).backward()
    for (name, ours), theirs in zip(network.named_parameters(), exact.parameters(), strict=True):
        scale = theirs.grad.abs().max()
        assert (ours.grad - theirs.grad).abs().max() < 1e-4 * scale + 1e-8, name


def test_initial_weights_come_from_the_names_alone():
    state = torch.get_rng_state()
    narrow, again = build_network(3, 4).state_dict(), build_network(7, 4).state_dict()
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(narrow[name], again[name]) for name in narrow if not name.startswith("head"))
    assert all(value.isfinite().all() for value in narrow.values())


@pytest.mark.parametrize("side", [8, 24, 40])
def test_any_multiple_of_eight_will_do(trained, side):
    assert trained.predict(np.zeros((2, side, side, 3), np.uint8)).shape == (2, side, side)


def test_a_photo_is_judged_alike_alone_and_in_company(trained, monkeypatch):
    photos, _ = scenes(7, seed=3)
    together = trained.predict(photos)
    monkeypatch.setattr(scorer, "PIXELS_AT_ONCE", 3 * 256)
    assert (trained.predict(photos) == together).all()
    photos.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (trained.predict(photos[::-1]) == together[::-1]).all()


def test_a_scorer_comes_back_from_its_file_as_it_was(trained, tmp_path):
    path = tmp_path / "deep" / "scorer.safetensors"
    trained.save(path)
    loaded = Scorer.load(path)
    photos, _ = scenes(5, seed=2)
    assert (loaded.digest, loaded.info) == (trained.digest, trained.info)
    assert len(loaded.digest) == 12
    assert (loaded.predict(photos) == trained.predict(photos)).all()


@pytest.mark.parametrize("damage", ["cut", "bit", "text", "foreign", "header", "folder"])
def test_a_broken_file_is_named(trained, tmp_path, damage):
    path = tmp_path / "scorer.safetensors"
    trained.save(path)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "bit":
        data[-100] ^= 1
        path.write_bytes(data)
    elif damage == "text":
        path.write_text("this is no scorer")
    elif damage == "foreign":
        import safetensors.numpy

        path.write_bytes(safetensors.numpy.save({"weight": np.zeros(3)}))
    elif damage == "header":
        path.write_bytes(bytes(data).replace(b'\\"width\\": 6', b'\\"width\\": 7'))
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(DataBroken, match=r"scorer\.safetensors is not a readable scorer"):
        Scorer.load(path)


def test_probabilities_sum_to_one_and_agree_with_the_classes(trained):
    photos, _ = scenes(3, seed=2)
    probabilities = trained.probabilities(photos)
    assert probabilities.shape == (3, 4, 16, 16) and np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1) == trained.predict_or_reject(photos)).all()


def test_pictures_of_the_other_domain_are_rejected_and_photos_are_not(trained):
    photos, labels = scenes(20, seed=1)
    flat = PALETTE[labels % 3]
    assert (trained.predict_or_reject(flat) == 3).mean() > 0.9
    assert (trained.predict_or_reject(photos) == 3).mean() < 0.05
    assert trained.predict(flat).max() < 3  # without the reject class every pixel has a class
