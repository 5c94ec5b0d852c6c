"""Builders of configured networks: the `build` functions of most methods. They import torch when called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError

if TYPE_CHECKING:
    from torch import Tensor, nn


def generator(config: TrialConfig, dropout: bool = False, antialias: bool = False) -> nn.Module:
    """Return the generator of `config`: images (N, 3, S, S) in [-1, 1] to images of the same shape and range.

    `antialias` gives the ResNet antialiased down- and upsampling; a U-Net has none and raises `CgbenchError`.
    A U-Net downsamples the image to one pixel, as published: 8 times for 256 pixels, 7 times for 128. A crop size that
    is no power of two raises `CgbenchError`.
    """
    if config.generator == "unet":
        if antialias:
            raise CgbenchError("a method that compares features of its generator needs generator=resnet, not unet")
        from cgbench.methods.blocks.unet import UnetGenerator

        return UnetGenerator(downs=_downsamplings(config.crop_size), ngf=config.ngf, norm=config.norm, dropout=dropout)
    from cgbench.methods.blocks.resnet import ResnetGenerator

    return ResnetGenerator(ngf=config.ngf, blocks=config.blocks, norm=config.norm, dropout=dropout, antialias=antialias)


def discriminator(config: TrialConfig, channels: int = 3, antialias: bool = False) -> nn.Module:
    """Return the discriminator of `config`: images (N, channels, S, S) in [-1, 1] to raw verdicts (N, 1, h, w).

    A conditional discriminator, which sees a pair of images, has 6 channels. `antialias` gives the PatchGAN antialiased
    downsampling.
    """
    from cgbench.methods.blocks.patchgan import PatchDiscriminator, PixelDiscriminator

    if config.discriminator == "pixel":
        return PixelDiscriminator(channels, config.ndf, config.norm)
    return PatchDiscriminator(channels, config.ndf, config.discriminator_layers, config.norm, antialias)


def stack(*images: Tensor) -> Tensor:
    """Return images (N, 3, S, S) concatenated along the channels, as a conditional discriminator sees them."""
    import torch

    return torch.cat(images, dim=1)


def _downsamplings(side: int) -> int:
    """Return log2 of `side`; a side that is no power of two raises `CgbenchError`."""
    halvings = side.bit_length() - 1
    if side != 2**halvings:
        raise CgbenchError(
            f"the U-Net generator needs a crop_size that is a power of two, not {side}: "
            f"set it to {2**halvings} or {2 ** (halvings + 1)}, or set generator=resnet"
        )
    return halvings
