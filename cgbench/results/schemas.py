"""The schemas of a run's files: the type and the bounds of every field that is read.

Fields that a schema does not name are allowed, except in rows of numbers. Types are strict: true is no number, text is
none. `cgbench.results.record_files` reads the files with them; importing this module imports msgspec.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from cgbench.api.names import MAX_METHODS
from cgbench.config import FIELDS
from cgbench.results.dataset_schema import Dataset
from cgbench.results.field_types import (
    Direction,
    Name,
    Natural,
    NonNegative,
    Number,
    Scalar,
    Share,
    Text,
    ensure_measured,
)
from cgbench.seeds import MAX_SEEDS

MOST_TRIALS = 100_000  # methods times seeds of a run


class RunFile(Struct):
    """`run.json`."""

    name: Name
    command: Text
    methods: Annotated[list[Name], Meta(max_length=MAX_METHODS)]
    seeds: Annotated[list[Natural], Meta(max_length=MAX_SEEDS)]
    preset: Text
    dataset: Name
    created: Text

    def __post_init__(self) -> None:
        for name, values in (("methods", self.methods), ("seeds", self.seeds)):
            if len(set(values)) < len(values):
                raise ValueError(f"'{name}' names one of them twice")
        if len(self.methods) * len(self.seeds) > MOST_TRIALS:
            raise ValueError(f"{len(self.methods)} methods and {len(self.seeds)} seeds, at most {MOST_TRIALS} trials")


class StatusFile(Struct):
    """`status.json`."""

    state: Literal["", "running", "done", "diverged", "failed", "interrupted"]
    step: Natural = 0
    seconds: NonNegative | None = None
    memory: Natural | None = None
    reason: Text = ""
    found: Natural = 0
    evaluation: Text = ""


class Term(Struct):
    """A loss term of a method."""

    name: Name
    weight: Number
    player: Text = ""
    function: Text = ""
    reads: list[Text] = []


class Method(Struct):
    """The method of `trial.json`."""

    name: Name
    parent: Text
    summary: Text = ""
    source: Text = ""
    changes: list[Text] = []
    role: Literal["", "floor", "ceiling", "supervised", "external"] = ""
    networks: dict[str, Text] = {}
    tensors: dict[str, Text] = {}
    players: dict[str, list[Text]] = {}
    terms: list[Term] = []
    translates: dict[str, Text] = {}
    reconstructs: dict[str, Text] = {}
    code: dict[str, Text] = {}


class Extension(Struct):
    """An entry of `extended` in `trial.json`."""

    start: Natural = field(name="from")
    to: Natural = 0
    schedule: Text = ""
    digest: Text = ""


class ExternalOutputs(Struct):
    """`external` in `trial.json`: outputs of another program; `not_measured` holds the reasons by value."""

    direction: Direction
    seed: Natural | None
    training: Text
    origin: Text
    digest: Text
    not_measured: dict[str, Text]


class TrialFile(Struct):
    """`trial.json`."""

    method: Method
    dataset: Dataset
    seed: Natural
    steps: Natural
    config: dict[str, Scalar]
    weights: dict[str, Number]
    origins: dict[str, Text]
    digest: Text
    preset: Text = ""
    data: dict[str, Text] = {}
    parameters: dict[str, Natural] = {}
    versions: dict[str, Text] = {}
    git: Text = ""
    device: Text = ""
    hardware: dict[str, Scalar] = {}
    precision: Text = ""
    deterministic: bool = False
    extended: list[Extension] = []
    continued: list[dict[str, Any]] = []
    external: ExternalOutputs | None = None

    def __post_init__(self) -> None:
        for name, value in self.config.items():
            kind = type(FIELDS[name].default) if name in FIELDS else type(value)
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise ValueError(f"the setting '{name}' must be a {kind.__name__}, not {value!r}"[:200])


class MetricRow(Struct, forbid_unknown_fields=True):
    """A line of `metrics.jsonl` and `history.jsonl`. The value may be NaN or infinite."""

    direction: Direction
    step: Natural
    metric: Name
    value: float
    n: Natural
    protocol: Text
    reason: Text = ""
    split: Literal["test", "val"] = "test"
    by_scorer: Annotated[list[float], Meta(max_length=100)] = []  # the numbers whose mean is the value
    error_images: NonNegative | None = None

    def __post_init__(self) -> None:
        for value in (self.value, *self.by_scorer):
            ensure_measured(self.metric, value)

    @property
    def identity(self) -> tuple[str | int, ...]:
        return self.metric, self.direction, self.split, self.step, self.protocol


class AlternativeRow(MetricRow, forbid_unknown_fields=True, kw_only=True):
    """A line of `alternatives.jsonl`: a number of the test images by other weights than the last ones."""

    weights: Literal["ema", "checkpoint"]

    @property
    def identity(self) -> tuple[str | int, ...]:
        return self.weights, self.metric, self.direction, self.split, self.step, self.protocol


class ScoreRow(Struct):
    """A line of `image_scores.jsonl`. The value may be NaN or infinite."""

    direction: Direction
    key: Name
    metric: Name
    value: float
    of: Literal["source", "target", "group"] = "source"  # of a group: `key` is its name
    group: Text = ""  # of images that are not independent; empty where the image stands for itself

    def __post_init__(self) -> None:
        ensure_measured(self.metric, self.value)

    @property
    def identity(self) -> tuple[str | int, ...]:
        return self.metric, self.direction, self.key


class StepRow(Struct):
    """A line of `steps.jsonl`. The losses may be NaN or infinite."""

    step: Natural
    losses: dict[str, float]
    learning_rate: NonNegative = 0.0
    seconds: NonNegative = 0.0

    def __post_init__(self) -> None:
        for name, loss in self.losses.items():
            ensure_measured(name, loss)

    @property
    def identity(self) -> tuple[str | int, ...]:
        return (self.step,)


class CalibrationEntry(Struct):
    """How the threshold of a failure was set: the declared one, the images, and the rates at the one that was set. A
    `reason` says why the declared one was kept unchecked."""

    digest: Text = ""
    reason: Text = ""
    origin: Text = ""
    disturbances: Text = ""
    declared: Number | None = None
    control: Text = ""
    control_origin: Text = ""
    healthy_rate: Share | None = None
    healthy_images: Natural | None = None
    worst_disturbance: Text = ""
    worst_rate: Share | None = None
    control_rate: Share | None = None
    control_images: Natural | None = None

    def __post_init__(self) -> None:
        judged = ("declared", "healthy_rate", "healthy_images", "worst_rate", "control_rate", "control_images")
        absent = [name for name in judged if getattr(self, name) is None]
        if self.healthy_rate is not None and absent:
            raise ValueError(f"a calibration with rates needs '{absent[0]}'")


class FailureEntry(Struct):
    """The record of one failure mode in one direction."""

    state: Literal["found", "not found", "explained", "cannot be judged", "not applicable", "failed"]
    label: Text
    summary: Text
    evidence_definition: Text
    threshold: Number
    above: bool
    share: Share
    version: Scalar = None
    rate: Share | None = None
    images: Natural | None = None
    evidence: Number | None = None
    detail: Text | None = ""
    reason: Text = ""
    of: Literal["source", "target", "ood"] | None = None  # the images that `flagged` names; none in earlier records
    flagged: list[Name] = []
    explained_by: list[Name] | None = None
    calibration: CalibrationEntry | None = None  # none for a fixed threshold, and in earlier records

    def __post_init__(self) -> None:
        judged = self.state in ("found", "not found", "explained")
        for name, given in (("rate", self.rate is not None), ("images", self.images is not None)):
            if judged and not given:
                raise ValueError(f"the state '{self.state}' needs '{name}'")
        if self.state == "cannot be judged" and not self.reason:
            raise ValueError("the state 'cannot be judged' needs 'reason'")
        if self.state == "explained" and not self.explained_by:
            raise ValueError("the state 'explained' needs 'explained_by'")


class CostFile(Struct):
    """`cost.json`."""

    images_per_second: dict[Direction, NonNegative]


FailuresFile = dict[Direction, dict[Name, FailureEntry]]
ProtocolsFile = dict[Name, dict[str, Scalar]]
