"""Speed of translation and of feature extraction: images per second, to bytes on the CPU."""

import itertools
from collections.abc import Callable

import numpy as np
import torch

from cgbench.api.graph_analysis import waves
from cgbench.api.graph_nodes import Apply
from cgbench.api.names import SOURCES
from cgbench.benchmarks.data.conversion import to_bytes, to_signed
from cgbench.benchmarks.evaluation.feature_extractors import scorer_features
from cgbench.benchmarks.evaluation.scorer import Scorer, build_network
from cgbench.benchmarks.evaluation.synthetic_workload import timing_model
from cgbench.benchmarks.runtime.determinism import describe_error
from cgbench.benchmarks.speed.measurements import LeftOut, Measurement, Measurements, SpeedOptions
from cgbench.benchmarks.speed.timing import Variant, interleave, rates, summary, times_as_fast
from cgbench.benchmarks.speed.training_step import REFERENCE
from cgbench.benchmarks.speed.workload import DEFAULT, configuration, read_variants, reference_model
from cgbench.methods.blocks.model import Model

IMAGES = 16  # per batch, as in cost.json
PHOTOS = 64  # per feature extraction


def translation(options: SpeedOptions) -> Measurements:
    """Measure the first direction of every method, against translating one image after the other without a graph."""
    for size, method in itertools.product(options.sizes, options.methods):
        options.log(f"translation: {method.name} at {size} pixels")
        images, direction, variants = noise_images(size, IMAGES), method.directions[0], []
        try:
            for settings in options.variants:
                model = timing_model(method, configuration(size, method, settings), options.device)
                if not variants:
                    reference_network = reference_model(method, configuration(size, method, settings), options.device)
                    if reference_call := reference_translation(reference_network, images, direction):
                        variants.append(Variant(REFERENCE, reference_call))
                variants.append(Variant(settings.name, _cgbench_translation(model, images, direction)))
            seconds = interleave(variants, options.budget)
        except RuntimeError as error:
            yield LeftOut("translation", method.name, size, describe_error(error), failed=True)
            continue
        for variant, values in seconds.items():
            ratio = times_as_fast(seconds[REFERENCE], values) if REFERENCE in seconds and variant != REFERENCE else None
            speed = summary(rates(values, IMAGES))
            yield Measurement(
                "translation", method.name, variant, size, "images/s", speed, REFERENCE if ratio else "", ratio
            )


def features(options: SpeedOptions) -> Measurements:
    """Measure the scorer's features and its classes, with untrained weights and without memoization."""
    for size in options.sizes:
        options.log(f"features: at {size} pixels")
        config, photos = configuration(size, None, options.variants[0]), noise_images(size, PHOTOS)
        scorer = Scorer(build_network(config.classes, config.scorer_width), {}, options.device)
        extract = scorer_features(scorer).function  # without its memoization
        variants = [
            Variant("features of the scorer", lambda f=extract, p=photos: f(p)),
            Variant("classes of the scorer", lambda s=scorer, p=photos: s.predict(p)),
        ]
        for name, values in interleave(variants, options.budget).items():
            yield Measurement("features", name, DEFAULT, size, "images/s", summary(rates(values, PHOTOS)))


def noise_images(size: str, count: int) -> np.ndarray:
    """Return images of noise, uint8 (count, S, S, 3), with the crop size of a size."""
    side = configuration(size, None, read_variants([])[0]).crop_size
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def reference_translation(model: Model, images: np.ndarray, direction: str) -> Callable[[], list[np.ndarray]] | None:
    """Return a function that translates as public code does: each image by itself through the networks of a
    translation, one after the other, without a graph; None for a method that draws or searches for its outputs."""
    output = model.method.translates[direction]
    order = itertools.chain(*waves(model.method, [output], SOURCES))
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
                values[name] = function(*(values[input_name] for input_name in node.inputs))
            outputs.append(to_bytes(values[output]))
        return outputs

    return call


def _cgbench_translation(model: Model, images: np.ndarray, direction: str) -> Callable[[], np.ndarray]:
    def call() -> np.ndarray:
        tensor = torch.from_numpy(images).to(model.device).permute(0, 3, 1, 2).contiguous()
        return to_bytes(model.translate(to_signed(tensor), direction))

    return call
