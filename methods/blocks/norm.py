"""Instance normalisation that is right, and fast, in any layout of memory."""

from typing import Any

import torch
from torch import Tensor, nn

EPSILON = 1e-5  # added to the variance, as in Ulyanov et al. 2016
LARGE = 2**17  # numbers of an image's maps; below that, calls for each image cost more than passes over all


class InstanceNorm2d(nn.Module):
    """Maps (N, C, H, W) minus their mean over H and W, over their spread; neither weights nor running statistics.

    Ulyanov et al. 2016, equation 4. torch's own has wrong gradients for one image in the channels-last layout on a CPU
    (torch 2.15), and is several times slower there. One pixel has no spread: such maps raise `ValueError`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, maps: Tensor) -> Tensor:
        """Return `maps`, normalised."""
        return instance_norm(maps)

    def extra_repr(self) -> str:
        """Return what `print` shows of this layer."""
        return str(self.channels)


def instance_norm(maps: Tensor) -> Tensor:
    """Return `maps` (N, C, H, W), each image and channel with mean 0 and variance 1, computed in float32 at least."""
    if maps.shape[2] * maps.shape[3] < 2:
        raise ValueError(f"instance norm needs more than one pixel, not maps of shape {tuple(maps.shape)}")
    if maps.device.type == "cpu" and (maps.dtype != torch.bfloat16 or maps[0].numel() < LARGE):
        return _InstanceNorm.apply(maps)
    return _ImageByImage.apply(maps)


class _InstanceNorm(torch.autograd.Function):
    """All images at once. On a CPU torch's own sums in float32 over large maps in channels-last are off by 4e-5.

    Saves its input alone: the result may be changed in place by the layer that follows.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        wide = _wide(maps)
        mean = wide.mean((2, 3), keepdim=True)
        centred = wide - mean
        scale = ((centred * centred).mean((2, 3), keepdim=True) + EPSILON).rsqrt()
        ctx.save_for_backward(maps, mean, scale)
        return centred.mul_(scale).to(maps.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        maps, mean, scale = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted: mean and scale depend on the maps
            return torch.autograd.grad(_plain(maps), maps, gradient, create_graph=True)[0]
        wide = _wide(gradient)
        normal = (_wide(maps) - mean).mul_(scale)
        shared = (wide * normal).mean((2, 3), keepdim=True)
        result = wide - wide.mean((2, 3), keepdim=True)
        return result.sub_(normal.mul_(shared)).mul_(scale).to(maps.dtype)


class _ImageByImage(torch.autograd.Function):
    """Batch norm of every image by itself: fewer passes over large maps, summed in float32 where maps are shorter.

    Saves its input alone, as the other.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        ones = _ones(maps)
        found = [torch.native_batch_norm(image, ones, *[None] * 3, True, 0.0, EPSILON) for image in maps.split(1)]
        ctx.save_for_backward(maps, *(statistic for image in found for statistic in image[1:]))
        return _batch([normal for normal, _mean, _scale in found])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        maps, *statistics = ctx.saved_tensors
        if torch.is_grad_enabled():
            return torch.autograd.grad(_plain(maps), maps, gradient, create_graph=True)[0]
        ones, images = (
            _ones(maps),
            zip(gradient.split(1), maps.split(1), statistics[::2], statistics[1::2], strict=True),
        )
        return _batch([_slope(*image, ones) for image in images])


def _slope(gradient: Tensor, image: Tensor, mean: Tensor, scale: Tensor, ones: Tensor) -> Tensor:
    """Return the gradient of an image (1, C, H, W) that was normalised with `mean` and `scale` (C)."""
    backward = torch.ops.aten.native_batch_norm_backward
    return backward(gradient, image, ones, None, None, mean, scale, True, EPSILON, [True, False, False])[0]


def _ones(maps: Tensor) -> Tensor:
    """Return weights (C) that change nothing but the type of means and scales, which else is that of the maps."""
    return torch.ones(maps.shape[1], dtype=torch.promote_types(maps.dtype, torch.float32), device=maps.device)


def _batch(images: list[Tensor]) -> Tensor:
    return images[0] if len(images) == 1 else torch.cat(images)


def _plain(maps: Tensor) -> Tensor:
    """Return the same by operations that torch differentiates by itself, any number of times."""
    wide = _wide(maps)
    centred = wide - wide.mean((2, 3), keepdim=True)
    return (centred * (centred.square().mean((2, 3), keepdim=True) + EPSILON).rsqrt()).to(maps.dtype)


def _wide(maps: Tensor) -> Tensor:
    """Return `maps` in a type that sums keep their digits in."""
    return maps.float() if maps.dtype in (torch.bfloat16, torch.float16) else maps
