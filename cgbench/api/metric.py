"""The declaration of a metric: its values, when it applies, and a pure function of translated images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING

from cgbench.api.dataset import SemanticClass
from cgbench.pixel_format import PixelFormat

if TYPE_CHECKING:
    import numpy as np

    Predict = Callable[[np.ndarray], np.ndarray]  # photos, uint8 (N, S, S, 3), to class ids, uint8 (N, S, S)

COMPAT = "compat"  # the detail of a number that is computed as a published script does it
REAL = "real_images"  # the detail that says with how many real images a set of outputs was compared
NO_REJECT = "no_reject"  # the detail of an FCN score that rejects no pixel
WIDTH = "features"  # the detail that says how many features of an image were compared
TRAINING = "training_photos"  # the detail that says how many training photos were compared in place of the outputs
ASIDES = (COMPAT, REAL, WIDTH, TRAINING, NO_REJECT)  # details that are no classes
# whose images the scores per image of a value belong to; GROUP: to groups of source images, such as patients
SOURCE, TARGET, GROUP = "source", "target", "group"


@dataclass(frozen=True)
class Value:
    """One number that a metric gives. `better` is "higher", "lower" or "" (neither); `digits` after the point;
    `minimum` and `maximum` are the ends of its scale, beyond which no interval is shown. `of` says whose images its
    scores per image belong to: "source", one for each output, "target", one for each real target image, or "group", one
    for each group of outputs, such as the slices of a patient, in the order in which groups first occur.
    `contributions` says that these are contributions to a number of the whole set, such as a distance: they give its
    error over images, and do not judge single images. `unit_of_target` says that it is in the unit of the target
    domain's numbers, which tables write beside the label."""

    name: str
    label: str
    better: str
    digits: int = 3
    minimum: float = -math.inf
    maximum: float = math.inf
    of: str = SOURCE
    contributions: bool = False
    unit_of_target: bool = False


@dataclass(frozen=True)
class StoredImages:
    """The images of translations in the numbers of their domains, where one of these is not 8-bit RGB.

    `sources` (N, H, W, C), `outputs` (N, H, W, D) and `targets` (M, H, W, D) have the type, unit and window of
    `source_pixels` and `target_pixels`. `masks`, uint8 (N, H, W), is 1 where numbers are measured; None: everywhere.
    """

    source_pixels: PixelFormat
    target_pixels: PixelFormat
    sources: np.ndarray
    outputs: np.ndarray
    targets: np.ndarray
    masks: np.ndarray | None = None


@dataclass(frozen=True)
class Translations:
    """All that a metric may look at: one method's translations of the whole test split in one direction. Its arrays are
    read-only.

    Images are uint8 (N, H, W, 3); those of other formats are shown so by the window of their domain, and `stored` has
    their numbers. Where images have sizes of their own, `sizes`, int (N, 2), are the heights and widths of the sources
    and their outputs, in the upper left corners of the arrays, and `target_sizes` those of the targets. `groups` names
    the group of each source, such as its patient; by default each is its own. `targets` are real test images of the
    target domain, row by row those of the same scene where `paired`. `labels` are the true class ids of the source
    scenes, uint8 (N, H, W), 255 ignored.
    `other_outputs` are those of a second, independent draw, for methods that draw random numbers when they translate;
    `identities` what becomes of the targets when they themselves are translated.
    `target_labels` are the class ids of the targets, where they are known. `finite` is bool (N,): whether every number
    of an output was finite before it was rounded. `way_back` takes image numbers (K,) and outputs, modified
    or not, (K, S, S, 3), and translates them back to sources. `ood` are translations of the split of that name.
    `keys` name the sources, row by row, and `target_keys` the targets; where `paired` both are the same.
    `training_photos` are photos of the target domain that are no test images, (K, S, S, 3), spread evenly over the
    training set, as many as outputs where there are so many. `real_outputs` says that every output is one of the
    targets, as in the untrained rows `real` and `shuffled`: a distance between the two sets would compare a set with
    itself.
    `target_kind` is "photo" or "labels". `scorer` maps photos to class ids of their size, `scorers` are pairs of
    such functions, one pair per scorer: the first of a pair gives pixels that are of no photo the number of classes as
    their id. `scorer_features` and
    `inception` map them to features (N, D), `lpips` two sets of photos to distances (N,).
    """

    direction: str
    keys: tuple[str, ...]
    sources: np.ndarray
    outputs: np.ndarray
    target_kind: str
    targets: np.ndarray | None = None
    paired: bool = False
    reconstructions: np.ndarray | None = None
    other_outputs: np.ndarray | None = None
    identities: np.ndarray | None = None
    labels: np.ndarray | None = None
    target_labels: np.ndarray | None = None
    finite: np.ndarray | None = None
    way_back: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    ood: Translations | None = None
    palette: tuple[SemanticClass, ...] = ()
    scorer: Callable[[np.ndarray], np.ndarray] | None = None
    scorers: Sequence[tuple[Predict, Predict]] = ()
    scorer_features: Callable[[np.ndarray], np.ndarray] | None = None
    inception: Callable[[np.ndarray], np.ndarray] | None = None
    lpips: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    target_keys: tuple[str, ...] = ()
    training_photos: np.ndarray | None = None
    real_outputs: bool = False
    stored: StoredImages | None = None
    groups: tuple[str, ...] = ()
    sizes: np.ndarray | None = None
    target_sizes: np.ndarray | None = None

    def keys_of(self, of: str) -> tuple[str, ...]:
        """Return the keys of the images, or the names of the groups, that `of`, of a `Value`, means."""
        if of == GROUP:
            return tuple(dict.fromkeys(self.groups or self.keys))
        return self.target_keys if of == TARGET and not self.paired else self.keys


@dataclass(frozen=True)
class Scores:
    """`values`: one number per declared value. `per_image`: arrays with one number for each image, or group, of the set
    that the value is declared `of`, in the order of its keys; NaN where it has no score.

    `details` are further numbers that belong to a value, named "value/detail" ("fcn_iou/road"): recorded, but no
    columns of the tables. `errors` are the standard errors of values over images, for other test images than these.
    `reasons` says of each value that is NaN why it could not be measured, in one line. `by_scorer` are the
    numbers of each scorer, where a value is their mean.
    """

    values: Mapping[str, float]
    per_image: Mapping[str, np.ndarray] = field(default_factory=dict)
    details: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    by_scorer: Mapping[str, Sequence[float]] = field(default_factory=dict)


def always_applicable(translations: Translations) -> str | None:
    """Return None: nothing keeps a metric from being computed."""
    return None


@dataclass(frozen=True)
class Metric:
    """A family of numbers computed together.

    `not_applicable(translations)` returns why the metric does not apply, or None (`unfit` is its former name).
    `version` rises whenever the arithmetic changes, and is part of the protocol of every number, as is `uses_scorer`.
    `needs` names a feature extractor with weights of its own ("inception", "lpips"): where it is absent, the records
    say so. Tables show small ranks first.
    """

    name: str
    summary: str
    values: tuple[Value, ...]
    compute: Callable[[Translations], Scores]
    not_applicable: Callable[[Translations], str | None] = always_applicable
    uses_scorer: bool = False
    needs: str = ""
    rank: int = 50
    version: int = 1
    source: str = ""
    unfit: InitVar[Callable[[Translations], str | None] | None] = None

    def __post_init__(self, unfit: Callable[[Translations], str | None] | None) -> None:
        if unfit is not None:
            object.__setattr__(self, "not_applicable", unfit)
