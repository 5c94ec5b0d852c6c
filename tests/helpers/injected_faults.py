"""Injected faults that no record shows: each is a patch of the program in this process."""

from dataclasses import replace

from torch import nn

from cgbench.benchmarks.execution import runner
from cgbench.benchmarks.metrics import segmentation
from cgbench.benchmarks.training import trainer
from cgbench.datasets import streets
from cgbench.methods.blocks import layers


def wrong_sign(patch):
    """The cycle term of A is added with the wrong sign."""
    _reweighted(patch, {"cycle_a": -1.0})


def identity_doubled(patch):
    """Both identity terms have twice the recorded weight."""
    _reweighted(patch, {"identity_a": 2.0, "identity_b": 2.0})


def no_normalisation(patch):
    """Networks are built without their normalisation."""
    patch.setitem(layers.NORMS, "instance", lambda channels: nn.Identity())


def learning_rate_tripled(patch):
    """Every step is three times as long as recorded."""
    original = trainer.learning_rate_factor
    patch.setattr(trainer, "learning_rate_factor", lambda *arguments: 3 * original(*arguments))


def palette_shifted(patch):
    """Translated label images are read with every class shifted by one."""
    original = segmentation.nearest_class
    patch.setattr(segmentation, "nearest_class", lambda images, palette: (original(images, palette) + 1) % len(palette))


def dataset_palette_shifted(patch):
    """Label images are rendered with each class in the colour of the next one: other images, so another protocol."""
    colours = [entry.colour for entry in streets.PALETTE]
    shifted = [
        replace(entry, colour=colour) for entry, colour in zip(streets.PALETTE, colours[1:] + colours[:1], strict=True)
    ]
    patch.setattr(streets, "PALETTE", tuple(shifted))
    patch.setenv("CGBENCH_CACHE_LIMIT", "0")  # the source code, which the cache key depends on, is unchanged


TRAINING = (wrong_sign, identity_doubled, no_normalisation, learning_rate_tripled, palette_shifted)


def _reweighted(patch, factors):
    original = runner.Model

    class Model(original):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            players = [
                replace(
                    player,
                    terms=tuple(replace(t, weight=t.weight * factors.get(t.name, 1.0)) for t in player.terms),
                )
                for player in self.live_part.players
            ]
            self.live_part = replace(self.live_part, players=tuple(players))

    patch.setattr(runner, "Model", Model)
