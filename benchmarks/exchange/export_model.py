"""Export of a finished trial's translation as a file for other programs, compared with the trial first."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cgbench import __version__
from cgbench.benchmarks.data.output_paths import all_or_none, ensure_free, ensure_outside
from cgbench.benchmarks.exchange.exported_formats import FORMATS, KEY, ExportFormat, missing_packages, quiet
from cgbench.benchmarks.exchange.exported_network import ExportedNetwork
from cgbench.benchmarks.exchange.public_names import from_public, to_public
from cgbench.benchmarks.exchange.public_networks import PublicNetwork, recognise
from cgbench.benchmarks.exchange.translate_files import Translator
from cgbench.digests import digest
from cgbench.errors import CgbenchError
from cgbench.files import write_text
from cgbench.formatting import shortened
from cgbench.methods.blocks.layers import MIN_SIDE
from cgbench.methods.blocks.resnet import ResnetGenerator
from cgbench.methods.blocks.unet import UnetGenerator
from cgbench.methods.blocks.whole_images import translate_whole
from cgbench.pixel_format import PixelFormat

TOLERANCE = 1e-4  # of the range of outputs, which is 2: the most by which a file may differ from the trial
PUBLIC = "public"
SUFFIXES = {name: entry.suffix for name, entry in FORMATS.items()} | {PUBLIC: ".pth"}


def ensure_exportable(output: Path, run: Path, name: str) -> None:
    """Raise `CgbenchError` where a format's packages are missing, or its file may not be written to `output`: that
    exists, lies in the `run`, or has another extension than the format."""
    if reason := missing_packages(name):
        raise CgbenchError(reason)
    if output.suffix != SUFFIXES[name]:
        raise CgbenchError(f"--output {output}: the name of a file of the format {name} ends in {SUFFIXES[name]}")
    ensure_outside(output, run)
    ensure_free(_files(output, name))


def export(translator: Translator, record: Mapping[str, Any], name: str, output: Path) -> float | None:
    """Write the translation of a trial as a file of the format `name`, and return by how much its outputs differ from
    the trial's at most, as a share of their range; None for "public", whose weights are the same.

    `record` is the content of its `trial.json`. All arithmetic is in float32 on the CPU. Either all files are written
    or none. Raises `CgbenchError` where the method cannot be exported or the outputs differ by more than 1e-4.
    """
    model = translator.model
    model.config = replace(model.config, precision="float32")
    network = ExportedNetwork(model, translator.direction)
    facts = metadata(translator, record, network)
    with all_or_none(_files(output, name)) as parts:
        if name == PUBLIC:
            _write_public(network, facts, parts[0])
            return None
        return _write_checked(FORMATS[name], network, facts, parts[0], translator)


def metadata(translator: Translator, record: Mapping[str, Any], network: ExportedNetwork) -> dict[str, Any]:
    """Return what a user of the file has to know: where it is from, and how images become its inputs and outputs."""
    dataset, config, direction = record["dataset"], translator.config, translator.direction
    sides = {letter: dataset["domains"]["AB".index(letter)] for letter in (direction[0], direction[-1])}
    formats = {direction[0]: translator.source, direction[-1]: translator.target}
    source, target = (
        {"domain": letter, "name": side["name"], "kind": side["kind"], **_described(formats[letter])}
        for letter, side in sides.items()
    )
    code = None
    if network.sample:
        size = _code(translator, network, torch.zeros(1, source["channels"], MIN_SIDE, MIN_SIDE)).shape[1:]
        code = {"name": "code", "size": list(size), "distribution": "standard normal"}
    return {
        "cgbench": __version__,
        "method": record["method"]["name"],
        "seed": record["seed"],
        "step": translator.step,
        "direction": direction,
        "direction_name": dataset["directions"].get(direction, direction),
        "title": translator.title,
        "trial_digest": record["digest"],
        "config_digest": digest(record["config"]),
        "dataset": {"label": dataset["label"], "licence": dataset["licence"], "source": dataset["source"]},
        "trained_at": {"height": config.crop_shape[0], "width": config.crop_shape[1]},
        "size_multiple": network.multiple,
        "min_side": MIN_SIDE,
        "layout": "float32 (N, C, H, W) in [-1, 1]",
        "preprocessing": "x = clip((v - window[0]) / (window[1] - window[0]), 0, 1) * 2 - 1",
        "postprocessing": "v = (y + 1) / 2 * (window[1] - window[0]) + window[0], rounded where dtype is an integer",
        "source": source,
        "target": target,
        "code": code,
    }


def _described(pixels: PixelFormat) -> dict[str, Any]:
    record = pixels.record()
    return {name: record[name] for name in ("channels", "dtype", "window", "unit", "display")}


def _write_checked(
    entry: ExportFormat, network: ExportedNetwork, facts: Mapping[str, Any], path: Path, translator: Translator
) -> float:
    """Write a file, load it back, and return by how much its outputs differ from the trial's."""
    multiple = max(network.multiple, MIN_SIDE)
    example = _inputs(translator, network, (2, 2 * multiple - 1, 3 * multiple - 1))  # a batch of one would stay one
    with quiet(), torch.no_grad():
        _write(entry, network, example, json.dumps(facts, ensure_ascii=False), path)
        run, stored = entry.load(path)
        if stored != json.loads(json.dumps(facts)):
            raise CgbenchError(f"{path.name}: the metadata of the file are not those that were written")
        height, width = translator.config.crop_shape
        sizes = ((1, height, width), (3, height // 2 + MIN_SIDE + 1, width // 2 + MIN_SIDE + 3))
        deviation = max(_deviation(run, network, translator, size) for size in sizes)
    if not deviation <= TOLERANCE:  # also where it is no number
        raise CgbenchError(
            f"{translator.title}: the outputs of the file differ from the trial's by {deviation:.1e} of their range, "
            f"more than {TOLERANCE:g}: not written"
        )
    return deviation


def _write(
    entry: ExportFormat, network: ExportedNetwork, example: tuple[Tensor, ...], metadata: str, path: Path
) -> None:
    """Write a file; a network that its exporter cannot take raises `CgbenchError` with the reason in one line."""
    try:
        entry.write(network, example, metadata, path)
    except (CgbenchError, OSError):
        raise
    except Exception as error:  # torch documents no classes of its exporters' errors
        reason = shortened(next(iter(str(error).strip().splitlines()), type(error).__name__), 200)
        raise CgbenchError(f"{network.method.name} cannot be exported as {entry.suffix}: {reason}") from error


def _deviation(
    run: Callable[..., Tensor], network: ExportedNetwork, translator: Translator, size: tuple[int, int, int]
) -> float:
    """Return the largest difference of the file's outputs from the trial's translation, as a share of their range."""
    inputs = _inputs(translator, network, size)
    translate = partial(translator.model.translate, direction=translator.direction)
    expected, found = translate_whole(translate, inputs[0], network.multiple), run(*inputs)
    if found.shape != expected.shape:
        raise CgbenchError(f"the file gives {tuple(found.shape)} where the trial gives {tuple(expected.shape)}")
    return float((found - expected).abs().max()) / 2


def _inputs(translator: Translator, network: ExportedNetwork, size: tuple[int, int, int]) -> tuple[Tensor, ...]:
    """Return images of noise, of a batch, height and width, and their code where the method samples one."""
    stream = torch.Generator().manual_seed(0)
    batch, height, width = size
    images = torch.rand(batch, translator.source.channels, height, width, generator=stream) * 2 - 1
    return (images, _code(translator, network, images)) if network.sample else (images,)


def _code(translator: Translator, network: ExportedNetwork, images: Tensor) -> Tensor:
    """Return the random numbers of the first test images, as `Model.translate` draws them."""
    model = translator.model
    model.train(False)  # in training it would draw the numbers of a step
    model.first_image, model.style_index = 0, 0
    code = model.draw(str(network.sample), [images], 0)
    if not isinstance(code, Tensor) or code.dim() != 2:
        raise CgbenchError(f"{model.method.name} cannot be exported: its random numbers are no vector for each image")
    return code


def _write_public(network: ExportedNetwork, facts: Mapping[str, Any], path: Path) -> None:
    """Write the weights under the names of the public code, and the metadata beside them."""
    module = _only_generator(network)
    description = _public_network(module)
    state = {key: value.clone() for key, value in to_public(module.state_dict(), description).items()}
    torch.save(state, path)
    stored = torch.load(path, weights_only=True)
    back = from_public(stored, recognise(stored))
    if any(not torch.equal(back[key], value) for key, value in module.state_dict().items()):
        raise CgbenchError(f"{path.name}: the weights of the file are not those that were written")
    write_text(path.with_suffix(".json"), json.dumps({KEY: {**facts, "network": str(description)}}, indent=2) + "\n")


def _only_generator(network: ExportedNetwork) -> nn.Module:
    """Return the ResNet or U-Net that is the whole translation; any other raises `CgbenchError`."""
    modules = list(network.networks.values())
    if len(network.order) > 1 or not isinstance(modules[0], ResnetGenerator | UnetGenerator):
        what = " and ".join(sorted({type(module).__name__ for module in modules}))
        raise CgbenchError(
            f"--format {PUBLIC}: {network.method.name} translates through {what}, "
            "and the public code has ResNet and U-Net generators: choose another format"
        )
    return modules[0]


def _public_network(module: nn.Module) -> PublicNetwork:
    """Return the description of a generator of ours in the words of the public code."""
    layers: Any = module  # of which torch's types know nothing
    if isinstance(module, UnetGenerator):
        first, last = layers.down[0].conv, layers.output.conv
        norm = "instance" if first.bias is not None else "batch"
        return PublicNetwork(
            "unet", first.in_channels, last.out_channels, first.out_channels, len(layers.down), norm=norm
        )
    stem = layers.stem.conv
    return PublicNetwork(
        "resnet", stem.in_channels, layers.output.conv.out_channels, stem.out_channels, len(layers.blocks),
        norm="instance" if stem.bias is not None else "batch",
        dropout=any("dropout" in dict(block.residual.named_children()) for block in layers.blocks),
        antialias="blur" in dict(layers.down1.named_children()),
    )  # fmt: skip


def _files(output: Path, name: str) -> list[Path]:
    """Return the files of an export."""
    return [output, output.with_suffix(".json")] if name == PUBLIC else [output]
