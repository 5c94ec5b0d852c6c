"""A small published segmentation network for the classes of `streets`, with random weights, and its two files."""

import functools
import json

import safetensors.torch
import torch
import torchvision

from cgbench.datasets.streets import PALETTE

CLASSES = [entry.name for entry in PALETTE]
OUTPUTS = [None, *CLASSES, "car", None, "road"]  # several outputs of one class, and of none
DESCRIPTION = {
    "architecture": "lraspp_mobilenet_v3_large", "outputs": len(OUTPUTS), "classes": OUTPUTS,
    "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "input_size": [32, 64],
}  # fmt: skip


@functools.cache
def network(seed=0):
    """A network of torchvision whose normalisation fits noise: with its initial statistics, all pixels look alike."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        build = torchvision.models.segmentation.lraspp_mobilenet_v3_large
        found = build(weights=None, weights_backbone=None, num_classes=len(OUTPUTS))
        for module in found.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            found.train()(torch.randn(4, 3, 64, 64))
    return found.eval()


def put(folder, name="tiny", suffix=".pth", weights=None, **changes):
    """Write NAME.json, with `changes` to its fields, and the weights beside it; return the path of the weights."""
    description = {key: value for key, value in {**DESCRIPTION, **changes}.items() if value is not ...}
    (folder / f"{name}.json").write_text(json.dumps(description))
    path, weights = folder / f"{name}{suffix}", network().state_dict() if weights is None else weights
    if suffix == ".pth":
        torch.save(weights, path)
    else:
        safetensors.torch.save_file(weights, path)
    return path
