"""The trainable model of a method: its networks and image pools, and the evaluation of its graph."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from cgbench import seeds
from cgbench.api.graph_analysis import live, networks_of, upstream, waves
from cgbench.api.graph_nodes import Apply, ImagePool, LatentSearch, Precomputed, Sample
from cgbench.api.method import Method
from cgbench.api.names import SOURCES, Direction
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.image_pool import ImageBuffer
from cgbench.methods.blocks.init import initialise, per_sample
from cgbench.methods.blocks.latent_search import nearest_code
from cgbench.methods.blocks.static_inputs import StaticInputs, Value, map_tensors
from cgbench.methods.functional.tensors import to_device


class Model:
    """The live networks of `method`, initialised from `seed` and their names, and its image pools.

    Images are float tensors (N, C, H, W) in [-1, 1] on `device`. `scorer` is the dataset's segmentation network, for
    methods that read its features. A method with `Precomputed` tensors needs `precompute` before it is trained.
    `trained_networks` are the names of the networks that a player trains; `compiled_networks` are the modules that
    training calls. `static_inputs` holds the sampled tensors of a step that is captured as a CUDA graph.
    """

    def __init__(
        self, method: Method, config: TrialConfig, seed: int, device: str = "cpu", scorer: nn.Module | None = None
    ) -> None:
        self.method, self.config, self.seed = method, config, seed
        self.live_part = live(method)
        self.device = torch.device(device)
        self.trained_networks = {name for player in self.live_part.players for name in player.networks}
        self.networks: dict[str, nn.Module] = {}
        for name in self.live_part.networks:
            network = self._build_network(name, scorer)
            self.networks[name] = network.to(self.device)
        self.compiled_networks = self._compile_networks() if config.compile else self.networks
        self.per_sample = {
            name: method.networks[name].per_sample and per_sample(module) for name, module in self.networks.items()
        }
        self.training = True
        self.first_image, self.style_index = 0, 0  # of a translation: they select the streams of its `Sample` nodes
        self.precomputed: dict[str, Tensor] = {}
        self.static_inputs: StaticInputs | None = None
        self.pools = {
            tensor: ImageBuffer(config.pool_size, seed, tensor)
            for tensor in self.live_part.gradients
            if isinstance(method.graph[tensor], ImagePool)
        }

    def _build_network(self, name: str, scorer: nn.Module | None) -> nn.Module:
        """Return a network with its initial weights: its own if frozen, else drawn from the seed and its name."""
        network = self.method.networks[name]
        if network.frozen:
            return self._set_memory_format(network.build(self.config, scorer).requires_grad_(False).eval())
        module = network.build(self.config)
        initialise(module, self.seed, name, std=self.config.init_std, kind=network.init, bias=network.bias)
        return self._set_memory_format(module)

    def _set_memory_format(self, module: nn.Module) -> nn.Module:
        """Set the configured memory format of the convolution weights; feature maps follow it."""
        last = self.config.memory_format == "channels_last"
        return module.to(memory_format=torch.channels_last if last else torch.contiguous_format)

    def _compile_networks(self) -> dict[str, nn.Module]:
        """Return compiled modules that share the networks' weights; compilation happens at the first call."""
        return {name: torch.compile(network, dynamic=False) for name, network in self.networks.items()}

    @torch.no_grad()
    def precompute(self, batch: Callable[[int], dict[str, Tensor]], batches: int) -> None:
        """Compute the `Precomputed` tensors over `batch(0)`, `batch(1)`, …: at most `batches`, and at most as many as
        each node declares."""
        gradients = self.live_part.gradients
        nodes = {name: node for name in gradients if isinstance(node := self.method.graph[name], Precomputed)}
        parts: dict[str, list[Tensor]] = {name: [] for name in nodes}
        for step in range(min(batches, max((node.batches for node in nodes.values()), default=0))):
            values = batch(step)
            for name, node in nodes.items():
                if step < node.batches:
                    self.evaluate(values, node.inputs, step)
                    parts[name].append(node.function(*(values[tensor] for tensor in node.inputs)))
        self.precomputed = {name: torch.cat(results) for name, results in parts.items()}

    def parameters(self, player: str) -> dict[str, nn.Parameter]:
        """Return the weights that a player trains, keyed `network.parameter`."""
        networks = next(entry.networks for entry in self.live_part.players if entry.name == player)
        return {f"{name}.{key}": weight for name in networks for key, weight in self.networks[name].named_parameters()}

    def parameter_counts(self) -> dict[str, int]:
        """Return the number of weights of each live network."""
        return {name: sum(p.numel() for p in module.parameters()) for name, module in self.networks.items()}

    def train(self, mode: bool = True) -> None:
        """Switch all networks but the frozen ones to training mode, or to evaluation mode."""
        self.training = mode
        for name, network in self.networks.items():
            if not self.method.networks[name].frozen:
                network.train(mode)

    def evaluate(self, values: dict[str, Value], requested: Iterable[str], step: int = 0) -> None:
        """Add the tensors `requested`, and those they depend on, to `values`; tensors already present are reused.

        Applications of one network in the same wave go through it as one batch where that is exact.
        """
        with torch.autocast(self.device.type, enabled=False):  # keeps the cache of weights cast to bf16 until it exits
            self._evaluate(values, requested, step)

    def _evaluate(self, values: dict[str, Value], requested: Iterable[str], step: int) -> None:
        for wave in waves(self.method, requested, values):
            batches: dict[tuple, list[str]] = {}
            for tensor in wave:
                node = self.method.graph[tensor]
                inputs = [values[name] for name in node.inputs]
                if isinstance(node, Apply):
                    trained = node.network in self.live_part.gradients.get(tensor, ())
                    batches.setdefault(self._batch_key(tensor, node, inputs, trained), []).append(tensor)
                else:
                    values[tensor] = self._compute(tensor, inputs, values, step)
            for (network, part, trained, *_), tensors in batches.items():
                self._apply_network(network, part, trained, tensors, values)

    def _compute(self, tensor: str, inputs: list[Value], values: dict[str, Value], step: int) -> Value:
        """Return the value of a node that is no application of a network."""
        node = self.method.graph[tensor]
        if isinstance(node, Sample | ImagePool):
            static = self.static_inputs
            drawn = static.value(tensor, inputs, step) if static else self.draw(tensor, inputs, step)
            return self.pools[tensor].exchange(inputs[0], drawn) if isinstance(node, ImagePool) else drawn
        if isinstance(node, Precomputed):
            if tensor not in self.precomputed:
                raise CgbenchError(
                    f"'{tensor}' of {self.method.name} is measured on training images: call measure first"
                )
            return self.precomputed[tensor]
        if isinstance(node, LatentSearch):
            return self._search_code(node, values)
        result = node.function(*inputs)
        return map_tensors(torch.Tensor.detach, result) if node.detached else result

    def translate(self, images: Tensor, direction: str, first_image: int = 0, style_index: int = 0) -> Tensor:
        """Return the translations of `images` (N, C, H, W) in [-1, 1]; the same size and range, the target's channels.

        They are the test images `first_image` to `first_image` + N - 1: each image has a random stream of its own.
        Another `style_index` gives independent samples for the same images.
        """
        return self._infer(images, direction, [self.method.translates[direction]], first_image, style_index)[0]

    def is_stochastic(self, direction: str) -> bool:
        """Return whether a translation samples random numbers, so that another `style_index` gives another output."""
        path = upstream(self.method, [self.method.translates[direction]])
        return any(isinstance(self.method.graph[tensor], Sample) for tensor in path)

    def needs_latent_search(self, direction: str) -> bool:
        """Return whether a translation searches a latent code for each image, which takes many forward passes."""
        path = upstream(self.method, [self.method.translates[direction]])
        return any(isinstance(self.method.graph[tensor], LatentSearch) for tensor in path)

    def reconstruct(self, images: Tensor, direction: str, first_image: int = 0) -> Tensor | None:
        """Return the reconstructions of `images`, or None if the method declares none for this direction."""
        tensor = self._reconstruction_tensor(direction)
        return self._infer(images, direction, [tensor], first_image)[0] if tensor else None

    def translate_and_reconstruct(
        self, images: Tensor, direction: str, first_image: int = 0
    ) -> tuple[Tensor, Tensor | None]:
        """Return translations and reconstructions (or None) of `images`; the translation is computed once."""
        reconstruction = self._reconstruction_tensor(direction)
        tensors = [self.method.translates[direction], *([reconstruction] if reconstruction else [])]
        outputs = self._infer(images, direction, tensors, first_image)
        return outputs[0], outputs[1] if reconstruction else None

    def can_translate_back(self, direction: str) -> bool:
        """Return whether `translate_back` is possible: any image can take the translation's place, in one pass."""
        reconstruction, translation = self._reconstruction_tensor(direction), self.method.translates[direction]
        if reconstruction is None or translation not in upstream(self.method, [reconstruction]):
            return False
        path = upstream(self.method, [reconstruction], known={*SOURCES, translation})
        return not any(isinstance(self.method.graph[tensor], LatentSearch) for tensor in path)

    def translate_back(self, outputs: Tensor, images: Tensor, direction: str) -> Tensor:
        """Return the reconstructions of `images` from `outputs`: their translations, possibly modified.

        `can_translate_back(direction)` must hold. All are (N, C, H, W) in [-1, 1], with the channels of their domains.
        """
        known = {self.method.translates[direction]: outputs}
        return self._infer(images, direction, [self._reconstruction_tensor(direction)], 0, known=known)[0]

    def _reconstruction_tensor(self, direction: str) -> str | None:
        """Return the name of the reconstruction; None where it needs a network that is not live."""
        tensor = self.method.reconstructs.get(direction)
        if tensor is None or not set(networks_of(self.method, upstream(self.method, [tensor]))) <= set(self.networks):
            return None
        return tensor

    @torch.no_grad()
    def _infer(
        self, images: Tensor, direction: str, tensors: list[str], first_image: int, style_index: int = 0,
        known: Mapping[str, Tensor] | None = None,
    ) -> list[Tensor]:  # fmt: skip
        values: dict[str, Value] = {SOURCES[direction == Direction.B_TO_A]: images, **(known or {})}
        training = self.training
        self.train(False)  # no dropout; batch norm uses its running statistics
        self.first_image, self.style_index = first_image, style_index
        try:
            self.evaluate(values, tensors)
        finally:
            self.train(training)
        return [values[tensor] for tensor in tensors]

    def draw(self, tensor: str, inputs: list[Value], step: int) -> Value:
        """Return the random value of a node, drawn on the host: for a `Sample` its numbers, of a training step or of
        each test image by itself; for an `ImagePool` its decisions of the step. Of `inputs` only shapes, types and
        devices matter."""
        node = self.method.graph[tensor]
        if isinstance(node, ImagePool):
            return to_device(self.pools[tensor].decide(len(inputs[0]), step), inputs[0].device)
        if self.training:
            return node.function(seeds.generator(self.seed, "noise", tensor, step), *inputs)
        rows = []
        for row in range(_batch_size(inputs[0])):
            stream = image_stream(self.seed, tensor, self.first_image + row, self.style_index)
            rows.append(node.function(stream, *(_slice(value, row, row + 1) for value in inputs)))
        return _concatenate(rows)

    def _search_code(self, node: LatentSearch, values: dict[str, Value]) -> Tensor:
        """Return the latent codes found from the node's start, through the networks with their present weights."""

        def render(code: Tensor) -> Tensor:
            inner: dict[str, Value] = {node.start: code}
            self.evaluate(inner, [node.result])
            return inner[node.result]

        return nearest_code(render, values[node.start], values[node.target], self.config.search_steps)

    def _batch_key(self, tensor: str, node: Apply, inputs: list[Value], trained: bool) -> tuple:
        """Return a key that is equal for applications that may share a batch, and unique for one that may not."""
        alone = "" if self.per_sample[node.network] else tensor
        return node.network, node.part, trained, alone, *(map_tensors(lambda t: t.shape[1:], value) for value in inputs)

    def _apply_network(self, name: str, part: str, trained: bool, tensors: list[str], values: dict[str, Value]) -> None:
        """Compute all `tensors`, applications of network `name`, in one call."""
        network = self.networks[name]
        columns = zip(*(self.method.graph[tensor].inputs for tensor in tensors), strict=True)
        inputs = [[values[tensor] for tensor in column] for column in columns]
        # A network that this application does not train records no gradient of its weights: half the backward cost.
        network.requires_grad_(trained)
        call = getattr(network, part) if part else (self.compiled_networks[name] if self.training else network)
        try:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
                outputs = map_tensors(_to_float32, call(*map(_concatenate, inputs)))
        finally:
            network.requires_grad_(name in self.trained_networks)
        start = 0
        for row, tensor in enumerate(tensors):
            end = start + _batch_size(inputs[0][row])
            values[tensor] = outputs if len(tensors) == 1 else _slice(outputs, start, end)
            start = end

    def state(self) -> dict[str, Tensor]:
        """Return weights, buffers and pools by name, without those of frozen networks, which are loaded from files."""
        state = {
            f"network.{name}.{key}": value
            for name, network in self.networks.items()
            if not self.method.networks[name].frozen
            for key, value in network.state_dict().items()
        }
        for name, pool in self.pools.items():
            state.update({f"pool.{name}.{key}": value for key, value in pool.state().items()})
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Load a state; a tensor that is missing, surplus or of another shape raises `RuntimeError`."""
        for name, network in self.networks.items():
            if not self.method.networks[name].frozen:
                network.load_state_dict(_with_prefix(state, f"network.{name}."))
        for name, pool in self.pools.items():
            pool.load(_with_prefix(state, f"pool.{name}."))


def image_stream(seed: int, tensor: str, image: int, style_index: int = 0) -> np.random.Generator:
    """Return the stream of the random numbers that `tensor` is, of the test image with the number `image`."""
    return seeds.generator(seed, "noise", tensor, "image", image, style_index)


def _with_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the entries whose names begin with `prefix`, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _to_float32(tensor: Tensor) -> Tensor:
    """Return a bf16 output as float32, so that losses and pools keep full precision; other types unchanged."""
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def _concatenate(values: list[Value]) -> Value:
    """Return the values as one batch."""
    return values[0] if len(values) == 1 else map_tensors(lambda *parts: torch.cat(parts), *values)


def _slice(value: Value, start: int, end: int) -> Value:
    return map_tensors(lambda tensor: tensor[start:end], value)


def _batch_size(value: Value) -> int:
    return len(value[0]) if isinstance(value, tuple) else len(value)
