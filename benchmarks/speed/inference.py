"""Translation, and what metrics look through: images per second, to bytes on the CPU."""

import itertools
from collections.abc import Callable

import numpy as np
import torch

from cgbench.api.graph_analysis import waves
from cgbench.api.graph_nodes import Apply
from cgbench.api.method import SOURCES
from cgbench.benchmarks.data.conversion import to_bytes, to_signed
from cgbench.benchmarks.evaluation.feature_extractors import scorer_features
from cgbench.benchmarks.evaluation.scorer import Scorer, build_network
from cgbench.benchmarks.evaluation.synthetic_workload import timing_model
from cgbench.benchmarks.runtime.determinism import reason_of
from cgbench.benchmarks.speed.measurements import LeftOut, Measurement, Measurements, SpeedOptions
from cgbench.benchmarks.speed.timing import Variant, interleave, rates, summary, times_as_fast
from cgbench.benchmarks.speed.training_step import REFERENCE
from cgbench.benchmarks.speed.workload import DEFAULT, configuration, read_variants, reference_model
from cgbench.methods.blocks.model import Model

IMAGES = 16  # translated at once, as cost.json has it
PHOTOS = 64  # that features are extracted of


def translation(plan: SpeedOptions) -> Measurements:
    """Measure the first direction of every method, against one image after the other through the network alone."""
    for size, method in itertools.product(plan.sizes, plan.methods):
        plan.say(f"translation: {method.name} at {size} pixels")
        images, direction, arms = pictures(size, IMAGES), method.directions[0], []
        try:
            for setting in plan.arms:
                model = timing_model(method, configuration(size, method, setting), plan.device)
                if not arms:
                    reference = reference_model(method, configuration(size, method, setting), plan.device)
                    if plain := one_by_one(reference, images, direction):
                        arms.append(Variant(REFERENCE, plain))
                arms.append(Variant(setting.name, _translated(model, images, direction)))
            seconds = interleave(arms, plan.budget)
        except RuntimeError as error:
            yield LeftOut("translation", method.name, size, reason_of(error), failed=True)
            continue
        for arm, values in seconds.items():
            ratio = times_as_fast(seconds[REFERENCE], values) if REFERENCE in seconds and arm != REFERENCE else None
            speed = summary(rates(values, IMAGES))
            yield Measurement(
                "translation", method.name, arm, size, "images/s", speed, REFERENCE if ratio else "", ratio
            )


def features(plan: SpeedOptions) -> Measurements:
    """Measure the scorer's features and its classes, with untrained weights; no earlier result is remembered."""
    for size in plan.sizes:
        plan.say(f"features: at {size} pixels")
        config, photos = configuration(size, None, plan.arms[0]), pictures(size, PHOTOS)
        scorer = Scorer(build_network(config.classes, config.scorer_width), {}, plan.device)
        extract = scorer_features(scorer).function  # behind what remembers results
        arms = [Variant("features of the scorer", lambda f=extract, p=photos: f(p)),
                Variant("classes of the scorer", lambda s=scorer, p=photos: s.predict(p))]  # fmt: skip
        for name, values in interleave(arms, plan.budget).items():
            yield Measurement("features", name, DEFAULT, size, "images/s", summary(rates(values, PHOTOS)))


def pictures(size: str, count: int) -> np.ndarray:
    """Return images of noise, uint8 (count, S, S, 3), of a size's crops."""
    side = configuration(size, None, read_variants([])[0]).crop_size
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def one_by_one(model: Model, images: np.ndarray, direction: str) -> Callable[[], list[np.ndarray]] | None:
    """Return the public way: each image by itself through the networks of a translation, one after the other, without
    a graph; None for a method that draws or searches for its outputs."""
    wanted = model.method.translates[direction]
    order = itertools.chain(*waves(model.method, [wanted], SOURCES))
    nodes = [(name, model.method.graph[name]) for name in order]
    if not all(isinstance(node, Apply) for _, node in nodes):
        return None
    source = next(name for _, node in nodes for name in node.inputs if name in SOURCES)

    @torch.no_grad()
    def call() -> list[np.ndarray]:
        model.train(False)
        outputs = []
        for image in images:
            pixels = torch.from_numpy(image).to(model.device).permute(2, 0, 1)[None].contiguous()
            values = {source: to_signed(pixels)}
            for name, node in nodes:
                network = model.networks[node.network]
                function = getattr(network, node.part) if node.part else network
                values[name] = function(*(values[given] for given in node.inputs))
            outputs.append(to_bytes(values[wanted]))
        return outputs

    return call


def _translated(model: Model, images: np.ndarray, direction: str) -> Callable[[], np.ndarray]:
    def call() -> np.ndarray:
        tensor = torch.from_numpy(images).to(model.device).permute(0, 3, 1, 2).contiguous()
        return to_bytes(model.translate(to_signed(tensor), direction))

    return call
