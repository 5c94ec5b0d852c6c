"""A method made real: its live networks, and the evaluation of its graph."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from cgbench import seeds
from cgbench.api.graph_analysis import live, networks_of, upstream, waves
from cgbench.api.graph_nodes import Apply, ImagePool, LatentSearch, Precomputed, Sample
from cgbench.api.method import SOURCES, Method
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.image_pool import ImageBuffer
from cgbench.methods.blocks.init import initialise, per_sample
from cgbench.methods.blocks.latent_search import nearest_code
from cgbench.methods.blocks.static_inputs import StaticInputs, Value, each
from cgbench.methods.functional.tensors import sent


class Model:
    """The live networks of `method`, initialised from `seed` by their names, and its image pools.

    Images are float tensors (N, 3, S, S) in [-1, 1] on `device`. `scorer` is the dataset's segmentation network, for
    methods that ask for its features. A method with `Precomputed` tensors needs `precompute` before it is trained.
    """

    def __init__(
        self, method: Method, config: TrialConfig, seed: int, device: str = "cpu", scorer: nn.Module | None = None
    ) -> None:
        self.method = method
        self.config = config
        self.seed = seed
        self.live = live(method)
        self.device = torch.device(device)
        self.owned = {name for player in self.live.players for name in player.networks}
        self.networks: dict[str, nn.Module] = {}
        for name in self.live.networks:
            network = self._built(name, scorer)
            self.networks[name] = network.to(self.device)
        self.calls = self._compiled() if config.compile else self.networks
        self.per_sample = {
            name: method.networks[name].per_sample and per_sample(module) for name, module in self.networks.items()
        }
        self.training = True
        self.first, self.style = 0, 0  # which test images, and which of their outputs, a translation is about
        self.precomputed: dict[str, Tensor] = {}
        self.held: StaticInputs | None = None  # where a step that is recorded finds what is drawn
        self.pools = {
            tensor: ImageBuffer(config.pool_size, seed, tensor)
            for tensor in self.live.gradients
            if isinstance(method.graph[tensor], ImagePool)
        }

    def _built(self, name: str, scorer: nn.Module | None) -> nn.Module:
        """Return a network with its first weights: those it comes with, or those that its name and the seed decide."""
        network = self.method.networks[name]
        if network.frozen:
            return self._laid_out(network.build(self.config, scorer).requires_grad_(False).eval())
        module = network.build(self.config)
        initialise(module, self.seed, name, std=self.config.init_std, kind=network.init)
        return self._laid_out(module)

    def _laid_out(self, module: nn.Module) -> nn.Module:
        """Order the weights of convolutions in memory as the configuration says; their maps follow them."""
        last = self.config.memory_format == "channels_last"
        return module.to(memory_format=torch.channels_last if last else torch.contiguous_format)

    def _compiled(self) -> dict[str, nn.Module]:
        """Return what training calls in the networks' place: the same weights, compiled at the first call."""
        return {name: torch.compile(network, dynamic=False) for name, network in self.networks.items()}

    @torch.no_grad()
    def precompute(self, batch: Callable[[int], dict[str, Tensor]], batches: int) -> None:
        """Compute the measured tensors over `batch(0)`, `batch(1)`, …: `batches` of them, or as many as they ask."""
        nodes = {name: node for name in self.live.gradients if isinstance(node := self.method.graph[name], Precomputed)}
        found: dict[str, list[Tensor]] = {name: [] for name in nodes}
        for step in range(min(batches, max((node.batches for node in nodes.values()), default=0))):
            values = batch(step)
            for name, node in nodes.items():
                if step < node.batches:
                    self.evaluate(values, node.inputs, step)
                    found[name].append(node.function(*(values[tensor] for tensor in node.inputs)))
        self.precomputed = {name: torch.cat(results) for name, results in found.items()}

    def parameters(self, player: str) -> dict[str, nn.Parameter]:
        """Return the weights that a player trains, keyed `network.parameter`."""
        networks = next(entry.networks for entry in self.live.players if entry.name == player)
        return {f"{name}.{key}": weight for name in networks for key, weight in self.networks[name].named_parameters()}

    def counts(self) -> dict[str, int]:
        """Return the number of weights of each live network."""
        return {name: sum(p.numel() for p in module.parameters()) for name, module in self.networks.items()}

    def train(self, mode: bool = True) -> None:
        """Switch all networks between training and evaluation; a frozen one only evaluates."""
        self.training = mode
        for name, network in self.networks.items():
            if not self.method.networks[name].frozen:
                network.train(mode)

    def evaluate(self, values: dict[str, Value], wanted: Iterable[str], step: int = 0) -> None:
        """Compute the tensors `wanted`, and what they need, into `values`; what is already there is used as it is.

        Applications of one network that meet in a wave go through it as one batch, where that is exact.
        """
        with torch.autocast(self.device.type, enabled=False):  # weights shortened to bf16 are kept until here ends
            self._evaluate(values, wanted, step)

    def _evaluate(self, values: dict[str, Value], wanted: Iterable[str], step: int) -> None:
        for wave in waves(self.method, wanted, values):
            batches: dict[tuple, list[str]] = {}
            for tensor in wave:
                node = self.method.graph[tensor]
                inputs = [values[name] for name in node.inputs]
                if isinstance(node, Apply):
                    trained = node.network in self.live.gradients.get(tensor, ())
                    batches.setdefault(self._batch_key(tensor, node, inputs, trained), []).append(tensor)
                else:
                    values[tensor] = self._computed(tensor, inputs, values, step)
            for (network, part, trained, *_), tensors in batches.items():
                self._apply(network, part, trained, tensors, values)

    def _computed(self, tensor: str, inputs: list[Value], values: dict[str, Value], step: int) -> Value:
        """Return a tensor that no network computes."""
        node = self.method.graph[tensor]
        if isinstance(node, Sample | ImagePool):
            drawn = self.held.value(tensor, inputs, step) if self.held else self.draw(tensor, inputs, step)
            return self.pools[tensor].exchange(inputs[0], drawn) if isinstance(node, ImagePool) else drawn
        if isinstance(node, Precomputed):
            if tensor not in self.precomputed:
                raise CgbenchError(
                    f"'{tensor}' of {self.method.name} is measured on training images: call measure first"
                )
            return self.precomputed[tensor]
        if isinstance(node, LatentSearch):
            return self._found(node, values)
        result = node.function(*inputs)
        return each(torch.Tensor.detach, result) if node.detached else result

    def translate(self, images: Tensor, direction: str, first: int = 0, style: int = 0) -> Tensor:
        """Return `images` (N, 3, S, S) in [-1, 1], translated; the same shape and range.

        They are the test images `first` to `first` + N - 1: a method that draws numbers draws those of each image.
        Another `style` is another draw for the same images.
        """
        return self._infer(images, direction, [self.method.translates[direction]], first, style)[0]

    def draws(self, direction: str) -> bool:
        """Say whether a translation draws random numbers, so that another `style` is another output."""
        way = upstream(self.method, [self.method.translates[direction]])
        return any(isinstance(self.method.graph[tensor], Sample) for tensor in way)

    def searches(self, direction: str) -> bool:
        """Say whether a translation searches for a code, image by image, which takes many passes."""
        way = upstream(self.method, [self.method.translates[direction]])
        return any(isinstance(self.method.graph[tensor], LatentSearch) for tensor in way)

    def reconstruct(self, images: Tensor, direction: str, first: int = 0) -> Tensor | None:
        """Return `images` after the way there and back, or None if the method knows no way back."""
        back = self._way_back(direction)
        return self._infer(images, direction, [back], first)[0] if back else None

    def translate_and_reconstruct(self, images: Tensor, direction: str, first: int = 0) -> tuple[Tensor, Tensor | None]:
        """Return both at the price of the longer one: the translation is computed once."""
        back = self._way_back(direction)
        tensors = [self.method.translates[direction], *([back] if back else [])]
        outputs = self._infer(images, direction, tensors, first)
        return outputs[0], outputs[1] if back else None

    def returns(self, direction: str) -> bool:
        """Say whether what others made of a translation can be translated back, in one pass."""
        back, there = self._way_back(direction), self.method.translates[direction]
        if back is None or there not in upstream(self.method, [back]):
            return False
        way = upstream(self.method, [back], known={*SOURCES, there})
        return not any(isinstance(self.method.graph[tensor], LatentSearch) for tensor in way)

    def return_from(self, outputs: Tensor, images: Tensor, direction: str) -> Tensor:
        """Return translations of `images`, or what became of these translations, translated back, where `returns`.

        All are (N, 3, S, S) in [-1, 1].
        """
        given = {self.method.translates[direction]: outputs}
        return self._infer(images, direction, [self._way_back(direction)], 0, given=given)[0]

    def _way_back(self, direction: str) -> str | None:
        """Return the tensor that reconstructs, unless a network on its way is not trained and so was never built."""
        tensor = self.method.reconstructs.get(direction)
        if tensor is None or not set(networks_of(self.method, upstream(self.method, [tensor]))) <= set(self.networks):
            return None
        return tensor

    @torch.no_grad()
    def _infer(
        self, images: Tensor, direction: str, tensors: list[str], first: int, style: int = 0,
        given: Mapping[str, Tensor] | None = None,
    ) -> list[Tensor]:  # fmt: skip
        values: dict[str, Value] = {SOURCES[direction == "BtoA"]: images, **(given or {})}
        training = self.training
        self.train(False)  # no dropout, and the statistics that batch norm has kept
        self.first, self.style = first, style
        self.evaluate(values, tensors)
        self.train(training)
        return [values[tensor] for tensor in tensors]

    def draw(self, tensor: str, inputs: list[Value], step: int) -> Value:
        """Return what chance decides for a tensor, drawn on the host: the numbers of a `Sample`, for a training step or
        for each test image by itself; for an `ImagePool` what becomes of a step's images. Of `inputs` only shapes,
        types and devices matter."""
        node = self.method.graph[tensor]
        if isinstance(node, ImagePool):
            return sent(self.pools[tensor].decide(len(inputs[0]), step), inputs[0].device)
        if self.training:
            return node.function(seeds.generator(self.seed, "noise", tensor, step), *inputs)
        rows = []
        for row in range(_batch_size(inputs[0])):
            stream = seeds.generator(self.seed, "noise", tensor, "image", self.first + row, self.style)
            rows.append(node.function(stream, *(_rows(value, row, row + 1) for value in inputs)))
        return _joined(rows)

    def _found(self, node: LatentSearch, values: dict[str, Value]) -> Tensor:
        """Search from what was drawn, through the networks as they are."""

        def result(code: Tensor) -> Tensor:
            inner: dict[str, Value] = {node.start: code}
            self.evaluate(inner, [node.result])
            return inner[node.result]

        return nearest_code(result, values[node.start], values[node.target], self.config.search_steps)

    def _batch_key(self, tensor: str, node: Apply, inputs: list[Value], trained: bool) -> tuple:
        """Two applications with equal keys may share a batch; one that may not has its own name in the key."""
        alone = "" if self.per_sample[node.network] else tensor
        return node.network, node.part, trained, alone, *(each(lambda t: t.shape[1:], value) for value in inputs)

    def _apply(self, name: str, part: str, trained: bool, tensors: list[str], values: dict[str, Value]) -> None:
        """Compute all `tensors`, applications of network `name`, in one call."""
        network = self.networks[name]
        columns = zip(*(self.method.graph[tensor].inputs for tensor in tensors), strict=True)
        inputs = [[values[tensor] for tensor in column] for column in columns]
        # A network that this application does not train records no gradient of its weights: half the backward cost.
        network.requires_grad_(trained)
        call = getattr(network, part) if part else (self.calls[name] if self.training else network)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            outputs = each(_unshortened, call(*map(_joined, inputs)))
        network.requires_grad_(name in self.owned)
        start = 0
        for row, tensor in enumerate(tensors):
            end = start + _batch_size(inputs[0][row])
            values[tensor] = outputs if len(tensors) == 1 else _rows(outputs, start, end)
            start = end

    def state(self) -> dict[str, Tensor]:
        """Return weights, buffers and pools by name; a frozen network is not kept, it is loaded again."""
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
        """Take over a state; a tensor that is missing, surplus or of another shape raises `RuntimeError`."""
        for name, network in self.networks.items():
            if not self.method.networks[name].frozen:
                network.load_state_dict(_under(state, f"network.{name}."))
        for name, pool in self.pools.items():
            pool.load(_under(state, f"pool.{name}."))


def _under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _unshortened(tensor: Tensor) -> Tensor:
    """Return what a network gives as float32 where it is bf16: losses and pools are not shortened."""
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def _joined(values: list[Value]) -> Value:
    """Return the values as one batch."""
    return values[0] if len(values) == 1 else each(lambda *parts: torch.cat(parts), *values)


def _rows(value: Value, start: int, end: int) -> Value:
    return each(lambda tensor: tensor[start:end], value)


def _batch_size(value: Value) -> int:
    return len(value[0]) if isinstance(value, tuple) else len(value)
