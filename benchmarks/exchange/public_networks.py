"""Generators of public repositories, recognised from the names and shapes of their tensors.

The code of CycleGAN and pix2pix (junyanz/pytorch-CycleGAN-and-pix2pix), of CUT (taesungp/contrastive-unpaired-
translation), and of UNIT and MUNIT (NVlabs/MUNIT). A state dictionary has no settings, but its names and shapes tell
them, apart from those that have no weights: the dropout of a U-Net, the kind of padding, the activations.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from cgbench.errors import CgbenchError
from cgbench.formatting import plural, printable, shortened

STYLEGAN = re.compile(r"\.activate\.bias$|\.modulation\.|^(encoder|decoder)\.convs\.|^noises\.")
BLOCK = re.compile(r"model\.([0-9]{1,4})\.conv_block\.1\.weight")
STYLE_LAYER = re.compile(r"enc_style\.model\.([0-9]{1,4})\.conv\.weight")
LEAST_HALVINGS = 5  # of a public U-Net: its first four double the channels, and the innermost has a form of its own
KNOWN = "known are the generators of CycleGAN, pix2pix, CUT, UNIT and MUNIT"


@dataclass(frozen=True)
class PublicNetwork:
    """A public generator, or the autoencoder of one domain of UNIT and MUNIT.

    `family` is "resnet", "unet", "unit" or "munit". `blocks` are residual blocks (of UNIT and MUNIT those of the
    encoder, and as many in the decoder), of a U-Net its halvings. `ngf` are the channels of the first convolution,
    `style` the numbers of a style, `style_halvings` the strided convolutions of the style encoder. Autoencoders read
    and give images of one domain: both channels are equal. `dropout` changes names, not outputs; of a U-Net it has no
    names and is False.
    """

    family: str
    channels_in: int
    channels_out: int
    ngf: int
    blocks: int
    norm: str = "instance"
    dropout: bool = False
    antialias: bool = False
    style: int = 0
    style_halvings: int = 0

    def __str__(self) -> str:
        """Return the description for one line: the name in the public code, channels, width, norm."""
        names = {
            "resnet": f"resnet_{self.blocks}blocks",
            "unet": f"unet_{2**self.blocks}",
            "unit": f"UNIT autoencoder, {self.blocks} residual blocks",
            "munit": f"MUNIT autoencoder, {self.blocks} residual blocks, styles of {self.style} numbers",
        }
        extra = [f"{self.channels_in} → {self.channels_out} channels", f"width {self.ngf}", f"{self.norm} norm"]
        extra += ["dropout"] * self.dropout + ["antialiased"] * self.antialias
        return ", ".join([names[self.family], *extra])


def recognise(state: Mapping[str, Tensor]) -> PublicNetwork:
    """Return which public generator a state dictionary is of. Whether all its tensors fit is for `from_public`.

    Raises `CgbenchError` for one that is none of those known; a StyleGAN2 generator is named.
    """
    if "enc_content.model.0.conv.weight" in state:
        return _munit(state)
    if "enc.model.0.conv.weight" in state and "dec.model.5.conv.weight" in state:
        return _autoencoder(state, "unit", "enc")
    if "model.model.0.weight" in state:
        return _unet(state)
    if any(map(BLOCK.fullmatch, state)) and "model.1.weight" in state:
        return _resnet(state)
    raise CgbenchError(_unknown(state))


def _resnet(state: Mapping[str, Tensor]) -> PublicNetwork:
    """Return the description of a ResNet; antialiased ones have a filter behind their convolutions."""
    numbers = [int(match[1]) for name in state if (match := BLOCK.fullmatch(name))]
    first = min(numbers)
    antialias = first == 12
    if first not in (10, 12):
        raise CgbenchError("a ResNet generator with another number of downsamplings than 2 is not supported")
    last = max(numbers)
    if absent := sorted(set(range(first, last)) - set(numbers)):
        shown = f"'model.{absent[0]}.conv_block.1.weight'"
        raise CgbenchError(f"a ResNet generator lacks {plural(len(absent), 'residual block')}: {shown} is missing")
    up_filter = f"model.{last + 1}.filt" in state
    if antialias != up_filter:
        raise CgbenchError(
            "a ResNet generator that is antialiased in one half alone (no_antialias or no_antialias_up) is not "
            "supported: both or neither"
        )
    output = f"model.{last + (10 if antialias else 8)}.weight"
    stem = _convolution(state, "model.1.weight")
    dropout = f"model.{first}.conv_block.6.weight" in state and _is_kernel(state[f"model.{first}.conv_block.6.weight"])
    return PublicNetwork(
        "resnet", stem.shape[1], _convolution(state, output).shape[0], stem.shape[0], last - first + 1,
        _norm(state, "model.1.bias", "model.2.weight"), dropout, antialias,
    )  # fmt: skip


def _unet(state: Mapping[str, Tensor]) -> PublicNetwork:
    """Return the description of a U-Net: `model.1` is nested once, then `model.3` for every further halving."""
    halvings, prefix = 1, "model.model.1.model."
    while f"{prefix}1.weight" in state:
        halvings, prefix = halvings + 1, f"{prefix}3.model."
    if halvings < LEAST_HALVINGS:
        raise CgbenchError(f"a U-Net with {halvings} halvings is none of the public code, whose U-Nets have 5 or more")
    outermost, output = _convolution(state, "model.model.0.weight"), _convolution(state, "model.model.3.weight")
    norm = _norm(state, "model.model.0.bias", "model.model.1.model.2.weight")
    return PublicNetwork("unet", outermost.shape[1], output.shape[1], outermost.shape[0], halvings, norm)


def _munit(state: Mapping[str, Tensor]) -> PublicNetwork:
    """Return the description of the autoencoder of one domain of MUNIT."""
    plain = _autoencoder(state, "munit", "enc_content")
    halvings = sum(map(bool, map(STYLE_LAYER.fullmatch, state))) - 1
    hidden, style = _matrix(state, "mlp.model.0.fc.weight").shape
    if hidden != 4 * plain.ngf:
        raise CgbenchError(
            f"a MUNIT generator whose mlp_dim is not 4 times its width is not supported: {hidden}, not {4 * plain.ngf}"
        )
    return PublicNetwork(
        "munit", plain.channels_in, plain.channels_out, plain.ngf, plain.blocks, style=style, style_halvings=halvings
    )


def _autoencoder(state: Mapping[str, Tensor], family: str, encoder: str) -> PublicNetwork:
    """Return what UNIT and MUNIT have in common: two halvings, as many residual blocks in both halves."""
    stem = _convolution(state, f"{encoder}.model.0.conv.weight")
    if f"{encoder}.model.3.conv.weight" in state:
        raise CgbenchError(f"a {family.upper()} generator with another n_downsample than 2 is not supported")
    output = _convolution(state, "dec.model.5.conv.weight")
    blocks = 0
    while f"{encoder}.model.3.model.{blocks}.model.0.conv.weight" in state:
        blocks += 1
    return PublicNetwork(family, stem.shape[1], output.shape[0], stem.shape[0], blocks)


def _norm(state: Mapping[str, Tensor], bias: str, scale: str) -> str:
    """Return which normalisation a network has: before batch norm, which has a scale, convolutions have no bias."""
    if scale in state and bias not in state:
        return "batch"
    if bias in state and scale not in state:
        return "instance"
    which = "without normalisation (norm=none)" if bias not in state else "with a normalisation that has weights"
    raise CgbenchError(f"a generator {which} is not supported: instance and batch norm are")


def _convolution(state: Mapping[str, Tensor], name: str) -> Tensor:
    """Return a weight of four dimensions."""
    if name not in state or not _is_kernel(state[name]):
        raise CgbenchError(f"'{name}' is missing or no kernel of a convolution; {KNOWN}")
    return state[name]


def _matrix(state: Mapping[str, Tensor], name: str) -> Tensor:
    """Return a weight of two dimensions."""
    if name not in state or state[name].dim() != 2:
        raise CgbenchError(f"'{name}' is missing or no matrix; {KNOWN}")
    return state[name]


def _is_kernel(tensor: Tensor) -> bool:
    return tensor.dim() == 4 and 0 not in tensor.shape


def _unknown(state: Mapping[str, Tensor]) -> str:
    if any(map(STYLEGAN.search, state)):
        return f"a StyleGAN2 generator (stylegan2 or smallstylegan2 of CUT) is not supported; {KNOWN}"
    if "model.0.weight" in state or any(name.startswith("cnns.") for name in state):
        return f"this is a discriminator, which translates nothing; {KNOWN}"
    first = ", ".join(f"'{shortened(printable(name))}'" for name in list(state)[:3])
    return f"no generator that is known here has these tensors: {first}; {KNOWN}"
