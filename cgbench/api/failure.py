"""The declaration of a failure mode: its detector, its threshold, how that is set, and its justification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import TYPE_CHECKING

from cgbench.api.metric import Translations, always_applicable

if TYPE_CHECKING:
    import numpy as np

HEALTHY_RATE = 0.05  # a threshold that is set calls at most this share of slightly disturbed real images
CONTROL_RATE = 0.8  # and at least this share of the control, else the failure cannot be judged


@dataclass(frozen=True)
class Detection:
    """What a detector saw. `evidence` is float (N,), one number per image; NaN where an image cannot be judged.

    `detail` says it in words ("vegetation → building in 83 % of its pixels"). `keys` name the images where they are
    others than those of the translations.
    """

    evidence: np.ndarray
    detail: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Control:
    """The positive control of a detector: outputs that show the failure for certain, made of real images.

    `outputs(translations)` is given translations whose `outputs` are real images of the target domain, those of the
    source scenes where these are known, and returns the failed ones, uint8 (N, S, S, 3). `description` names them
    ("real images of other scenes").
    """

    description: str
    outputs: Callable[[Translations], np.ndarray]


@dataclass(frozen=True)
class Failure:
    """One way to fail.

    An image shows it where its evidence is `threshold` or more (`above`), or `threshold` or less; a trial has it where
    at least `share` of its judged images show it. Without a `control` the threshold is fixed. With one it is set for
    each dataset when a run is evaluated: to `threshold`, or to a stricter value that slightly disturbed real images do
    not reach. Where that value misses the control, the failure cannot be judged on this dataset.

    `evidence_definition` says what the evidence is, `justified` on which planted and healthy cases the threshold was
    set. `not_applicable(translations)` returns why the failure cannot be looked for, or None (`unfit` is its former
    name). `explained_by` names failures that bring this one with them: where a trial has one of those, this one is
    recorded as its consequence. `version` rises whenever the arithmetic changes. Tables show small ranks first.
    """

    name: str
    label: str
    summary: str
    evidence_definition: str
    detect: Callable[[Translations], Detection]
    threshold: float
    above: bool
    share: float
    justified: str
    not_applicable: Callable[[Translations], str | None] = always_applicable
    explained_by: tuple[str, ...] = ()
    rank: int = 50
    version: int = 1
    source: str = ""
    control: Control | None = None
    unfit: InitVar[Callable[[Translations], str | None] | None] = None

    def __post_init__(self, unfit: Callable[[Translations], str | None] | None) -> None:
        if unfit is not None:
            object.__setattr__(self, "not_applicable", unfit)

    def shows(self, evidence: np.ndarray) -> np.ndarray:
        """Return bool (N,): which images show the failure; those that cannot be judged do not."""
        import numpy as np

        evidence = np.nan_to_num(evidence, nan=-np.inf if self.above else np.inf)
        return evidence >= self.threshold if self.above else evidence <= self.threshold
