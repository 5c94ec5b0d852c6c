"""A method made real: its live networks, and the evaluation of its graph."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from cgbench import seeds
from cgbench.config import TrialConfig
from cgbench.graph import live, networks_of, upstream, waves
from cgbench.method import SOURCES, Apply, History, Method, Noise
from cgbench.methods.blocks.init import initialise, per_sample
from cgbench.methods.blocks.pool import ImagePool


class Model:
    """The live networks of `method`, initialised from `seed` by their names, and its image pools.

    Images are float tensors (N, 3, S, S) in [-1, 1] on `device`.
    """

    def __init__(self, method: Method, config: TrialConfig, seed: int, device: str = "cpu") -> None:
        self.method = method
        self.seed = seed
        self.live = live(method)
        self.device = torch.device(device)
        self.owned = {name for player in self.live.players for name in player.networks}
        self.networks: dict[str, nn.Module] = {}
        for name in self.live.networks:
            network = method.networks[name].build(config)
            initialise(network, seed, name, std=config.init_std)
            self.networks[name] = network.to(self.device)
        self.per_sample = {
            name: method.networks[name].per_sample and per_sample(module) for name, module in self.networks.items()
        }
        self.training = True
        self.pools = {
            tensor: ImagePool(config.pool_size, seed, tensor)
            for tensor in self.live.gradients
            if isinstance(method.graph[tensor], History)
        }

    def parameters(self, player: str) -> dict[str, nn.Parameter]:
        """Return the weights that a player trains, keyed `network.parameter`."""
        networks = next(entry.networks for entry in self.live.players if entry.name == player)
        return {f"{name}.{key}": weight for name in networks for key, weight in self.networks[name].named_parameters()}

    def counts(self) -> dict[str, int]:
        """Return the number of weights of each live network."""
        return {name: sum(p.numel() for p in module.parameters()) for name, module in self.networks.items()}

    def train(self, mode: bool = True) -> None:
        """Switch all networks between training and evaluation."""
        self.training = mode
        for network in self.networks.values():
            network.train(mode)

    def evaluate(self, values: dict[str, Tensor], wanted: Iterable[str], step: int = 0) -> None:
        """Compute the tensors `wanted`, and what they need, into `values`; what is already there is used as it is.

        Applications of one network that meet in a wave go through it as one batch, where that is exact.
        """
        for wave in waves(self.method, wanted, values):
            batches: dict[tuple, list[str]] = {}
            for tensor in wave:
                node = self.method.graph[tensor]
                inputs = [values[name] for name in node.inputs]
                if isinstance(node, Apply):
                    trained = node.network in self.live.gradients.get(tensor, ())
                    batches.setdefault(self._batch_key(tensor, node, inputs, trained), []).append(tensor)
                elif isinstance(node, Noise):
                    values[tensor] = self._noise(tensor, node, inputs[0], step)
                elif isinstance(node, History):
                    values[tensor] = self.pools[tensor].query(inputs[0].detach(), step)
                else:
                    result = node.function(*inputs)
                    values[tensor] = result.detach() if node.detached else result
            for (network, trained, *_), tensors in batches.items():
                self._apply(network, trained, tensors, values)

    def translate(self, images: Tensor, direction: str) -> Tensor:
        """Return `images` (N, 3, S, S) in [-1, 1], translated; the same shape and range."""
        return self._infer(images, direction, [self.method.translates[direction]])[0]

    def reconstruct(self, images: Tensor, direction: str) -> Tensor | None:
        """Return `images` after the way there and back, or None if the method knows no way back."""
        back = self._way_back(direction)
        return self._infer(images, direction, [back])[0] if back else None

    def translate_and_reconstruct(self, images: Tensor, direction: str) -> tuple[Tensor, Tensor | None]:
        """Return both at the price of the longer one: the translation is computed once."""
        back = self._way_back(direction)
        tensors = [self.method.translates[direction], *([back] if back else [])]
        outputs = self._infer(images, direction, tensors)
        return outputs[0], outputs[1] if back else None

    def _way_back(self, direction: str) -> str | None:
        """Return the tensor that reconstructs, unless a network on its way is not trained and so was never built."""
        tensor = self.method.reconstructs.get(direction)
        if tensor is None or not set(networks_of(self.method, upstream(self.method, [tensor]))) <= set(self.networks):
            return None
        return tensor

    @torch.no_grad()
    def _infer(self, images: Tensor, direction: str, tensors: list[str]) -> list[Tensor]:
        values = {SOURCES[direction == "BtoA"]: images}
        training = self.training
        self.train(False)  # no dropout, and the statistics that batch norm has kept
        self.evaluate(values, tensors)
        self.train(training)
        return [values[tensor] for tensor in tensors]

    def _noise(self, tensor: str, node: Noise, like: Tensor, step: int) -> Tensor:
        """Draw on the host, so that all devices and all methods with one seed see the same numbers."""
        stream = seeds.generator(self.seed, "noise", tensor, step)
        draw = stream.random if node.kind == "uniform" else stream.standard_normal
        return torch.from_numpy(draw((len(like), *node.size))).to(like)

    def _batch_key(self, tensor: str, node: Apply, inputs: list[Tensor], trained: bool) -> tuple:
        """Two applications with equal keys may share a batch; one that may not has its own name in the key."""
        alone = "" if self.per_sample[node.network] else tensor
        return node.network, trained, alone, *(image.shape[1:] for image in inputs)

    def _apply(self, name: str, trained: bool, tensors: list[str], values: dict[str, Tensor]) -> None:
        """Compute all `tensors`, applications of network `name`, in one call."""
        network = self.networks[name]
        columns = zip(*(self.method.graph[tensor].inputs for tensor in tensors), strict=True)
        inputs = [[values[tensor] for tensor in column] for column in columns]
        # A network that this application does not train records no gradient of its weights: half the backward cost.
        network.requires_grad_(trained)
        outputs = network(*(torch.cat(column) if len(column) > 1 else column[0] for column in inputs))
        network.requires_grad_(name in self.owned)
        sizes = [len(image) for image in inputs[0]]
        values.update(zip(tensors, outputs.split(sizes) if len(sizes) > 1 else [outputs], strict=True))

    def state(self) -> dict[str, Tensor]:
        """Return weights, buffers and pools by name."""
        state = {
            f"network.{name}.{key}": value
            for name, network in self.networks.items()
            for key, value in network.state_dict().items()
        }
        for name, pool in self.pools.items():
            state.update({f"pool.{name}.{key}": value for key, value in pool.state().items()})
        return state

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over a state; a tensor that is missing, surplus or of another shape raises `RuntimeError`."""
        for name, network in self.networks.items():
            network.load_state_dict(_under(state, f"network.{name}."))
        for name, pool in self.pools.items():
            pool.load(_under(state, f"pool.{name}."))


def _under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
