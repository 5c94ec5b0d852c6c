"""Averaged weights and earlier checkpoints: what they are, that training does not notice them, and their evaluation."""

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cgbench.api.names import Weights
from cgbench.api.registry import METHODS
from cgbench.benchmarks.training.alternative_weights import alternative_weights
from cgbench.benchmarks.training.averaged_weights import AveragedWeights, translating_networks
from cgbench.benchmarks.training.checkpoint import averages_in, read_checkpoint, restore
from cgbench.benchmarks.training.trainer import train
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model
from cgbench.results.run_folder import TrialFolder
from helpers.tiny_models import tiny_config, tiny_sampler


def trained(path, config, stops=(6,), digest="digest"):
    """The model and the folder of a training that stopped at the given steps."""
    folder = TrialFolder(path)
    folder.path.mkdir(exist_ok=True)
    for stop in stops:
        model = Model(METHODS.get("cyclegan"), config, 0)
        train(model, tiny_sampler(config), config, 6, 1, folder, digest, until=stop)
    return model, folder


def weights_of(model):
    return {name: value.clone() for name, value in model.state().items() if name.startswith("network.G")}


def test_an_average_is_that_of_torch_once_its_decay_is_reached():
    model = Model(METHODS.get("cyclegan"), tiny_config(), 0)
    averages = AveragedWeights(model, 0.1)  # (1 + t) / (10 + t) exceeds it from the first step on
    reference = AveragedModel(model.networks["G_ab"], multi_avg_fn=get_ema_multi_avg_fn(0.1))
    reference.update_parameters(model.networks["G_ab"])
    for step in range(1, 4):
        with torch.no_grad():
            for weight in model.networks["G_ab"].parameters():
                weight.add_(torch.randn_like(weight))
        averages.update(step)
        reference.update_parameters(model.networks["G_ab"])
    state = averages.state()
    for name, value in reference.module.named_parameters():
        torch.testing.assert_close(state[f"G_ab.{name}"], value)


def test_a_young_average_forgets_the_initial_weights():
    """The product of the decays is the share of the initial weights: 2/11 · 3/12 · 4/13 after three steps."""
    model = Model(METHODS.get("cyclegan"), tiny_config(), 0)
    averages = AveragedWeights(model, 0.999)
    with torch.no_grad():
        before = {name: value.clone() for name, value in averages.state().items()}
        for network in ("G_ab", "G_ba"):
            for weight in model.networks[network].parameters():
                weight.zero_()
    for step in (1, 2, 3):
        averages.update(step)
    for name, value in averages.state().items():
        torch.testing.assert_close(value, before[name] * (2 / 11) * (3 / 12) * (4 / 13))


@pytest.mark.parametrize("name", ["cyclegan", "cut", "munit", "cogan", "unit_tied", "bigan"])
def test_all_that_translates_is_averaged_and_no_discriminator(name):
    model = Model(METHODS.get(name), tiny_config(), 0)
    networks = translating_networks(model)
    assert networks and not [network for network in networks if network.startswith("D")]


def test_training_does_not_notice_the_average(tmp_path):
    plain, _ = trained(tmp_path / "plain", tiny_config(steps=6))
    averaged, folder = trained(tmp_path / "averaged", tiny_config(steps=6, ema_decay=0.9))
    assert all(torch.equal(value, averaged.state()[name]) for name, value in plain.state().items())
    averages = averages_in(read_checkpoint(folder.checkpoint)[0])
    assert any(not torch.equal(value, plain.state()[f"network.{name}"]) for name, value in averages.items())


def test_a_resumed_average_has_the_bits_of_one_that_was_not_stopped(tmp_path):
    config = tiny_config(steps=6, ema_decay=0.9)
    found = [
        averages_in(read_checkpoint(trained(tmp_path / name, config, stops)[1].checkpoint)[0])
        for name, stops in (("whole", (6,)), ("stopped", (2, 5, 6)))
    ]
    assert found[0] and found[0].keys() == found[1].keys()
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_a_checkpoint_without_averages_is_not_averaged_from_its_middle(tmp_path):
    trained(tmp_path / "one", tiny_config(steps=6), stops=(3,))
    with pytest.raises(CgbenchError, match="no averaged weights"):
        trained(tmp_path / "one", tiny_config(steps=6, ema_decay=0.9))


def test_alternatives_are_the_average_and_the_earlier_checkpoints_and_the_last_weights_are_back(tmp_path):
    model, folder = trained(tmp_path / "one", tiny_config(steps=6, ema_decay=0.9, keep_last=3, save_every=2))
    last = weights_of(model)
    seen = [(weights, step, weights_of(model)) for weights, step in alternative_weights(model, folder, "digest")]
    assert [entry[:2] for entry in seen] == [(Weights.AVERAGED, 6), (Weights.EARLIER, 2), (Weights.EARLIER, 4)]
    averages = averages_in(read_checkpoint(folder.checkpoint)[0])
    assert all(torch.equal(value, seen[0][2][f"network.{name}"]) for name, value in averages.items())
    other = Model(METHODS.get("cyclegan"), model.config, 0)
    restore(other, {}, read_checkpoint(folder.checkpoint_at(4))[0], folder.checkpoint)
    assert all(torch.equal(value, seen[2][2][name]) for name, value in weights_of(other).items())
    assert all(torch.equal(value, weights_of(model)[name]) for name, value in last.items())


def test_checkpoints_of_another_training_and_broken_ones_are_left_out(tmp_path, capsys):
    model, folder = trained(tmp_path / "one", tiny_config(steps=6, keep_last=3, save_every=2))
    folder.checkpoint_at(2).write_bytes(b"no checkpoint")
    assert [entry for entry in alternative_weights(model, folder, "digest")] == [(Weights.EARLIER, 4)]
    assert "left out of the mean over checkpoints" in " ".join(capsys.readouterr().out.split())
    assert not list(alternative_weights(model, folder, "another"))
