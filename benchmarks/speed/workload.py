"""What is measured at which size: configurations, arms from the command line, models and batches of noise."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from cgbench.api.method import Method
from cgbench.api.registry import METHODS
from cgbench.benchmarks.evaluation.synthetic_workload import timing_model
from cgbench.benchmarks.speed.measurements import VariantSettings
from cgbench.config import TrialConfig, preset_values, resolve, split_assignments
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model
from cgbench.methods.blocks.norm import InstanceNorm2d

SIZES: dict[str, dict[str, Any]] = {
    "32": preset_values("smoke"),
    "64": preset_values("demo"),
    "128": {**preset_values("paper"), "load_size": 143, "crop_size": 128, "blocks": 6},
    "256": preset_values("paper"),
}
CLASSES = 8  # of the labels that methods with labels, and the scorer, are measured with
WORK = ("batch_size", "crop_size", "generator", "blocks", "ngf", "discriminator", "discriminator_layers", "ndf", "norm",
        "pool_size", "features", "classes")  # fmt: skip
DEFAULT = "cgbench"  # the arm without settings of its own


def read_variants(texts: Sequence[str]) -> tuple[VariantSettings, ...]:
    """Return the default arm and those of `NAME:KEY=VALUE[,KEY=VALUE]`; anything else raises `CgbenchError`."""
    found = [VariantSettings(DEFAULT, {})]
    for text in texts:
        name, colon, values = (part.strip() for part in text.partition(":"))
        if not colon or not name or not values:
            raise CgbenchError(f"--arm {text}: write NAME:KEY=VALUE, for example --arm bf16:precision=bf16")
        if name in ("reference", "by hand", *(arm.name for arm in found)):
            raise CgbenchError(f"--arm {text}: the name '{name}' is taken: choose another")
        shared, own = split_assignments(values.split(","))
        if own:
            raise CgbenchError(f"--arm {text}: an arm holds for all methods: leave out '{next(iter(own))}.'")
        found.append(VariantSettings(name, shared))
    for arm in found[1:]:  # a mistake is told before anything is measured
        for size in SIZES:
            ensure_same_work(arm, configuration(size, None, arm), configuration(size, None, found[0]))
    return tuple(found)


def read_methods(text: str) -> tuple[Method, ...]:
    """Return the methods named in `cyclegan,cut`, or all that are trained; an untrained one raises `CgbenchError`."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    if names == ["all"]:
        return tuple(method for method in map(METHODS.get, METHODS.names()) if method.reference is None)
    methods = tuple(METHODS.get(name) for name in dict.fromkeys(names))
    for method in methods:
        if method.reference is not None:
            raise CgbenchError(f"--methods {text}: '{method.name}' is not trained, so there is no step to measure")
    if not methods:
        raise CgbenchError("--methods: name at least one, or all")
    return methods


def configuration(size: str, method: Method | None, arm: VariantSettings) -> TrialConfig:
    """Return the configuration of a size, a method and an arm. Feature losses look through the scorer's network, for
    pretrained weights are not on every machine."""
    own = {"classes": CLASSES, "features": "scorer"}
    layers = [("size", {**SIZES[size], **own}), ("method", method.defaults if method else {}),
              (f"--arm {arm.name}", arm.values)]  # fmt: skip
    return resolve(layers).config


def why_not_applicable(method: Method, config: TrialConfig) -> str:
    """Return why a method cannot be trained at a size, "" where it can."""
    return (
        ""
        if config.batch_size >= method.min_batch_size
        else f"needs batch_size={method.min_batch_size}, has {config.batch_size}"
    )


def reference_model(method: Method, config: TrialConfig, device: str) -> Model:
    """Return the same as plain code has it: float32, maps and weights in torch's own order, torch's instance norm."""
    plain = replace(config, memory_format="contiguous", precision="float32", compile=False, cuda_graphs=False)
    model = timing_model(method, plain, device)
    for network in model.networks.values():
        _with_torchs_norm(network)
    return model


def _with_torchs_norm(module: nn.Module) -> None:
    for name, layer in module.named_children():
        if isinstance(layer, InstanceNorm2d):
            setattr(module, name, nn.InstanceNorm2d(layer.channels))
        else:
            _with_torchs_norm(layer)


def ensure_same_work(arm: VariantSettings, config: TrialConfig, plain: TrialConfig) -> None:
    """Raise `CgbenchError` where an arm changes what is computed, and not only how: then no ratio would mean much."""
    for name in WORK:
        if getattr(config, name) != getattr(plain, name):
            raise CgbenchError(
                f"--arm {arm.name}: '{name}' changes the work itself, so that times say nothing about speed: "
                "leave it out"
            )
