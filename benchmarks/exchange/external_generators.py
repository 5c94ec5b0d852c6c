"""Generators of public repositories as our modules, and the translation of a run's test images by them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cgbench.benchmarks.data.conversion import signed_batch, to_stored
from cgbench.benchmarks.data.image_set import ImageSet
from cgbench.benchmarks.exchange.public_names import from_public, tensor_names
from cgbench.benchmarks.exchange.public_networks import PublicNetwork, recognise
from cgbench.benchmarks.exchange.weight_files import WeightFile, read_weight_file
from cgbench.benchmarks.execution.saved_outputs import on_canvas
from cgbench.errors import CgbenchError
from cgbench.formatting import plural, printable, shortened
from cgbench.methods.blocks.autoencoder import ContentEncoder, Decoder, ImageDecoder, StyledDecoder, StyleEncoder
from cgbench.methods.blocks.model import image_stream
from cgbench.methods.blocks.norm import SampleLayerNorm
from cgbench.methods.blocks.resnet import ResnetGenerator
from cgbench.methods.blocks.unet import UnetGenerator
from cgbench.methods.blocks.whole_images import padded_size, translate_whole
from cgbench.pixel_format import PixelFormat
from cgbench.progress import ProgressCallback


@dataclass(frozen=True)
class ExternalGenerator:
    """A public generator of one direction, in evaluation mode: without dropout, batch norm by running statistics.

    `encoder` is the whole network of a ResNet or U-Net, whose `decoder` is None. Images are (N, `channels_in`, H, W)
    in [-1, 1], outputs (N, `channels_out`, H, W); sides must be multiples of `size_multiple`. A `style` other than 0
    is how many numbers the decoder reads beside the content. `origin` describes file and network in one line.
    """

    encoder: nn.Module
    decoder: nn.Module | None
    channels_in: int
    channels_out: int
    size_multiple: int
    strict_size: bool
    style: int
    origin: str

    @torch.no_grad()
    def translate(self, images: Tensor, styles: Tensor | None = None) -> Tensor:
        """Return the translations of `images`, those of MUNIT in `styles` (N, `style`)."""
        maps = self.encoder(images)
        if self.decoder is None:
            return maps
        return self.decoder(maps, styles) if self.style else self.decoder(maps)

    def to(self, device: str) -> "ExternalGenerator":
        """Move the networks to a device and return the generator."""
        for part in filter(None, (self.encoder, self.decoder)):
            part.to(device)
        return self


def load_generator(path: Path, direction: str) -> ExternalGenerator:
    """Return the generator in a file of weights. Of UNIT and MUNIT, whose file has both domains, it is that of
    `direction`: the encoder of the source domain and the decoder of the target domain.

    Raises `CgbenchError` where the file is not readable, or the generator is not known or not complete.
    """
    file = read_weight_file(path)
    networks, states = {}, {}
    for part, state in file.states.items():
        try:
            networks[part] = recognise(state)
            states[part] = from_public(state, networks[part])
        except CgbenchError as error:
            where = f"{path}, domain {part}" if part else str(path)
            known = f" (recognised as {networks[part]})" if part in networks else ""
            raise CgbenchError(f"{where}: {error}{known}") from None
    if "" in networks:
        network = networks[""]
        if network.family in ("unit", "munit"):
            raise CgbenchError(
                f"{path} has one domain of {network.family.upper()}: give gen_*.pt, which has 'a' and 'b'"
            )
        module = _loaded(network, states[""], path)
        multiple, strict = getattr(module, "size_multiple", 1), network.family == "unet"
        return ExternalGenerator(
            module, None, network.channels_in, network.channels_out, multiple, strict, 0,
            _origin(file, str(network)),
        )  # fmt: skip
    return _pair(file, networks, states, direction)


def _pair(
    file: WeightFile, networks: dict[str, PublicNetwork], states: dict[str, dict[str, Tensor]], direction: str
) -> ExternalGenerator:
    """Return the generator of a direction from the autoencoders of both domains."""
    source, target = (letter.lower() for letter in direction.split("to"))
    first, second = networks[source], networks[target]
    if first.family not in ("unit", "munit") or (first.family, first.ngf, first.style) != (
        second.family, second.ngf, second.style
    ):  # fmt: skip
        raise CgbenchError(f"{file.path}: domains a and b are different networks, {networks['a']} and {networks['b']}")
    parts = {domain: _loaded(network, states[domain], file.path) for domain, network in networks.items()}
    described = f"{first.family.upper()} {direction}, {first.blocks} + {second.blocks} residual blocks, "
    described += f"{first.channels_in} → {second.channels_out} channels, width {first.ngf}"
    encoder, decoder = parts[source].get_submodule("encoder"), parts[target].get_submodule("decoder")
    return ExternalGenerator(
        encoder, decoder, first.channels_in, second.channels_out, ContentEncoder.size_multiple, False, second.style,
        _origin(file, described),
    )  # fmt: skip


def _loaded(network: PublicNetwork, state: dict[str, Tensor], path: Path) -> nn.Module:
    """Return the module of a description with weights, in evaluation mode; other shapes raise `CgbenchError`."""
    with torch.device("meta"):  # a shape that is wrong may ask for more memory than there is
        expected = build(network).state_dict()
    names = tensor_names(network)
    for ours, tensor in expected.items():
        if tensor.shape != state[ours].shape:
            shapes = f"{tuple(state[ours].shape)}, and {network} has {tuple(tensor.shape)}"
            raise CgbenchError(f"{path}: '{names[ours]}' has the shape {shapes}: this is another network")
    module = build(network)
    module.load_state_dict(state)
    return module.eval()


def build(network: PublicNetwork) -> nn.Module:
    """Return the modules of a description: ours, or the parts of an autoencoder with the layer norms of the public
    code, under the names that `public_names` gives them."""
    channels = network.channels_in, network.channels_out
    if network.family == "unet":
        return UnetGenerator(*channels, network.blocks, network.ngf, network.norm, network.dropout)
    if network.family == "resnet":
        return ResnetGenerator(
            *channels, network.ngf, network.blocks, network.norm, network.dropout, antialias=network.antialias
        )
    return _autoencoder(network)


def _autoencoder(network: PublicNetwork) -> nn.ModuleDict:
    """Return the networks of one domain of UNIT or MUNIT."""
    ngf, blocks, channels = network.ngf, network.blocks, network.channels_in
    parts: dict[str, nn.Module] = {"encoder": ContentEncoder(ngf, blocks, channels=channels)}
    if network.family == "munit":
        parts["style"] = StyleEncoder(ngf, network.style, network.style_halvings, channels)
        parts["decoder"] = StyledDecoder(ngf, blocks, network.style, network.channels_out)
    else:
        parts["decoder"] = Decoder(ngf, blocks, network.channels_out)
    for module in list(parts["decoder"].modules()):
        if isinstance(module, ImageDecoder):
            for upsampling, channels_after in ((module.up1, 2 * ngf), (module.up2, ngf)):
                upsampling.norm = SampleLayerNorm(channels_after)
    return nn.ModuleDict(parts)


def _origin(file: WeightFile, network: str) -> str:
    """Return file and network in one line."""
    converted = f", converted from {' and '.join(file.converted)}" if file.converted else ""
    name = shortened(printable(file.path.name))
    return f"checkpoint {name} (SHA-256 {file.sha256[:12]}; {network}{converted}, in evaluation mode)"


def ensure_fits(generator: ExternalGenerator, sources: ImageSet, target: PixelFormat, direction: str) -> None:
    """Raise `CgbenchError` where a generator cannot translate the test images of `direction` into the format `target`:
    other channels, or for a U-Net other sizes."""
    for what, has, domain, pixels in (
        ("reads", generator.channels_in, direction[0], sources.pixels),
        ("gives", generator.channels_out, direction[-1], target),
    ):
        if has != pixels.channels:
            raise CgbenchError(
                f"the generator {what} images of {plural(has, 'channel')}, and domain {domain} of the run has "
                f"{pixels.channels}: choose another run or --direction"
            )
    sizes = {sources.size(index) for index in range(len(sources))} if generator.strict_size else ()
    for height, width in sizes:
        if padded_size(height, width, generator.size_multiple) != (height, width):
            raise CgbenchError(
                f"this U-Net reads images whose sides are multiples of {generator.size_multiple}, not "
                f"{height}×{width}: choose a run with such a crop_size"
            )


def translate_test_images(
    generator: ExternalGenerator, sources: ImageSet, target: PixelFormat, style_seed: tuple[int, str], device: str,
    update: ProgressCallback,
) -> np.ndarray:  # fmt: skip
    """Return the translations of test images, each by itself, as rows of a run are stored.

    Args:
        generator: The generator; `ensure_fits` must hold.
        sources: The test images.
        target: The format of the outputs.
        style_seed: Seed and direction of the random styles of MUNIT. A test image has the style that our own MUNIT
            draws for it with this seed.
        device: Where it is computed.
        update: Called with images done and their number.

    Returns:
        (N, H, W, D) in the numbers of `target`; beside images smaller than others the lower end of the window.

    Raises:
        CgbenchError: Outputs that are infinite or not a number.
    """
    generator.to(device)
    outputs = []
    for index, key in enumerate(sources.keys):
        height, width = sources.size(index)
        image = signed_batch(sources.images[index : index + 1, :height, :width], sources.pixels, torch.device(device))
        styles = random_style(*style_seed, index, generator.style).to(device) if generator.style else None

        def translate(images: Tensor, styles: Tensor | None = styles) -> Tensor:
            return generator.translate(images, styles)

        output = translate_whole(translate, image, generator.size_multiple)
        if not output.isfinite().all():
            raise CgbenchError(f"the translation of {key} is infinite or not a number: these weights do not translate")
        outputs.append(to_stored(output, target)[0])
        update(index + 1, len(sources))
    return on_canvas(outputs, sources, target)


def translated_by(generator: ExternalGenerator, seed: int) -> str:
    """Return in one line what translated, and what was drawn."""
    drawn = f" in a random style of {generator.style} numbers for each image, drawn with seed {seed}"
    return generator.origin + (drawn if generator.style else "")


def random_style(seed: int, direction: str, index: int, numbers: int) -> Tensor:
    """Return the style (1, numbers) of test image `index`, standard normal: that of our own MUNIT."""
    stream = image_stream(seed, f"random_{direction[-1].lower()}", index)
    return torch.from_numpy(stream.standard_normal((1, numbers))).float()
