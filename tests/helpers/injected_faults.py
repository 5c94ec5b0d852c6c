"""Faults that a change of the code may bring and no record shows: each is a patch of the program in this process."""

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
    """Both identity terms weigh twice what the record says."""
    _reweighted(patch, {"identity_a": 2.0, "identity_b": 2.0})


def no_normalisation(patch):
    """Networks are built without their normalisation."""
    patch.setitem(layers.NORMS, "instance", lambda channels: nn.Identity())


def learning_rate_tripled(patch):
    """Every step is three times as long as the record says."""
    real = trainer.learning_rate_factor
    patch.setattr(trainer, "learning_rate_factor", lambda *at: 3 * real(*at))


def palette_shifted(patch):
    """Translated label images are read with each class one place further."""
    real = segmentation.nearest_class
    patch.setattr(segmentation, "nearest_class", lambda images, palette: (real(images, palette) + 1) % len(palette))


def dataset_palette_shifted(patch):
    """Label images are drawn with each class in the colour of the next one: other images, so another protocol."""
    colours = [entry.colour for entry in streets.PALETTE]
    moved = [
        replace(entry, colour=colour) for entry, colour in zip(streets.PALETTE, colours[1:] + colours[:1], strict=True)
    ]
    patch.setattr(streets, "PALETTE", tuple(moved))
    patch.setenv("CGBENCH_CACHE_LIMIT", "0")  # the text of the code, by which pictures are kept, is what it was


TRAINING = (wrong_sign, identity_doubled, no_normalisation, learning_rate_tripled, palette_shifted)


def _reweighted(patch, factors):
    real = runner.Model

    class Model(real):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            players = [
                replace(
                    player,
                    terms=tuple(replace(t, weight=t.weight * factors.get(t.name, 1.0)) for t in player.terms),
                )
                for player in self.live.players
            ]
            self.live = replace(self.live, players=tuple(players))

    patch.setattr(runner, "Model", Model)
