"""What the networks share: the choice of normalisation, and the checks of an image's shape and layout."""

from torch import Tensor, nn

from cgbench.errors import CgbenchError, did_you_mean
from cgbench.methods.blocks.norm import InstanceNorm2d

NORMS = {"instance": InstanceNorm2d, "batch": nn.BatchNorm2d}


def norm_layer(norm: str, channels: int) -> nn.Module:
    """Return the normalisation called `norm` for maps of `channels` channels; an unknown name raises `CgbenchError`.

    "instance" (Ulyanov et al. 2016) has neither weights nor running statistics, "batch" (Ioffe and Szegedy 2015) has
    both.
    """
    if norm not in NORMS:
        raise CgbenchError(f"unknown normalisation '{norm}': {did_you_mean(norm, list(NORMS))}")
    return NORMS[norm](channels)


def bias_before(norm: str) -> bool:
    """Return whether a convolution before `norm` has a bias: batch norm brings its own, instance norm here does not."""
    return norm != "batch"


def image_size(images: Tensor) -> tuple[int, int]:
    """Return height and width of `images` (N, C, H, W); another number of dimensions raises `CgbenchError`."""
    if images.dim() != 4:
        raise CgbenchError(f"a network needs images of shape (N, C, H, W), not {tuple(images.shape)}")
    return images.shape[2], images.shape[3]


def require_multiples(images: Tensor, factor: int, least: int, network: str) -> None:
    """Raise `CgbenchError` unless the sides of `images` (N, C, H, W) are multiples of `factor` and at least `least`."""
    height, width = image_size(images)
    if height % factor or width % factor or min(height, width) < least:
        raise CgbenchError(
            f"{network} needs images whose sides are multiples of {factor} and at least {least} pixels, "
            f"not {height}×{width}: choose another crop_size"
        )


def require_least(images: Tensor, least: int, network: str, remedy: str) -> None:
    """Raise `CgbenchError`, ending in `remedy`, if a side of `images` (N, C, H, W) is shorter than `least` pixels."""
    height, width = image_size(images)
    if min(height, width) < least:
        raise CgbenchError(f"{network} needs images of at least {least}×{least} pixels, not {height}×{width}: {remedy}")


def plain_layout(images: Tensor) -> Tensor:
    """Return `images` (N, C, H, W) in the contiguous layout; no copy where they have it.

    Images decoded as (N, H, W, C) and permuted have another layout, and would give other last digits.
    """
    return images.contiguous()
