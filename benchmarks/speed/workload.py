"""Workloads of the speed benchmark: configurations by size, variants from the command line, and models."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from cgbench.api.method import Method
from cgbench.api.registry import METHODS
from cgbench.benchmarks.evaluation.synthetic_workload import timing_model
from cgbench.benchmarks.runtime.progress import console
from cgbench.benchmarks.speed.measurements import VariantSettings
from cgbench.config import TrialConfig
from cgbench.config_layers import preset_values, resolve, split_assignments
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model
from cgbench.methods.blocks.norm import InstanceNorm2d

SIZES: dict[str, dict[str, Any]] = {
    "32": preset_values("smoke"),
    "64": preset_values("demo"),
    "128": {**preset_values("paper"), "load_size": 143, "crop_size": 128, "blocks": 6},
    "256": preset_values("paper"),
}
CLASSES = 8  # number of classes of the labels for methods with labels, and for the scorer
WORK = ("batch_size", "crop_size", "generator", "blocks", "ngf", "discriminator", "discriminator_layers", "ndf", "norm",
        "pool_size", "features", "classes")  # fmt: skip
DEFAULT = "cgbench"  # the variant without settings of its own


def read_variants(texts: Sequence[str]) -> tuple[VariantSettings, ...]:
    """Return the default variant and those of `NAME:KEY=VALUE[,KEY=VALUE]`; anything else raises `CgbenchError`."""
    variants = [VariantSettings(DEFAULT, {})]
    for text in texts:
        name, colon, values = (part.strip() for part in text.partition(":"))
        if not colon or not name or not values:
            raise CgbenchError(f"--variant {text}: write NAME:KEY=VALUE, for example --variant bf16:precision=bf16")
        if name in ("reference", "by hand", *(variant.name for variant in variants)):
            raise CgbenchError(f"--variant {text}: the name '{name}' is taken: choose another")
        shared, method_settings = split_assignments(values.split(","))
        if method_settings:
            raise CgbenchError(
                f"--variant {text}: a variant holds for all methods: leave out '{next(iter(method_settings))}.'"
            )
        variants.append(VariantSettings(name, shared))
    for variant in variants[1:]:  # mistakes are reported before anything is measured
        for size in SIZES:
            ensure_same_work(variant, configuration(size, None, variant), configuration(size, None, variants[0]))
    return tuple(variants)


def read_methods(text: str) -> tuple[Method, ...]:
    """Return the methods named in `cyclegan,cut`, or all trainable ones; an untrained one, and a name that two packages
    give, raise `CgbenchError`. Of all methods, such names are left out, with a line."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    if names == ["all"]:
        known = [METHODS.get(name) for name in METHODS.names() if name not in METHODS.clashes]
        for name, clash in METHODS.clashes.items():
            console.print(f"left out: {name}: {clash}", style="yellow")
        return tuple(method for method in known if method.reference is None)
    methods = tuple(METHODS.chosen(name)() for name in dict.fromkeys(names))
    for method in methods:
        if method.reference is not None:
            raise CgbenchError(f"--methods {text}: '{method.name}' is not trained, so there is no step to measure")
    if not methods:
        raise CgbenchError("--methods: name at least one, or all")
    return methods


def configuration(size: str, method: Method | None, variant: VariantSettings) -> TrialConfig:
    """Return the configuration of a size, a method and a variant. Feature losses use the scorer's network, for
    pretrained weights are not on every machine."""
    size_independent = {"classes": CLASSES, "features": "scorer"}
    layers = [("size", {**SIZES[size], **size_independent}), ("method", method.defaults if method else {}),
              (f"--variant {variant.name}", variant.values)]  # fmt: skip
    return resolve(layers).config


def why_not_applicable(method: Method, config: TrialConfig) -> str:
    """Return the reason why a method cannot be trained at a size, "" where it can."""
    return (
        ""
        if config.batch_size >= method.min_batch_size
        else f"needs batch_size={method.min_batch_size}, has {config.batch_size}"
    )


def reference_model(method: Method, config: TrialConfig, device: str) -> Model:
    """Return the model as the reference step uses it: float32, contiguous maps and weights, torch's instance norm."""
    reference = replace(config, memory_format="contiguous", precision="float32", compile=False, cuda_graphs=False)
    model = timing_model(method, reference, device)
    for network in model.networks.values():
        _use_torch_instance_norm(network)
    return model


def _use_torch_instance_norm(module: nn.Module) -> None:
    for name, layer in module.named_children():
        if isinstance(layer, InstanceNorm2d):
            setattr(module, name, nn.InstanceNorm2d(layer.channels))
        else:
            _use_torch_instance_norm(layer)


def ensure_same_work(variant: VariantSettings, config: TrialConfig, default: TrialConfig) -> None:
    """Raise `CgbenchError` where a variant changes what is computed, and not only how: its ratio would mean little."""
    for name in WORK:
        if getattr(config, name) != getattr(default, name):
            raise CgbenchError(
                f"--variant {variant.name}: '{name}' changes the work itself, so that times say nothing about speed: "
                "leave it out"
            )
