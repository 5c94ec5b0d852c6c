"""Names of tensors in the state dictionaries of public generators, beside ours; read in both directions.

Ours are those of `ResnetGenerator` and `UnetGenerator`. The autoencoder of a domain of UNIT or MUNIT is one state
dictionary there and two or three networks here, whose names have the prefixes "encoder." (`ContentEncoder`),
"style." (`StyleEncoder`, MUNIT only) and "decoder." (`Decoder`, `StyledDecoder`).
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from cgbench.benchmarks.exchange.public_networks import LEAST_HALVINGS, PublicNetwork
from cgbench.errors import CgbenchError
from cgbench.formatting import printable, shortened

COUNTER = "num_batches_tracked"
STATISTICS = ("running_mean", "running_var", COUNTER)
SHOWN = 3  # names of tensors in a message
FILTERS = {"down": (1.0, 2.0, 1.0), "up": (1.0, 3.0, 3.0, 1.0)}  # rows of the antialiasing kernels

Layers = Iterator[tuple[str, str, str]]  # (our layer, the public layer, its kind: conv, plain, batch or layer norm)


def to_public(state: Mapping[str, Tensor], network: PublicNetwork) -> dict[str, Tensor]:
    """Return our tensors under the public names, with the buffers that the public code stores beside them.

    Raises `CgbenchError` where `state` lacks a tensor of `network` or has others, and for a U-Net that the public code
    cannot build.
    """
    if network.family == "unet" and network.blocks < LEAST_HALVINGS:
        raise CgbenchError(f"the public U-Net has at least {LEAST_HALVINGS} halvings, and this one {network.blocks}")
    names = tensor_names(network)
    _ensure_fit(set(names), set(state), set(), "our network")
    public = {public: state[ours].detach() for ours, public in names.items()}
    return public | _constant_buffers(network)


def from_public(state: Mapping[str, Tensor], network: PublicNetwork) -> dict[str, Tensor]:
    """Return public tensors under our names; statistics of instance norm, which old files have, are left out.

    Raises `CgbenchError` where `state` lacks a tensor of `network`, has others, or antialiases by other filters.
    """
    names = tensor_names(network)
    constants = _constant_buffers(network)
    counters = {public for public in names.values() if public.endswith(COUNTER)}  # older than torch 0.4.1: none
    optional = counters | set(constants) | _unused_statistics(network)
    _ensure_fit(set(names.values()) - counters, set(state), optional, "the file")
    for name, expected in constants.items():
        found = state.get(name)
        if name.endswith(".filt") and (
            found is None or found.shape != expected.shape or not torch.allclose(found.float(), expected, atol=1e-4)
        ):
            raise CgbenchError(f"'{name}' is missing or no filter of CUT's code: other antialiasing is not supported")
    zero = torch.tensor(0)
    return {ours: state.get(public, zero) if public in counters else state[public] for ours, public in names.items()}


def tensor_names(network: PublicNetwork) -> dict[str, str]:
    """Return the public name of each of our tensors."""
    names: dict[str, str] = {}
    for ours, public, kind in _layers(network):
        if kind == "layer norm":
            names |= {f"{ours}.scale": f"{public}.gamma", f"{ours}.shift": f"{public}.beta"}
            continue
        names[f"{ours}.weight"] = f"{public}.weight"
        if kind != "plain":
            names[f"{ours}.bias"] = f"{public}.bias"
        if kind == "batch norm":
            names |= {f"{ours}.{statistic}": f"{public}.{statistic}" for statistic in STATISTICS}
    return names


def _layers(network: PublicNetwork) -> Layers:
    return {"resnet": _resnet, "unet": _unet, "unit": _autoencoder, "munit": _autoencoder}[network.family](network)


def _resnet(network: PublicNetwork) -> Layers:
    """Yield the layers of a ResNet: the public code numbers all of them, with paddings, activations and filters."""
    first = 12 if network.antialias else 10
    up = first + network.blocks  # the first layer of the upsampling
    step, shift = (4, 1) if network.antialias else (3, 0)
    yield from _normalised(network, "stem", "model.1", "model.2")
    yield from _normalised(network, "down1", "model.4", "model.5")
    yield from _normalised(network, "down2", f"model.{4 + step}", f"model.{5 + step}")
    second = 6 if network.dropout else 5
    for number in range(network.blocks):
        ours, public = f"blocks.{number}.residual.", f"model.{first + number}.conv_block."
        yield from _pair(network, f"{ours}conv1", f"{public}1", f"{ours}norm1", f"{public}2")
        yield from _pair(network, f"{ours}conv2", f"{public}{second}", f"{ours}norm2", f"{public}{second + 1}")
    for number in range(2):
        conv = up + step * number + shift
        yield from _normalised(network, f"up{number + 1}", f"model.{conv}", f"model.{conv + 1}")
    yield "output.conv", f"model.{up + 2 * step + 1}", "conv"


def _unet(network: PublicNetwork) -> Layers:
    """Yield the layers of a U-Net: a halving contains the next one, and the outermost has no normalisation."""
    last = network.blocks - 1
    conv = "plain" if network.norm == "batch" else "conv"
    yield "down.0.conv", "model.model.0", conv
    prefix = "model.model.1.model."
    for depth in range(1, network.blocks):
        up = f"up.{last - depth}."
        if depth == last:  # the innermost contains none, and its map can be a single pixel: no normalisation before it
            yield f"down.{depth}.conv", f"{prefix}1", conv
            yield from _pair(network, f"{up}conv", f"{prefix}3", f"{up}norm", f"{prefix}4")
        else:
            yield from _pair(network, f"down.{depth}.conv", f"{prefix}1", f"down.{depth}.norm", f"{prefix}2")
            yield from _pair(network, f"{up}conv", f"{prefix}5", f"{up}norm", f"{prefix}6")
        prefix += "3.model."
    yield "output.conv", "model.model.3", "conv"


def _autoencoder(network: PublicNetwork) -> Layers:
    """Yield the layers of the autoencoder of one domain; all convolutions have a bias."""
    styled = network.family == "munit"
    encoder = "enc_content" if styled else "enc"
    for number, name in enumerate(("stem", "down1", "down2")):
        yield f"encoder.{name}.conv", f"{encoder}.model.{number}.conv", "conv"
    for number in range(network.blocks):
        for half in (1, 2):
            public = f"model.{number}.model.{half - 1}.conv"
            yield f"encoder.blocks.{number}.residual.conv{half}", f"{encoder}.model.3.{public}", "conv"
            residual = "" if styled else "residual."
            yield f"decoder.blocks.{number}.{residual}conv{half}", f"dec.model.0.{public}", "conv"
    for number in (1, 2):
        yield f"decoder.painter.up{number}.conv", f"dec.model.{2 * number}.conv", "conv"
        yield f"decoder.painter.up{number}.norm", f"dec.model.{2 * number}.norm", "layer norm"
    yield "decoder.painter.output.conv", "dec.model.5.conv", "conv"
    if styled:
        for number in range(3):
            yield f"decoder.mlp.{2 * number}", f"mlp.model.{number}.fc", "conv"
        strided = network.style_halvings
        for number in range(strided + 1):
            yield f"style.layers.{3 * number + 1}", f"enc_style.model.{number}.conv", "conv"
        yield f"style.layers.{3 * strided + 4}", f"enc_style.model.{strided + 2}", "conv"


def _normalised(network: PublicNetwork, ours: str, conv: str, norm: str) -> Layers:
    yield from _pair(network, f"{ours}.conv", conv, f"{ours}.norm", norm)


def _pair(network: PublicNetwork, our_conv: str, conv: str, our_norm: str, norm: str) -> Layers:
    """Yield a convolution and its normalisation: instance norm has no weights, before batch norm there is no bias."""
    yield our_conv, conv, "plain" if network.norm == "batch" else "conv"
    if network.norm == "batch":
        yield our_norm, norm, "batch norm"


def _constant_buffers(network: PublicNetwork) -> dict[str, Tensor]:
    """Return what public files hold besides weights: CUT's antialiasing filters, and statistics of MUNIT's AdaIN that
    its code never reads."""
    width = 4 * network.ngf
    if network.family == "munit":
        norms = [f"dec.model.0.model.{block}.model.{half}.norm" for block in range(network.blocks) for half in (0, 1)]
        means = {f"{norm}.running_mean": torch.zeros(width) for norm in norms}
        return means | {f"{norm}.running_var": torch.ones(width) for norm in norms}
    if not network.antialias:
        return {}
    up = 12 + network.blocks
    places = ((7, "down", width // 2), (11, "down", width), (up, "up", width), (up + 4, "up", width // 2))
    return {f"model.{place}.filt": _filter(kind, channels) for place, kind, channels in places}


def _filter(kind: str, channels: int) -> Tensor:
    """Return a kernel (channels, 1, k, k): its sum is 1, or 4 where it spreads a pixel over four."""
    row = torch.tensor(FILTERS[kind])
    kernel = torch.outer(row, row)
    return (kernel / kernel.sum() * (4 if kind == "up" else 1)).expand(channels, 1, -1, -1).clone()


def _unused_statistics(network: PublicNetwork) -> set[str]:
    """Return names of running statistics of instance norm, which files written before torch 0.4.1, or with tracked
    statistics, have; the public code drops them."""
    norms: set[str] = set()
    if network.family in ("unit", "munit"):
        for _ours, public, kind in _layers(network):
            if kind == "conv" and public.endswith(".conv"):
                norms.add(f"{public.removesuffix('conv')}norm")
    elif network.norm == "instance":
        for _ours, public, _kind in _layers(network):
            head, _, number = public.rpartition(".")
            norms.add(f"{head}.{int(number) + 1}")
    return {f"{norm}.{statistic}" for norm in norms for statistic in STATISTICS}


def _ensure_fit(needed: set[str], found: set[str], optional: set[str], where: str) -> None:
    """Raise `CgbenchError` that names the first missing and unknown tensors, and says how many there are."""
    faults = [
        f"{what} {len(names)} {'tensor' if len(names) == 1 else 'tensors'} ({_first(names)})"
        for what, names in (("lacks", needed - found), ("has", found - needed - optional)) if names
    ]  # fmt: skip
    if faults:
        unknown = "" if not found - needed - optional else " that the network has not"
        raise CgbenchError(f"{where} {' and '.join(faults)}{unknown}")


def _first(names: set[str]) -> str:
    shown = [shortened(printable(name)) for name in sorted(names)[:SHOWN]]
    return ", ".join([*shown, "…"] if len(names) > SHOWN else shown)
