"""Files that other programs run: ONNX, TorchScript and torch's exported programs, written and loaded back."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cgbench.errors import CgbenchError

KEY = "cgbench"  # of the metadata, one JSON text
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INPUTS = ("images", "code")
OUTPUT = "translations"

Inference = Callable[..., Tensor]  # (images, code where there is one) → translations


@dataclass(frozen=True)
class ExportFormat:
    """A format of exported models: the end of its file names, what writes a file, what loads one and its metadata.

    `write` is given a network, its inputs for tracing, the metadata and a path; `load` returns what runs the file.
    """

    suffix: str
    write: Callable[[nn.Module, tuple[Tensor, ...], str, Path], None]
    load: Callable[[Path], tuple[Inference, dict[str, Any]]]


def _program(network: nn.Module, inputs: tuple[Tensor, ...]) -> torch.export.ExportedProgram:
    """Return the exported program of a network, for any batch, height and width."""
    dynamic = torch.export.Dim.DYNAMIC
    shapes: list[dict[int, Any]] = [{0: dynamic, 2: dynamic, 3: dynamic}, {0: dynamic}]
    return torch.export.export(
        network, inputs, dynamic_shapes=tuple(shapes[: len(inputs)]), prefer_deferred_runtime_asserts_over_guards=True
    )


def _write_onnx(network: nn.Module, inputs: tuple[Tensor, ...], metadata: str, path: Path) -> None:
    names = list(INPUTS[: len(inputs)])
    axes = ("batch", None, "height", "width")
    program = torch.onnx.export(
        _program(network, inputs), inputs, dynamo=True, verbose=False, input_names=names, output_names=[OUTPUT]
    )
    if program is None:
        raise CgbenchError("torch.onnx gave no model")
    for value in (program.model.graph.inputs[0], program.model.graph.outputs[0]):
        if value.shape is not None:
            value.shape = type(value.shape)([name or value.shape[axis] for axis, name in enumerate(axes)])
    program.model.metadata_props[KEY] = metadata
    program.save(str(path), external_data=False)


def _load_onnx(path: Path) -> tuple[Inference, dict[str, Any]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def run(*inputs: Tensor) -> Tensor:
        numbers = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, numbers)[0])

    return run, json.loads(session.get_modelmeta().custom_metadata_map[KEY])


def _write_torchscript(network: nn.Module, inputs: tuple[Tensor, ...], metadata: str, path: Path) -> None:
    traced = torch.jit.trace(network, inputs, check_trace=False)  # our own check is on two other sizes
    torch.jit.save(traced, str(path), _extra_files={KEY: metadata})


def _load_torchscript(path: Path) -> tuple[Inference, dict[str, Any]]:
    extra = {KEY: ""}
    return torch.jit.load(str(path), map_location="cpu", _extra_files=extra), json.loads(extra[KEY])


def _write_pt2(network: nn.Module, inputs: tuple[Tensor, ...], metadata: str, path: Path) -> None:
    torch.export.save(_program(network, inputs), str(path), extra_files={KEY: metadata})


def _load_pt2(path: Path) -> tuple[Inference, dict[str, Any]]:
    extra = {KEY: ""}
    return torch.export.load(str(path), extra_files=extra).module(), json.loads(extra[KEY])


FORMATS = {
    "onnx": ExportFormat(".onnx", _write_onnx, _load_onnx),
    "torchscript": ExportFormat(".pt", _write_torchscript, _load_torchscript),
    "pt2": ExportFormat(".pt2", _write_pt2, _load_pt2),
}


def missing_packages(name: str) -> str | None:
    """Return what a format needs that is not installed, with the command that installs it; None where all is there."""
    absent = [package for package in ONNX_PACKAGES if name == "onnx" and find_spec(package) is None]
    if not absent:
        return None
    return f"--format {name} needs {', '.join(absent)}, not installed here: pip install '.[export]'"


@contextmanager
def quiet() -> Iterator[None]:
    """Within it torch's exporters neither warn nor log: the file is compared with the network instead."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
