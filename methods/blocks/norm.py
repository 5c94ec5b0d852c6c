"""Instance normalisation that is right, and fast, in any layout of memory."""

from typing import Any

import torch
from torch import Tensor, nn

EPSILON = 1e-5  # added to the variance, as in Ulyanov et al. 2016


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
    return _InstanceNorm.apply(maps)


class _InstanceNorm(torch.autograd.Function):
    """Saves its input alone: the result may be changed in place by the layer that follows."""

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


def _plain(maps: Tensor) -> Tensor:
    """Return the same by operations that torch differentiates by itself, any number of times."""
    wide = _wide(maps)
    centred = wide - wide.mean((2, 3), keepdim=True)
    return (centred * (centred.square().mean((2, 3), keepdim=True) + EPSILON).rsqrt()).to(maps.dtype)


def _wide(maps: Tensor) -> Tensor:
    """Return `maps` in a type that sums keep their digits in."""
    return maps.float() if maps.dtype in (torch.bfloat16, torch.float16) else maps
