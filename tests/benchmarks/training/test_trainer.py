"""The loop: the same bits twice, the same bits after a stop, and a trial that diverges says so."""

import math
import os
import re
import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from cgbench.api.graph_nodes import Apply
from cgbench.api.method import Method, Term
from cgbench.benchmarks.runtime.peak_memory import peak_memory, reset_peak_memory
from cgbench.benchmarks.training import trainer
from cgbench.benchmarks.training.checkpoint import read_checkpoint
from cgbench.benchmarks.training.checkpoint_header import saved_step
from cgbench.benchmarks.training.trainer import train
from cgbench.errors import CgbenchError, Diverged
from cgbench.files import read_jsonl
from cgbench.methods.blocks.model import Model
from cgbench.methods.cyclegan import cyclegan
from cgbench.methods.functional.losses import lsgan_discriminator
from cgbench.results.run_folder import TrialFolder
from helpers.tiny_models import tiny_config, tiny_sampler

CONFIG = tiny_config(steps=7, save_every=3, log_every=2, pool_size=3)


def trained(folder, config=CONFIG, method: Method | None = None, progress=lambda *_: None, seed=0):
    path = TrialFolder(folder)
    path.path.mkdir(exist_ok=True)
    model = Model(method or cyclegan(), config, seed)
    train(model, tiny_sampler(config, seed), config, config.steps, 1, path, "digest", progress)
    return model, path


def checkpoint_of(path):
    tensors, facts = read_checkpoint(path.checkpoint)
    return tensors, {key: value for key, value in facts.items() if key not in ("seconds", "memory")}


def losses_of(path):
    return [(row["step"], row["losses"]) for row in read_jsonl(path.steps)]


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_same_trial_twice_gives_the_same_bits(tmp_path):
    _, one = trained(tmp_path / "one")
    _, two = trained(tmp_path / "two")
    (tensors, facts), (again, facts_again) = checkpoint_of(one), checkpoint_of(two)
    assert facts == facts_again and same(tensors, again)
    assert losses_of(one) == losses_of(two)
    assert [step for step, _ in losses_of(one)] == [2, 4, 6, 7]


def test_another_seed_gives_other_weights(tmp_path):
    one, two = trained(tmp_path / "one")[0], trained(tmp_path / "two", seed=1)[0]
    assert not same(one.state(), two.state())


@pytest.mark.parametrize("step", [0, 2, 5])
@pytest.mark.parametrize("player", [0, 1])
def test_ctrl_c_in_the_middle_of_a_step_costs_no_bit(tmp_path, monkeypatch, step, player):
    """The signal comes while one player has moved and the other has not: the step ends, is saved, then it stops."""
    _, whole = trained(tmp_path / "whole")
    calls, real = [], trainer.backward

    def interrupted(total, optimizer):
        if len(calls) == 2 * step + player:
            signal.raise_signal(signal.SIGINT)
        calls.append(total)
        real(total, optimizer)

    monkeypatch.setattr(trainer, "backward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut")
    assert read_checkpoint(tmp_path / "cut" / "checkpoint.safetensors")[1]["step"] == str(step + 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.setattr(trainer, "backward", real)
    _, cut = trained(tmp_path / "cut")
    assert checkpoint_of(cut)[1] == checkpoint_of(whole)[1]
    assert same(checkpoint_of(cut)[0], checkpoint_of(whole)[0])
    assert losses_of(cut) == losses_of(whole)


def test_a_second_ctrl_c_stops_at_once_and_saves_no_half_step(tmp_path, monkeypatch):
    _, whole = trained(tmp_path / "whole")
    calls, real = [], trainer.backward

    def impatient(total, optimizer):
        calls.append(total)
        real(total, optimizer)
        if len(calls) == 9:  # the first player of the fifth step has its gradients
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(trainer, "backward", impatient)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut")
    assert read_checkpoint(tmp_path / "cut" / "checkpoint.safetensors")[1]["step"] == "3"
    monkeypatch.setattr(trainer, "backward", real)
    assert same(checkpoint_of(trained(tmp_path / "cut")[1])[0], checkpoint_of(whole)[0])


def test_a_log_interval_changed_on_the_way_keeps_the_means_true(tmp_path):
    """Losses of a constant term stay what they are, whatever interval they are averaged over."""
    constant = cyclegan().but("constant", functions={"cycle_a": lambda x, y: (x - y).abs().mean() * 0 + 0.5})

    def stop(step, total):
        if step == 4:
            raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        trained(tmp_path / "one", replace(CONFIG, log_every=4, save_every=3), constant, stop)
    _, path = trained(tmp_path / "one", replace(CONFIG, log_every=7), constant)
    assert [row["losses"]["cycle_a"] for row in read_jsonl(path.steps)] == pytest.approx([0.5])


def test_a_crash_goes_on_from_the_last_checkpoint_with_the_same_bits(tmp_path):
    _, whole = trained(tmp_path / "whole")

    def crash(step, total):
        if step == 5:
            raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        trained(tmp_path / "cut", progress=crash)
    _, cut = trained(tmp_path / "cut")
    assert same(checkpoint_of(cut)[0], checkpoint_of(whole)[0])
    assert losses_of(cut) == losses_of(whole)


def test_a_finished_training_is_not_trained_again(tmp_path):
    trained(tmp_path / "one")
    steps = []
    trained(tmp_path / "one", progress=lambda step, total: steps.append(step))
    assert steps == []


def test_another_trials_checkpoint_is_refused(tmp_path):
    model, path = trained(tmp_path / "one")
    with pytest.raises(CgbenchError, match="belongs to another trial"):
        train(model, tiny_sampler(CONFIG), CONFIG, CONFIG.steps, 1, path, "another")


def test_a_broken_checkpoint_is_named(tmp_path):
    _, path = trained(tmp_path / "one")
    path.checkpoint.write_bytes(path.checkpoint.read_bytes()[:100])
    with pytest.raises(CgbenchError, match=r"checkpoint\.safetensors is not a readable checkpoint"):
        trained(tmp_path / "one")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.double(), "is float64 instead of float32"),
        (lambda value: value.long(), "is int64 instead of float32"),
        (lambda value: value.half(), "is float16 instead of float32"),
        (lambda value: value * math.nan, "holds numbers that are infinite or not a number"),
        (lambda value: value + math.inf, "holds numbers that are infinite or not a number"),
    ],
    ids=["float64", "int64", "float16", "NaN", "infinite"],
)
@pytest.mark.parametrize("kind", ["network.G_ab.", "optimizer.generators.", "pool."])
def test_a_checkpoint_of_other_numbers_is_refused_with_the_tensors_name(kind, change, message, tmp_path):
    _, path = trained(tmp_path / "one")
    tensors, metadata = read_checkpoint(path.checkpoint)
    name = next(name for name in tensors if name.startswith(kind))
    path.checkpoint.write_bytes(save({**tensors, name: change(tensors[name])}, metadata))
    with pytest.raises(CgbenchError, match=rf"checkpoint\.safetensors .*'{re.escape(name)}' {message}"):
        trained(tmp_path / "one")


def test_what_is_no_file_is_not_opened_as_a_checkpoint(tmp_path):
    os.mkfifo(tmp_path / "checkpoint.safetensors")
    assert saved_step(tmp_path / "checkpoint.safetensors") == 0
    with pytest.raises(CgbenchError, match="a named pipe where a file is expected"):
        read_checkpoint(tmp_path / "checkpoint.safetensors")


def test_divergence_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    bad = cyclegan().but("bad", functions={"cycle_a": lambda x, y: (x - y).abs().mean() / 0})
    with pytest.raises(Diverged, match="infinite or not a number"):
        trained(tmp_path / "bad", method=bad)
    assert not (tmp_path / "bad" / "checkpoint.safetensors").exists()


def test_a_method_without_a_discriminator_stores_none(tmp_path):
    variant = cyclegan().but("x", drop=["adversarial_a", "adversarial_b"])
    _, path = trained(tmp_path / "one", method=variant)
    assert {name.split(".")[1] for name in checkpoint_of(path)[0] if name.startswith("network.")} == {"G_ab", "G_ba"}
    assert not any(name.startswith("pool") for name in checkpoint_of(path)[0])


def test_training_in_stretches_gives_the_same_bits(tmp_path):
    """What is measured on the way is measured between stretches; nothing may depend on where they end."""
    _, whole = trained(tmp_path / "whole")
    path = TrialFolder(tmp_path / "parts")
    path.path.mkdir()
    reached = []
    for until in (2, 5, 5, 99):
        model = Model(cyclegan(), CONFIG, 0)
        reached.append(train(model, tiny_sampler(CONFIG), CONFIG, CONFIG.steps, 1, path, "digest", until=until).step)
    assert reached == [2, 5, 5, 7]
    assert checkpoint_of(path)[1] == checkpoint_of(whole)[1]
    assert same(checkpoint_of(path)[0], checkpoint_of(whole)[0])
    assert losses_of(path) == losses_of(whole)


def test_the_peak_of_memory_is_that_of_the_training_alone():
    device = torch.device("cpu")
    if not peak_memory(device):
        pytest.skip("this system does not tell the peak of a process's memory")
    block = torch.ones(60_000_000)  # 240 MB
    with_block = peak_memory(device)
    del block
    reset_peak_memory(device)
    without = peak_memory(device)
    if without == with_block:
        pytest.skip("this system does not let a process reset its peak")
    assert with_block - without > 150e6


def test_a_tensor_that_two_players_send_gradients_through_is_named(tmp_path):
    verdicts = ("verdict_real_b", "verdict_fake_b")  # of the fakes themselves, in place of the pool
    careless = cyclegan().but(
        "careless", "a discriminator that reads what the generators did", drop=["discriminate_b"],
        add={"discriminators": [Term("discriminate_b", lsgan_discriminator, verdicts, weight=0.5)]},
    )  # fmt: skip
    with pytest.raises(CgbenchError, match="'discriminators' sends gradients through verdict_fake_b, as an earlier"):
        trained(tmp_path, method=careless)
    graph = {"judged_b": Apply("D_b", "fake_b")}  # an application of its own needs no detached tensor
    own = Term("discriminate_b", lsgan_discriminator, ("verdict_real_b", "judged_b"), weight=0.5)
    trained(
        tmp_path / "own",
        method=cyclegan().but("careful", "", drop=["discriminate_b"], graph=graph, add={"discriminators": [own]}),
    )
