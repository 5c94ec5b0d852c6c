"""Conformance of a method: finite steps, gradients where they belong, images in range, state that survives.

Every check builds its models anew, at 16 pixels on the CPU; `settings` change that configuration.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from cgbench.api import declarations
from cgbench.api.declarations import is_line
from cgbench.api.graph_analysis import live, trained_by
from cgbench.api.method import Method, Player, Term
from cgbench.api.names import Direction
from cgbench.api.registry import METHODS
from cgbench.benchmarks.evaluation.scorer import build_network
from cgbench.benchmarks.testing.components import require, require_declared, resolve
from cgbench.benchmarks.testing.tiny_models import noise_batch, tiny_config, tiny_model, tiny_sampler
from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import train, train_step
from cgbench.config import TrialConfig
from cgbench.methods.blocks.model import Model
from cgbench.results.run_folder import TrialFolder

DESCENT_STEPS = 25
NETWORK_SETTINGS = ("generator", "discriminator", "norm")


def check_method(method: str | Method | Callable[[], Method], **settings: Any) -> None:
    """Run all checks of a method: a registered name, a `Method`, or the function that makes one.

    Takes some seconds. `settings` change the small configuration that the method is built with (`ngf=8`). A method
    that is an untrained reference has only its function checked. Raises `AssertionError` with one line.
    """
    found = resolve(METHODS, method, Method)
    require_declared(declarations.check_method, found)
    require(is_line(found.summary), f"method '{found.name}' needs a name and a summary")
    if found.reference is not None:
        check_reference(found)
        return
    check_two_steps(found, **settings)
    check_gradients(found, **settings)
    check_translation(found, **settings)
    check_save_and_load(found, **settings)
    check_descent(found, **settings)
    check_resumption(found, **settings)
    check_ignored_settings(found, **settings)


def check_two_steps(method: Method, **settings: Any) -> None:
    """Check that two training steps have finite losses and move exactly the networks that a player owns."""
    config = _config(method, settings)
    model = tiny_model(method, config)
    before = {key: [w.detach().clone() for w in net.parameters()] for key, net in model.networks.items()}
    optimizers, batch = make_optimizers(model, config), noise_batch(config, torch.float32)
    for step in range(2):
        losses = train_step(model, optimizers, batch, step, config.learning_rate)
        require(losses, f"method '{method.name}': a training step has no loss: no term is live")
        for name, value in losses.items():
            require(value.isfinite(), f"method '{method.name}': the term '{name}' is {value.item()} in step {step}")
    for key, net in model.networks.items():
        moved = any(not torch.equal(old, new) for old, new in zip(before[key], net.parameters(), strict=True))
        what = "moves, and no player owns it" if moved else "does not move in two steps, and a player owns it"
        require(moved == (key in model.trained_networks), f"method '{method.name}': the network '{key}' {what}")


def check_gradients(method: Method, **settings: Any) -> None:
    """Check that each live term has gradients in exactly the networks that the declaration says it trains."""
    config = _config(method, settings)
    model = tiny_model(method, config)
    for player in model.live_part.players:
        for term in player.terms:
            reached, expected = _reached(model, player, term, config), trained_by(model.method, player, term)
            require(
                reached == expected,
                f"method '{method.name}': the term '{term.name}' trains {sorted(reached)}, "
                f"and by its declaration {sorted(expected)}",
            )


def _reached(model: Model, player: Player, term: Term, config: TrialConfig) -> set[str]:
    """Return the player's networks in which the term has a gradient that is not zero."""
    weights = model.parameters(player.name)
    values: dict[str, Any] = dict(noise_batch(config, torch.float32))
    model.evaluate(values, term.reads)
    loss = term.function(*(values[tensor] for tensor in term.reads))
    gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    return {
        key.split(".")[0]
        for key, gradient in zip(weights, gradients, strict=True)
        if gradient is not None and gradient.abs().sum() > 0
    }


def check_translation(method: Method, **settings: Any) -> None:
    """Check that outputs have the size of the input and the channels of the target, lie in [-1, 1], and depend on no
    other image of the batch."""
    config = _config(method, settings)
    model = tiny_model(method, config)
    batch = noise_batch(config, torch.float32)
    require(method.directions, f"method '{method.name}' translates in no direction")
    for direction in model.method.directions:
        where = f"method '{method.name}', {direction}:"
        source, target = ("real_a", "real_b") if direction == Direction.A_TO_B else ("real_b", "real_a")
        images, expected = batch[source], tuple(batch[target].shape)
        output, back = model.translate_and_reconstruct(images, direction)
        shape = tuple(output.shape)
        require(shape == expected, f"{where} the output has the shape {shape}, not {expected}")
        require(output.abs().max() <= 1, f"{where} the output leaves [-1, 1]: {output.abs().max().item():g}")
        again = model.translate(images, direction)
        require(torch.equal(output, again), f"{where} two translations of the same images differ")
        back_again = model.reconstruct(images, direction)
        same_back = back is None or (back_again is not None and torch.equal(back, back_again))
        require(same_back, f"{where} two reconstructions of the same images differ")
        alone = torch.cat([model.translate(image[None], direction, first) for first, image in enumerate(images)])
        close = alone.shape == output.shape and torch.allclose(alone, output, rtol=1e-4, atol=1e-5)
        require(close, f"{where} an output depends on the other images of its batch")


def check_save_and_load(method: Method, **settings: Any) -> None:
    """Check that a model that loads another one's state translates like it."""
    config = _config(method, settings)
    model, loaded = (tiny_model(method, config, seed) for seed in (0, 1))
    loaded.load(model.state())
    loaded.seed = model.seed  # what is drawn in translation follows the seed, not the weights
    direction = model.method.directions[0]
    images = noise_batch(config, torch.float32)["real_a" if direction == Direction.A_TO_B else "real_b"]
    same = torch.equal(model.translate(images, direction), loaded.translate(images, direction))
    require(same, f"method '{method.name}': after saving and loading, the same images are translated otherwise")


def check_descent(method: Method, **settings: Any) -> None:
    """Check that each player lowers its own objective on one batch while the others stand still: a wrong sign shows."""
    config = _config(method, settings)
    for player in tiny_model(method, config).live_part.players:
        model = tiny_model(method, config)
        model.live_part = replace(model.live_part, players=(player,))
        optimizers, batch = make_optimizers(model, config), noise_batch(config, torch.float32)
        totals = []
        for _ in range(DESCENT_STEPS):  # one batch, and the draws of one step
            losses = train_step(model, optimizers, batch, 0, rate=2e-3)
            totals.append(sum(term.weight * losses[term.name].item() for term in player.terms))
        require(
            totals[-1] < totals[0] - 1e-3 * abs(totals[0]),
            f"method '{method.name}': the player '{player.name}' does not lower its objective: {totals[0]:g} before "
            f"and {totals[-1]:g} after {DESCENT_STEPS} steps on one batch",
        )


def check_resumption(method: Method, **settings: Any) -> None:
    """Check that a training that was stopped and resumed ends with the bits of one that was not: the same seed gives
    the same weights, and nothing that training depends on is lost with the process."""
    config = _config(method, {"save_every": 2, **settings})
    with TemporaryDirectory() as folder:
        whole = _trained(method, config, Path(folder) / "whole")
        try:
            _trained(method, config, Path(folder) / "stopped", stop=3)  # after the checkpoint of step 2
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError(f"method '{method.name}': the training could not be stopped")
        torch.rand(7)  # a new process would have another state
        resumed = _trained(method, config, Path(folder) / "stopped")
    differ = [key for key in whole if not torch.equal(whole[key], resumed[key])]
    require(not differ, f"method '{method.name}': training, stopped and resumed, gives other values in {differ[:3]}")


def _trained(method: Method, config: TrialConfig, path: Path, stop: int = 0) -> Mapping[str, torch.Tensor]:
    """Return the state after four steps; raises `KeyboardInterrupt` at the step `stop`."""
    path.mkdir(exist_ok=True)
    model = Model(method, config, seed=0, scorer=build_network(config.classes, 2))

    def progress(step: int, total: int) -> None:
        if step == stop:
            raise KeyboardInterrupt

    sampler = tiny_sampler(config, labels=method.reads_labels)
    train(model, sampler, config, 4, 1, TrialFolder(path), "digest", progress)
    return model.state()


class ReadRecorder:
    """A configuration that records which of its fields were read."""

    def __init__(self, config: TrialConfig) -> None:
        self.config = config
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self.config, name)


def check_ignored_settings(method: Method, **settings: Any) -> None:
    """Check that `ignores` names exactly the settings of networks that the method's networks do not read.

    Otherwise `--set NAME.norm=batch` would be accepted, recorded, and without effect.
    """
    recorder = ReadRecorder(_config(method, settings))
    for network in live(method).networks:
        if not method.networks[network].frozen:
            method.networks[network].build(recorder)
    unread = set(NETWORK_SETTINGS) - recorder.read
    require(
        unread == set(method.ignores),
        f"method '{method.name}': its networks do not read {sorted(unread)}, and `ignores` is {sorted(method.ignores)}",
    )


def check_reference(method: Method) -> None:
    """Check an untrained reference: uint8 outputs of the sources' shape, the same for one seed, inputs untouched."""
    reference = method.reference
    require(reference is not None, f"method '{method.name}' is no untrained reference")
    assert reference is not None
    rng = np.random.default_rng(0)
    sources, targets = (rng.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8) for _ in range(2))
    before = sources.copy(), targets.copy()
    first, second = (reference.function(sources, targets, np.random.default_rng(1)) for _ in range(2))
    valid = isinstance(first, np.ndarray) and first.dtype == np.uint8 and first.shape == sources.shape
    require(valid, f"method '{method.name}': its function must return uint8 {sources.shape}, as the sources are")
    require(np.array_equal(first, second), f"method '{method.name}': one seed gives two different outputs")
    kept = np.array_equal(sources, before[0]) and np.array_equal(targets, before[1])
    require(kept, f"method '{method.name}': its function changes its inputs")


def _config(method: Method, settings: Mapping[str, Any]) -> TrialConfig:
    return tiny_config(**{**method.defaults, **settings})
