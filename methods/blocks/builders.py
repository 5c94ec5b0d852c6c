"""The networks that a configuration asks for: the `build` functions of most methods. Imports torch when called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError

if TYPE_CHECKING:
    from torch import Tensor, nn


def generator(config: TrialConfig, dropout: bool = False, antialias: bool = False) -> nn.Module:
    """Return the generator of `config`: images (N, 3, S, S) in [-1, 1] to images of the same shape and range.

    `antialias` is for the ResNet: it halves and doubles its maps behind a blur.

    A U-Net halves the image down to one pixel, as the published ones do: 8 times for 256 pixels, 7 times for 128. It
    raises `CgbenchError` for a crop size that is not a power of two.
    """
    if config.generator == "unet":
        if antialias:
            raise CgbenchError("a method that compares features of its generator needs generator=resnet, not unet")
        from cgbench.methods.blocks.unet import UnetGenerator

        return UnetGenerator(downs=_halvings(config.crop_size), ngf=config.ngf, norm=config.norm, dropout=dropout)
    from cgbench.methods.blocks.resnet import ResnetGenerator

    return ResnetGenerator(ngf=config.ngf, blocks=config.blocks, norm=config.norm, dropout=dropout, antialias=antialias)


def discriminator(config: TrialConfig, channels: int = 3, antialias: bool = False) -> nn.Module:
    """Return the discriminator of `config`: images (N, channels, S, S) in [-1, 1] to raw verdicts (N, 1, h, w).

    A method that judges pairs of images stacked on each other asks for 6 channels. `antialias` is for the PatchGAN: it
    halves its maps behind a blur.
    """
    from cgbench.methods.blocks.patchgan import PatchDiscriminator, PixelDiscriminator

    if config.discriminator == "pixel":
        return PixelDiscriminator(channels, config.ndf, config.norm)
    return PatchDiscriminator(channels, config.ndf, config.discriminator_layers, config.norm, antialias)


def stack(*images: Tensor) -> Tensor:
    """Return images (N, 3, S, S) on each other along the channels, as a discriminator of pairs sees them."""
    import torch

    return torch.cat(images, dim=1)


def _halvings(side: int) -> int:
    """Return how often `side` can be halved down to one pixel."""
    halvings = side.bit_length() - 1
    if side != 2**halvings:
        raise CgbenchError(
            f"the U-Net generator needs a crop_size that is a power of two, not {side}: "
            f"set it to {2**halvings} or {2 ** (halvings + 1)}, or set generator=resnet"
        )
    return halvings
