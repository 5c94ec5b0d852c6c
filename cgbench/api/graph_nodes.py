"""The nodes of a method's graph: networks, and the operations that define named tensors. Values, torch-free."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cgbench.errors import CgbenchError, did_you_mean

INITS = ("normal", "xavier", "xavier_uniform", "kaiming")


@dataclass(frozen=True)
class Network:
    """A network: `build(config)` returns a `torch.nn.Module` with uninitialised or default weights.

    A builder that reads or writes images has the arguments `source` and `target`, their domains, and takes the numbers
    of channels from `config.channels`: `Network(partial(generator, source="a", target="b"))`. "ab" stands for stacked
    images of A and B. By these arguments a method is known to need domains of equal channels; without them nothing is.

    `per_sample` says that each output depends on its own input alone (instance norm yes, batch norm no), so several
    applications may go through it as one batch without changing a single result. `init` is how its weights are drawn:
    "normal" (spread `config.init_std`), "xavier" or "xavier_uniform" (gain `config.init_std`) or "kaiming". `bias` is
    where biases start, None for torch's own uniform draw from ±1 / √(fan in). A `frozen` network comes with its weights
    and is never trained: `build(config, scorer)` also gets the dataset's scorer, a module, or None; `missing(config)`
    returns why it cannot be built, or None.
    """

    build: Callable[..., Any]
    per_sample: bool = True
    init: str = "normal"
    bias: float | None = 0.0
    frozen: bool = False
    missing: Callable[[Any], str | None] | None = None

    def __post_init__(self) -> None:
        if self.init not in INITS:
            raise CgbenchError(f"unknown initial weights '{self.init}': {did_you_mean(self.init, INITS)}")

    @property
    def source(self) -> str:
        """The domains of the images that it reads, "a", "b" or both; "" where it reads none or does not say."""
        return _domains(self.build, "source")

    @property
    def target(self) -> str:
        """The domain of the images that it writes; "" where it writes none or does not say."""
        return _domains(self.build, "target")


def _domains(build: Callable[..., Any], argument: str) -> str:
    """Return the value of a builder's argument, fixed or by default, where it consists of the letters of domains."""
    try:
        parameter = inspect.signature(build).parameters.get(argument)
    except (TypeError, ValueError):  # a builder without a signature, such as one in C
        return ""
    value = parameter.default if parameter else ""
    return value if isinstance(value, str) and set(value) <= {"a", "b"} else ""


@dataclass(frozen=True)
class Apply:
    """`network(*inputs)`: one application of a network to named tensors; of its method `part` where one is named.

    A network may return a tuple of tensors, the batch first in each: then the named tensor is that tuple.
    """

    network: str
    inputs: tuple[str, ...]
    part: str = ""

    def __init__(self, network: str, *inputs: str, part: str = "") -> None:
        object.__setattr__(self, "network", network)
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "part", part)


@dataclass(frozen=True)
class Compute:
    """`function(*inputs)`: a fixed function of named tensors. `detached` says that no gradient passes through it."""

    function: Callable[..., Any]
    inputs: tuple[str, ...]
    detached: bool = False

    def __init__(self, function: Callable[..., Any], *inputs: str, detached: bool = False) -> None:
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "detached", detached)


@dataclass(frozen=True)
class ImagePool:
    """The image pool (Shrivastava et al. 2017; 50 images in CycleGAN §4) fed by one tensor; passes no gradient."""

    inputs: tuple[str, ...]
    detached: bool = True

    def __init__(self, tensor: str) -> None:
        object.__setattr__(self, "inputs", (tensor,))


@dataclass(frozen=True)
class Sample:
    """`function(rng, *inputs)`: random numbers, the batch first; passes no gradient. Of the inputs it reads shapes,
    types and devices alone.

    In training drawn anew each step, from a NumPy generator of (seed, tensor, step). In translation every test image
    has a generator of its own, so that no output depends on which images share its batch.
    """

    function: Callable[..., Any]
    inputs: tuple[str, ...]
    detached: bool = True

    def __init__(self, function: Callable[..., Any], *inputs: str) -> None:
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "inputs", inputs)


@dataclass(frozen=True)
class Precomputed:
    """`function(*inputs)` over the first `batches` training batches (one epoch at most), their results one after
    another; computed once before training. For statistics of the data; passes no gradient."""

    function: Callable[..., Any]
    inputs: tuple[str, ...]
    batches: int
    detached: bool = True

    def __init__(self, function: Callable[..., Any], *inputs: str, batches: int) -> None:
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "batches", batches)


@dataclass(frozen=True)
class LatentSearch:
    """The value of the drawn tensor `start` from which `result` comes closest to `target` in mean square.

    Found by `config.search_steps` steps of Adam from what was drawn, each image by itself; passes no gradient.
    """

    start: str
    result: str
    target: str
    detached: bool = True

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tensors it needs."""
        return self.start, self.result, self.target


Node = Apply | Compute | ImagePool | Sample | Precomputed | LatentSearch
