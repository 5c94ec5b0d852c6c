"""Builders of configured networks: the `build` functions of most methods. They import torch when called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError

if TYPE_CHECKING:
    from torch import Tensor, nn


def generator(
    config: TrialConfig, source: str = "a", target: str = "b", dropout: bool = False, antialias: bool = False
) -> nn.Module:
    """Return the generator of `config`: images (N, C, H, W) in [-1, 1] to images of the same size and range.

    Args:
        config: The configuration.
        source: The domain whose images it reads, "a" or "b": it decides their channels.
        target: The domain whose images it gives.
        dropout: Whether it has dropout layers.
        antialias: Whether the ResNet has antialiased down- and upsampling; a U-Net has none.

    Returns:
        The network. A U-Net downsamples until the shorter side is one pixel, as published: 8 times for 256 pixels, 7
        times for 128. The public code takes rectangles too whose sides are multiples of that power of two.

    Raises:
        CgbenchError: of a U-Net, for other crop sizes and for `antialias`.
    """
    channels = config.channels(source), config.channels(target)
    if config.generator == "unet":
        if antialias:
            raise CgbenchError("a method that compares features of its generator needs generator=resnet, not unet")
        from cgbench.methods.blocks.unet import UnetGenerator

        if problem := unet_problem(config):
            raise CgbenchError(problem)
        downs = min(config.crop_shape).bit_length() - 1
        return UnetGenerator(*channels, downs=downs, ngf=config.ngf, norm=config.norm, dropout=dropout)
    from cgbench.methods.blocks.resnet import ResnetGenerator

    return ResnetGenerator(
        *channels, ngf=config.ngf, blocks=config.blocks, norm=config.norm, dropout=dropout, antialias=antialias
    )


def discriminator(config: TrialConfig, source: str = "b", antialias: bool = False) -> nn.Module:
    """Return the discriminator of `config`: images of the domain `source` (N, C, H, W) in [-1, 1] to raw verdicts
    (N, 1, h, w).

    A conditional discriminator, which sees stacked images, names the domains of all of them: "ab". `antialias` gives
    the PatchGAN antialiased downsampling.
    """
    from cgbench.methods.blocks.patchgan import PatchDiscriminator, PixelDiscriminator

    channels = sum(map(config.channels, source))
    if config.discriminator == "pixel":
        return PixelDiscriminator(channels, config.ndf, config.norm)
    return PatchDiscriminator(channels, config.ndf, config.discriminator_layers, config.norm, antialias)


def stack(*images: Tensor) -> Tensor:
    """Return images (N, C, H, W) concatenated along the channels, as a conditional discriminator sees them."""
    import torch

    return torch.cat(images, dim=1)


def unet_problem(config: TrialConfig) -> str | None:
    """Return why crops of this size are none for a U-Net, and what to do; None where they are, or no U-Net is set."""
    height, width = config.crop_shape
    halvings = min(height, width).bit_length() - 1
    if config.generator != "unet" or not (height % 2**halvings or width % 2**halvings):
        return None
    if height == width:
        return (
            f"the U-Net generator needs a crop_size that is a power of two, not {height}: "
            f"set it to {2**halvings} or {2 ** (halvings + 1)}, or set generator=resnet"
        )
    return (
        f"the U-Net generator needs a crop_size whose shorter side is a power of two that divides the longer one, not "
        f"{height}x{width}: set generator=resnet"
    )
