"""The translation in one direction as a module of its own, of any image size, that exporters of torch can trace."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from cgbench.api.graph_analysis import networks_of, upstream, waves
from cgbench.api.graph_nodes import Apply, Compute, Sample
from cgbench.api.names import SOURCES, Direction
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model
from cgbench.methods.blocks.narrow_conv import NarrowConv2d
from cgbench.methods.blocks.norm import EPSILON, normalised_by
from cgbench.methods.blocks.whole_images import size_multiple


class ExportedNetwork(nn.Module):
    """Maps images (N, C, H, W) in [-1, 1], of sides of at least 8, to translations (N, D, H, W) in [-1, 1].

    The networks are copies with float32 weights on the CPU, in evaluation mode. Images are padded inside to the
    `multiple` that the networks need, as `pad_to_multiple` does, and outputs are cropped. A method that samples random
    numbers reads those of the node `sample` from a second input, `code`. Methods whose translation is no plain pass
    through networks raise `CgbenchError`.
    """

    def __init__(self, model: Model, direction: str) -> None:
        super().__init__()
        self.method, self.source = model.method, SOURCES[direction == Direction.B_TO_A]
        self.result = self.method.translates[direction]
        multiple = size_multiple(model, direction)
        if multiple is None:
            raise CgbenchError(f"{self.method.name} cannot be exported: it searches a latent code for every image")
        self.sample = _only_sample(model, direction)
        self.multiple = multiple
        known = [self.source, *([self.sample] if self.sample else [])]
        self.order = [name for wave in waves(self.method, [self.result], known) for name in wave]
        names = networks_of(self.method, self.order)
        self.networks = nn.ModuleDict({name: _plain_copy(model.networks[name]) for name in names})
        self.eval()

    def forward(self, images: Tensor, code: Tensor | None = None) -> Tensor:
        """Return the translations of `images` (N, C, H, W), with the random numbers `code` (N, size) if it has some."""
        values: dict[str, Any] = {self.source: padded(images, self.multiple)}
        if self.sample:
            values[self.sample] = code
        with normalised_by(_normalise):
            for name in self.order:
                node = self.method.graph[name]
                inputs = [values[tensor] for tensor in node.inputs]
                if isinstance(node, Apply):
                    network = self.networks[node.network]
                    values[name] = (getattr(network, node.part) if node.part else network)(*inputs)
                elif isinstance(node, Compute):
                    values[name] = node.function(*inputs)
        output = values[self.result]
        for axis in (2, 3):  # not a slice: its strides would depend on the size
            output = output.index_select(axis, _positions(images, images.shape[axis]))
        return output


def padded(images: Tensor, multiple: int) -> Tensor:
    """Return images (N, C, H, W) as `pad_to_multiple` does, for sides of at least 8, without a branch on the size."""
    for axis in (2, 3):
        size = images.shape[axis]
        last, place = size - 1, _positions(images, (size + multiple - 1) // multiple * multiple)
        mirrored = last - (place - last).abs()
        repeated = place.clamp(max=last)
        images = images.index_select(axis, torch.where(mirrored.min() < 0, repeated, mirrored))
    return images


def _positions(images: Tensor, count: int) -> Tensor:
    """Return 0, 1, … `count` - 1; on the device of `images`, which `arange` would make a constant of the file."""
    return images.new_ones((count,), dtype=torch.int64).cumsum(0) - 1


def _only_sample(model: Model, direction: str) -> str | None:
    """Return the name of the tensor that samples random numbers for a translation; None where there is none."""
    method = model.method
    path = upstream(method, [method.translates[direction]])
    source = SOURCES[direction == Direction.B_TO_A]
    samples = [name for name in path if isinstance(method.graph[name], Sample)]
    if others := [name for name in path if not isinstance(method.graph[name], Apply | Compute | Sample)]:
        raise CgbenchError(f"{method.name} cannot be exported: '{others[0]}' is no pass through a network")
    if len(samples) > 1 or any(method.graph[name].inputs != (source,) for name in samples):
        raise CgbenchError(f"{method.name} cannot be exported: it samples more than one code of an image")
    return samples[0] if samples else None


def _plain_copy(network: nn.Module) -> nn.Module:
    """Return a copy with contiguous weights that need no gradient, and with ordinary convolutions."""
    result = copy.deepcopy(network).cpu().float().requires_grad_(False)
    for tensor in (*result.parameters(), *result.buffers()):
        tensor.data = tensor.detach().clone(memory_format=torch.contiguous_format)
    for module in list(result.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, NarrowConv2d):  # the same sums, arranged for one kind of CPU
                height, width = layer.kernel_size
                plain = nn.Conv2d(layer.in_channels, layer.out_channels, (height, width), bias=layer.bias is not None)
                plain.weight, plain.bias = layer.weight, layer.bias
                setattr(module, name, plain)
    return result


def _normalise(maps: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return maps with mean 0 and variance 1 along `axes`, in operations that all exporters know."""
    centred = maps - maps.mean(axes, keepdim=True)
    return centred * ((centred * centred).mean(axes, keepdim=True) + EPSILON).rsqrt()
