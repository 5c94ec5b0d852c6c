"""Initial weights from a named random stream, and the check whether a network treats each sample separately."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd

from cgbench import seeds
from cgbench.methods.blocks.norm import LayerNorm


@torch.no_grad()
def initialise(
    module: nn.Module, seed: int, *purpose: str | int, std: float = 0.02, kind: str = "normal",
    bias: float | None = 0.0,
) -> None:  # fmt: skip
    """Initialise the weights of `module` in place: convolutions and linear layers by `kind`, their biases by `bias`;
    scale and shift of a normalisation N(1, std) and 0, those of `LayerNorm` U(0, 1) and 0, as the public code of MUNIT
    and UNIT draws them. Layers of other types keep their weights.

    "normal" is N(0, std) (CycleGAN §7.1), "xavier" N(0, std² · 2 / (fan in + fan out)) (Glorot and Bengio 2010, with
    gain `std`), "xavier_uniform" the uniform distribution of that variance, "kaiming" N(0, 2 / fan in) (He et al.
    2015). The numbers come from the stream (seed, "init", *purpose), for example `initialise(net, 0, "G_ab")`, in
    float32 on the CPU, so they depend neither on the device and type of `module` nor on any other network; normal kinds
    differ by their scale only.

    Args:
        module: the network.
        seed: the trial's seed.
        *purpose: the name of the random stream.
        std: the standard deviation of "normal", the gain of "xavier" and "xavier_uniform".
        kind: "normal", "xavier", "xavier_uniform" or "kaiming".
        bias: where biases start; None for the uniform draw of torch from ±1 / √(fan in).
    """
    stream = torch.Generator().manual_seed(seeds.derive(seed, "init", *purpose))
    for layer in module.modules():
        weight, own_bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
        if isinstance(layer, _ConvNd | nn.Linear):
            spread = weight_std(layer, kind, std)
            if kind == "xavier_uniform":
                _fill_uniform(weight, -(3**0.5) * spread, 3**0.5 * spread, stream)
            else:
                _fill_normal(weight, 0.0, spread, stream)
            if own_bias is not None and bias is None:
                bound = nn.init._calculate_fan_in_and_fan_out(weight)[0] ** -0.5
                _fill_uniform(own_bias, -bound, bound, stream)
            elif own_bias is not None:
                own_bias.fill_(bias)
        elif isinstance(layer, LayerNorm):
            _fill_uniform(layer.scale, 0.0, 1.0, stream)
            layer.shift.zero_()
        elif isinstance(layer, _NormBase | nn.GroupNorm | nn.LayerNorm) and weight is not None:
            _fill_normal(weight, 1.0, std, stream)
            if own_bias is not None:
                own_bias.zero_()


def weight_std(layer: nn.Module, kind: str, std: float) -> float:
    """Return the standard deviation of the initial weights of one convolution or linear layer."""
    if kind == "normal":
        return std
    # torch's own count: the weight of a transposed convolution has the input channels first
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
    return (2 / fan_in) ** 0.5 if kind == "kaiming" else std * (2 / (fan_in + fan_out)) ** 0.5


def _fill_normal(weight: Tensor, mean: float, std: float, stream: torch.Generator) -> None:
    """Fill `weight` with normal numbers from `stream`."""
    weight.copy_(torch.empty(weight.shape, dtype=torch.float32).normal_(mean, std, generator=stream))


def _fill_uniform(weight: Tensor, low: float, high: float, stream: torch.Generator) -> None:
    """Fill `weight` with uniform numbers from `stream`."""
    weight.copy_(torch.empty(weight.shape, dtype=torch.float32).uniform_(low, high, generator=stream))


def per_sample(module: nn.Module) -> bool:
    """Return whether each output of `module` depends on its own input alone, judged by the types of its layers.

    False with batch norm, which mixes the images of a batch, and with dropout, whose masks depend on the batch.
    """
    return not any(
        isinstance(layer, _BatchNorm) or (isinstance(layer, _DropoutNd) and layer.p > 0) for layer in module.modules()
    )
