"""The fixed vocabularies of declarations and records: directions, splits, roles, states, weights and analyses, with the
ignored class id and the largest number of methods in a run.

A member is a string: it equals its value, hashes like it, and is written to JSON and text as it.
"""

from enum import StrEnum

IGNORE = 255  # class id of pixels that no score counts
MAX_METHODS = 1_000  # of one run
SOURCES = ("real_a", "real_b", "labels_a", "labels_b")  # what the data gives; the labels only where they are read


class Direction(StrEnum):
    """The direction of a translation, from one domain to the other."""

    A_TO_B = "AtoB"
    B_TO_A = "BtoA"


DIRECTIONS = tuple(direction.value for direction in Direction)  # plain text, for columns and for options


class Split(StrEnum):
    """A part of a dataset; see `Dataset` for what each one holds."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    PAIRS = "pairs"
    OOD = "ood"


class Role(StrEnum):
    """The place of a method in tables: compared with the others, a bound that no training reaches, or the outputs of
    another program."""

    COMPARED = ""
    FLOOR = "floor"
    CEILING = "ceiling"
    SUPERVISED = "supervised"
    EXTERNAL = "external"


class TrialState(StrEnum):
    """The state of a trial, as `status.json` records it; that file is absent where the trial has not begun."""

    NOT_BEGUN = ""
    RUNNING = "running"
    DONE = "done"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class FailureState(StrEnum):
    """The outcome of looking for one failure mode in one direction of a trial."""

    FOUND = "found"
    NOT_FOUND = "not found"
    EXPLAINED = "explained"  # a consequence of another failure mode
    UNJUDGED = "cannot be judged"  # on this dataset the detector does not tell sound images from failed ones
    NOT_APPLICABLE = "not applicable"
    FAILED = "failed"  # the detector raised


class Weights(StrEnum):
    """Weights that are evaluated beside the last ones of a training: their moving average, or those of an earlier
    checkpoint."""

    AVERAGED = "ema"
    EARLIER = "checkpoint"


class Analysis(StrEnum):
    """The analysis of differences between methods: a band over independent seeds that shares their variances, Welch's t
    with Holm's correction, or Student's t paired by seed with the same."""

    BAND = "band"
    WELCH = "welch"
    PAIRED = "paired"
