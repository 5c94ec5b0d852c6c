"""A training step that a GPU records once and replays: one launch instead of thousands (CUDA graphs).

What changes from step to step lies in tensors that the recording reads: the batch, the rate, and all that is drawn on
the host. Losses, weights, moments and pools stay where they are.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from cgbench.benchmarks.runtime.determinism import reason_of
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model
from cgbench.methods.blocks.static_inputs import StaticInputs

Losses = dict[str, Tensor]
WARMUP_STEPS = 3  # steps as usual before the recording, in which libraries choose and optimizers make their moments


class Recorder(Protocol):
    """What records work on a device."""

    def rehearse(self, call: Callable[[], None]) -> None:
        """Call it as usual, where the recording will take place."""

    def record(self, call: Callable[[], None]) -> Callable[[], None]:
        """Record the device's work of a call without doing it; return what does it."""


class CudaGraphs:
    """Records on a stream of its own, as torch's notes on CUDA graphs ask for."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def rehearse(self, call: Callable[[], None]) -> None:
        """Call it on that stream, after what was begun before and before what comes."""
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
                f"cuda_graphs=true: a step cannot be recorded ({reason_of(error)}): leave it out"
            ) from None
        return graph.replay


class CapturedStep:
    """`move(batch, step)` of a model, recorded after a few rehearsals, which count as steps like all others.

    Batches must have one shape. `recorder` is the device's.
    """

    def __init__(self, model: Model, move: Callable[[dict[str, Tensor], int], Losses], recorder: Recorder) -> None:
        self.model, self.move, self.recorder = model, move, recorder
        self.held = StaticInputs(model.draw)
        self.rehearsed = 0
        self.batch: dict[str, Tensor] = {}
        self.losses: Losses = {}
        self.replay: Callable[[], None] | None = None

    def __call__(self, batch: dict[str, Tensor], step: int) -> Losses:
        """Take a step and return its losses, in tensors that the next step writes anew."""
        self.held.renew(step)
        if self.rehearsed < WARMUP_STEPS:
            self.rehearsed += 1
            self.recorder.rehearse(lambda: self._move(batch, step))
            return self.losses
        if self.replay is None:
            self.batch = {name: tensor.clone() for name, tensor in batch.items()}
            self.replay = self.recorder.record(lambda: self._move(self.batch, step))
        for name, tensor in self.batch.items():
            tensor.copy_(batch[name])
        self.replay()
        return self.losses

    def _move(self, batch: dict[str, Tensor], step: int) -> None:
        self.model.held = self.held
        try:
            self.losses = self.move(batch, step)
        finally:
            self.model.held = None


def ensure_capturable(graphs: bool, device: str) -> None:
    """Raise `CgbenchError` where recorded steps are asked for on a device that records none."""
    if graphs and not device.startswith("cuda"):
        raise CgbenchError(f"cuda_graphs=true needs an NVIDIA GPU, and the device is {device}: leave it out")
