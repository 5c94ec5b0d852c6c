"""Shared parts of the networks: the choice of normalisation, and the checks of an image's shape and memory layout."""

from torch import Tensor, nn

from cgbench.errors import CgbenchError, did_you_mean
from cgbench.methods.blocks.norm import InstanceNorm2d

MIN_SIDE = 8  # pixels of an image: two downsamplings leave two, which a mirrored border needs
NORMS = {"instance": InstanceNorm2d, "batch": nn.BatchNorm2d}


def norm_layer(norm: str, channels: int) -> nn.Module:
    """Return the normalisation layer `norm` for maps of `channels` channels; an unknown name raises `CgbenchError`.

    "instance" (Ulyanov et al. 2016) has neither weights nor running statistics, "batch" (Ioffe and Szegedy 2015) has
    both.
    """
    if norm not in NORMS:
        raise CgbenchError(f"unknown normalisation '{norm}': {did_you_mean(norm, list(NORMS))}")
    return NORMS[norm](channels)


def bias_before(norm: str) -> bool:
    """Return whether a convolution before `norm` has a bias: only batch norm has a shift of its own."""
    return norm != "batch"


def image_size(images: Tensor) -> tuple[int, int]:
    """Return height and width of `images` (N, C, H, W); another number of dimensions raises `CgbenchError`."""
    if images.dim() != 4:
        raise CgbenchError(f"a network needs images of shape (N, C, H, W), not {tuple(images.shape)}")
    return images.shape[2], images.shape[3]


def check_size_multiple(images: Tensor, factor: int, min_size: int, network: str) -> None:
    """Raise `CgbenchError` unless height and width of `images` are multiples of `factor` and at least `min_size`."""
    height, width = image_size(images)
    if height % factor or width % factor or min(height, width) < min_size:
        raise CgbenchError(
            f"{network} needs images whose sides are multiples of {factor} and at least {min_size} pixels, "
            f"not {height}×{width}: choose another crop_size"
        )


def check_min_size(images: Tensor, min_size: int, network: str, fix: str) -> None:
    """Raise `CgbenchError`, with the advice `fix`, if height or width of `images` is below `min_size` pixels."""
    height, width = image_size(images)
    if min(height, width) < min_size:
        raise CgbenchError(
            f"{network} needs images of at least {min_size}×{min_size} pixels, not {height}×{width}: {fix}"
        )


def contiguous_layout(images: Tensor) -> Tensor:
    """Return `images` (N, C, H, W) in the contiguous memory layout; no copy where they have it already.

    Images decoded as (N, H, W, C) and permuted have another layout, and would change the last digits of the results.
    """
    return images.contiguous()
