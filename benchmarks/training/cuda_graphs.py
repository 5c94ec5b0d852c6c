"""CUDA graphs: a training step that a GPU captures once and replays, one launch instead of thousands.

What changes from step to step is in static tensors that the graph reads: the batch, the learning rate, and all random
numbers of the host. Losses, weights, moments and pools keep their memory.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from cgbench.benchmarks.runtime.determinism import describe_error
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model
from cgbench.methods.blocks.static_inputs import StaticInputs

Losses = dict[str, Tensor]
WARMUP_STEPS = 3  # uncaptured steps in which libraries choose algorithms and optimizers allocate their moments


class Recorder(Protocol):
    """A recorder of work on a device."""

    def warm_up(self, call: Callable[[], None]) -> None:
        """Run a call normally, on the stream of the later recording."""

    def record(self, call: Callable[[], None]) -> Callable[[], None]:
        """Record the device's work of a call without executing it; return a function that executes it."""


class CudaGraphs:
    """A recorder with a stream of its own, as torch's notes on CUDA graphs require."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def warm_up(self, call: Callable[[], None]) -> None:
        """Run a call on that stream, after the work queued before and before the work queued later."""
        present = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(present)
        with torch.cuda.stream(self.stream):
            call()
        present.wait_stream(self.stream)

    def record(self, call: Callable[[], None]) -> Callable[[], None]:
        """Record a call; one that waits for the device, or fetches from the host, raises `CgbenchError`."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.device(self.device), torch.cuda.graph(graph, stream=self.stream):
                call()
        except RuntimeError as error:
            raise CgbenchError(
                f"cuda_graphs=true: a step cannot be recorded ({describe_error(error)}): leave it out"
            ) from None
        return graph.replay


class CapturedStep:
    """`move(batch, step)` of a model, captured after a few warm-up steps, which count as training steps.

    Batches must have one shape. `recorder` is the device's.
    """

    def __init__(self, model: Model, move: Callable[[dict[str, Tensor], int], Losses], recorder: Recorder) -> None:
        self.model, self.move, self.recorder = model, move, recorder
        self.static_inputs = StaticInputs(model.draw)
        self.warm_up_steps = 0
        self.batch: dict[str, Tensor] = {}
        self.losses: Losses = {}
        self.replay: Callable[[], None] | None = None

    def __call__(self, batch: dict[str, Tensor], step: int) -> Losses:
        """Take a step and return its losses, in tensors that the next step writes anew."""
        self.static_inputs.redraw(step)
        if self.warm_up_steps < WARMUP_STEPS:
            self.warm_up_steps += 1
            self.recorder.warm_up(lambda: self._move(batch, step))
            return self.losses
        if self.replay is None:
            self.batch = {name: tensor.clone() for name, tensor in batch.items()}
            self.replay = self.recorder.record(lambda: self._move(self.batch, step))
        for name, tensor in self.batch.items():
            tensor.copy_(batch[name])
        self.replay()
        return self.losses

    def _move(self, batch: dict[str, Tensor], step: int) -> None:
        self.model.static_inputs = self.static_inputs
        try:
            self.losses = self.move(batch, step)
        finally:
            self.model.static_inputs = None


def ensure_capturable(graphs: bool, device: str) -> None:
    """Raise `CgbenchError` where CUDA graphs are set on a device that has none."""
    if graphs and not device.startswith("cuda"):
        raise CgbenchError(f"cuda_graphs=true needs an NVIDIA GPU, and the device is {device}: leave it out")
