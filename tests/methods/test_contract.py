"""What every method must keep: finite steps, gradients where they belong, images in range, state that survives."""

from dataclasses import replace

import pytest
import torch

from cgbench.api.graph_analysis import live, trained_by
from cgbench.api.registry import METHODS
from cgbench.benchmarks.evaluation.scorer import build_network
from cgbench.benchmarks.training.optimizers import make_optimizers
from cgbench.benchmarks.training.trainer import train, train_step
from cgbench.methods.blocks.model import Model
from cgbench.results.run_folder import TrialFolder
from helpers.tiny_models import noise_batch, tiny_config, tiny_feed, tiny_model

TRAINED = [name for name in METHODS.names() if METHODS.get(name).reference is None]


@pytest.mark.parametrize("name", TRAINED)
def test_two_steps_are_finite_and_move_every_live_network(name):
    config = tiny_config(**METHODS.get(name).defaults)
    model = tiny_model(METHODS.get(name), config)
    before = {key: [w.detach().clone() for w in net.parameters()] for key, net in model.networks.items()}
    optimizers, batch = make_optimizers(model, config), noise_batch(config, torch.float32)
    for step in range(2):
        losses = train_step(model, optimizers, batch, step, config.learning_rate)
        assert losses and all(value.isfinite() for value in losses.values())
    for key, net in model.networks.items():
        moved = any(not torch.equal(old, new) for old, new in zip(before[key], net.parameters(), strict=True))
        assert moved == (key in model.owned), key


@pytest.mark.parametrize("name", TRAINED)
def test_each_term_reaches_exactly_the_networks_it_should(name):
    config = tiny_config(**METHODS.get(name).defaults)
    model = tiny_model(METHODS.get(name), config)
    for player in model.live.players:
        weights = model.parameters(player.name)
        for term in player.terms:
            values = noise_batch(config, torch.float32)
            model.evaluate(values, term.reads)
            loss = term.function(*(values[tensor] for tensor in term.reads))
            found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
            reached = {
                key.split(".")[0]
                for key, gradient in zip(weights, found, strict=True)
                if gradient is not None and gradient.abs().sum() > 0
            }
            assert reached == trained_by(model.method, player, term), term.name


@pytest.mark.parametrize("name", TRAINED)
def test_translations_keep_shape_and_range(name):
    config = tiny_config(**METHODS.get(name).defaults)
    model = tiny_model(METHODS.get(name), config)
    images = noise_batch(config, torch.float32)["real_a"]
    for direction in model.method.directions:
        output, back = model.translate_and_reconstruct(images, direction)
        assert output.shape == images.shape and output.abs().max() <= 1
        assert torch.equal(output, model.translate(images, direction))
        assert back is None or torch.equal(back, model.reconstruct(images, direction))
        alone = torch.cat([model.translate(image[None], direction, first) for first, image in enumerate(images)])
        torch.testing.assert_close(alone, output, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_saving_and_loading_is_the_identity(name):
    config = tiny_config(**METHODS.get(name).defaults)
    model, other = (tiny_model(METHODS.get(name), config, seed) for seed in (0, 1))
    other.load(model.state())
    other.seed = model.seed  # what is drawn in translation follows the seed, not the weights
    images = noise_batch(config, torch.float32)["real_a"]
    direction = model.method.directions[0]
    assert torch.equal(model.translate(images, direction), other.translate(images, direction))


@pytest.mark.parametrize("name", TRAINED)
def test_each_player_lowers_its_own_objective_on_a_handful_of_images(name):
    """The others stand still, so the objective is one function of the player's weights: a wrong sign would show."""
    method = METHODS.get(name)
    config = tiny_config(**method.defaults)
    for player in tiny_model(method, config).live.players:
        model = tiny_model(method, config)
        model.live = replace(model.live, players=(player,))
        optimizers, batch = make_optimizers(model, config), noise_batch(config, torch.float32)
        totals = []
        for _ in range(25):  # one batch, and the draws of one step
            losses = train_step(model, optimizers, batch, 0, rate=2e-3)
            totals.append(sum(term.weight * losses[term.name].item() for term in player.terms))
        assert totals[-1] < totals[0] - 1e-3 * abs(totals[0]), player.name


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_that_was_stopped_ends_with_the_same_bits(name, tmp_path):
    method = METHODS.get(name)
    config = tiny_config(**method.defaults, save_every=2)

    def trained(folder: str, stop: int = 0) -> dict[str, torch.Tensor]:
        path = TrialFolder(tmp_path / folder)
        path.path.mkdir(exist_ok=True)
        model = Model(method, config, seed=0, scorer=build_network(config.classes, 2))

        def progress(step: int, total: int) -> None:
            if step == stop:
                raise KeyboardInterrupt

        feed = tiny_feed(config, labels=method.reads_labels)
        train(model, feed, config, 4, 1, path, "digest", progress)
        return model.state()

    whole = trained("whole")
    with pytest.raises(KeyboardInterrupt):
        trained("stopped", stop=3)  # after the checkpoint of step 2
    torch.rand(7)  # a new process would have another state
    resumed = trained("stopped")
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


class Recorder:
    """A configuration that remembers which of its fields were read."""

    def __init__(self, config):
        self.config, self.read = config, set()

    def __getattr__(self, name):
        self.read.add(name)
        return getattr(self.config, name)


@pytest.mark.parametrize("name", TRAINED)
def test_a_method_says_which_settings_of_networks_it_has_no_use_for(name):
    """Else `--set NAME.norm=batch` would be taken, recorded, and change nothing."""
    method = METHODS.get(name)
    recorder = Recorder(tiny_config(**method.defaults))
    for network in live(method).networks:
        if not method.networks[network].frozen:
            method.networks[network].build(recorder)
    chosen = {"generator", "discriminator", "norm"}
    assert chosen - recorder.read == set(method.ignores)
