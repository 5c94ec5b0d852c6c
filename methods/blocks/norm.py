"""Instance normalisation that is exact and fast in every memory format, and layer normalisation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5  # added to the variance, as in Ulyanov et al. 2016
LARGE_IMAGE = 2**17  # elements per image; below that, one call per image costs more than passes over the batch

Normalise = Callable[[Tensor, tuple[int, ...]], Tensor]  # (maps, the axes whose mean and deviation it takes) → maps
_replacements: list[Normalise] = []  # of `normalised_by`; the last one counts


class InstanceNorm2d(nn.Module):
    """Maps (N, C, H, W), minus mean and divided by deviation over H and W; neither weights nor running statistics.

    Ulyanov et al. 2016, equation 4. torch's own has wrong gradients for one image in the channels-last layout on a CPU
    (torch 2.15), and is several times slower there. Maps of one pixel have no variance and raise `ValueError`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, maps: Tensor) -> Tensor:
        """Return the normalised `maps`."""
        return instance_norm(maps)

    def extra_repr(self) -> str:
        """Return the channels, for `print`."""
        return str(self.channels)


class LayerNorm(nn.Module):
    """Maps (N, C, H, W), minus mean and divided by deviation over C, H and W, with scale and shift per channel.

    Layer normalisation (Ba et al. 2016, equation 3) of each image separately. Unlike
    instance norm it preserves the means and deviations of the channels that AdaIN has set.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the normalised `maps`."""
        if _replacements:
            return _replacements[-1](maps, (1, 2, 3)) * self.scale[:, None, None] + self.shift[:, None, None]
        return functional.group_norm(maps, 1, self.scale, self.shift)  # one group: all channels


class SampleLayerNorm(LayerNorm):
    """`LayerNorm` as in MUNIT's public code: divided by the sample deviation (over n - 1) plus 1e-5, where Ba et al.
    divide by the root of the variance plus 1e-5. In tiles of an image it is `LayerNorm`."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return the normalised `maps`."""
        if _replacements:
            return super().forward(maps)
        deviation, mean = torch.std_mean(maps, (1, 2, 3), keepdim=True)
        return (maps - mean) / (deviation + EPSILON) * self.scale[:, None, None] + self.shift[:, None, None]


@contextmanager
def normalised_by(normalise: Normalise) -> Iterator[None]:
    """Within it `normalise` replaces the arithmetic of instance norm and layer norm, not the latter's scale and shift:
    a tile of an image is normalised by the statistics of the whole image."""
    _replacements.append(normalise)
    try:
        yield
    finally:
        _replacements.pop()


def instance_norm(maps: Tensor) -> Tensor:
    """Return `maps` (N, C, H, W), each image and channel with mean 0 and variance 1, computed in float32 at least."""
    if maps.shape[2] * maps.shape[3] < 2:
        raise ValueError(f"instance norm needs more than one pixel, not maps of shape {tuple(maps.shape)}")
    if _replacements:
        return _replacements[-1](maps, (2, 3))
    if maps.device.type == "cpu" and (maps.dtype != torch.bfloat16 or maps[0].numel() < LARGE_IMAGE):
        return _BatchedInstanceNorm.apply(maps)
    return _PerImageInstanceNorm.apply(maps)


class _BatchedInstanceNorm(torch.autograd.Function):
    """All images at once. On a CPU torch's own sums in float32 over large maps in channels-last are off by 4e-5.

    Saves its input and not its output: the next layer may modify the result in place.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        upcast = _upcast(maps)
        mean = upcast.mean((2, 3), keepdim=True)
        centred = upcast - mean
        scale = ((centred * centred).mean((2, 3), keepdim=True) + EPSILON).rsqrt()
        ctx.save_for_backward(maps, mean, scale)
        return centred.mul_(scale).to(maps.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        maps, mean, scale = ctx.saved_tensors
        if torch.is_grad_enabled():  # second-order gradients: mean and scale depend on the maps
            return torch.autograd.grad(_differentiable(maps), maps, gradient, create_graph=True)[0]
        upcast = _upcast(gradient)
        normal = (_upcast(maps) - mean).mul_(scale)
        shared = (upcast * normal).mean((2, 3), keepdim=True)
        result = upcast - upcast.mean((2, 3), keepdim=True)
        return result.sub_(normal.mul_(shared)).mul_(scale).to(maps.dtype)


class _PerImageInstanceNorm(torch.autograd.Function):
    """Batch norm of each image separately: fewer passes over large maps, summed in float32 for types of less precision.

    Saves its input and not its output, as the batched form.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        ones = _ones(maps)
        results = [torch.native_batch_norm(image, ones, *[None] * 3, True, 0.0, EPSILON) for image in maps.split(1)]
        ctx.save_for_backward(maps, *(statistic for image in results for statistic in image[1:]))
        return _concatenate([normal for normal, _mean, _scale in results])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        maps, *statistics = ctx.saved_tensors
        if torch.is_grad_enabled():
            return torch.autograd.grad(_differentiable(maps), maps, gradient, create_graph=True)[0]
        ones, images = (
            _ones(maps),
            zip(gradient.split(1), maps.split(1), statistics[::2], statistics[1::2], strict=True),
        )
        return _concatenate([_input_gradient(*image, ones) for image in images])


def _input_gradient(gradient: Tensor, image: Tensor, mean: Tensor, scale: Tensor, ones: Tensor) -> Tensor:
    """Return the gradient of an image (1, C, H, W) that was normalised with `mean` and `scale` (C)."""
    backward = torch.ops.aten.native_batch_norm_backward
    return backward(gradient, image, ones, None, None, mean, scale, True, EPSILON, [True, False, False])[0]


def _ones(maps: Tensor) -> Tensor:
    """Return unit weights (C) in float32 at least, the type that means and scales then have."""
    return torch.ones(maps.shape[1], dtype=torch.promote_types(maps.dtype, torch.float32), device=maps.device)


def _concatenate(images: list[Tensor]) -> Tensor:
    return images[0] if len(images) == 1 else torch.cat(images)


def _differentiable(maps: Tensor) -> Tensor:
    """Return the normalised maps by operations that torch can differentiate any number of times."""
    upcast = _upcast(maps)
    centred = upcast - upcast.mean((2, 3), keepdim=True)
    return (centred * (centred.square().mean((2, 3), keepdim=True) + EPSILON).rsqrt()).to(maps.dtype)


def _upcast(maps: Tensor) -> Tensor:
    """Return `maps` in float32 where their type has less precision: sums need it."""
    return maps.float() if maps.dtype in (torch.bfloat16, torch.float16) else maps
