"""Published tables as data: every value with its sources.

CycleGAN (Zhu et al. 2017, arXiv 1703.10593): Table 1 on maps, Tables 2 to 5 on Cityscapes. Table "cut": CUT (Park et
al. 2020, arXiv 2007.15651), Table 1, on Cityscapes. A value whose source is RECALLED was not confirmed against the
paper, and is marked wherever it is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

RECALLED = "recalled"
NOTES = "secondary public notes"
ISSUE = "a GitHub issue"
SLIDES = "slides with the paper's Table 1"
REQUOTED = "the tables of clean-fid and of the DCLGAN paper"
DCLGAN = "the DCLGAN paper"

TO_PHOTO = "labels→photo"
TO_LABELS = "photo→labels"


@dataclass(frozen=True)
class Published:
    """A published value and its sources. `alternative` is the value of another source for the same cell."""

    value: float
    sources: tuple[str, ...]
    alternative: "Published | None" = None

    @property
    def confirmed(self) -> bool:
        """Whether the value was read in a source."""
        return RECALLED not in self.sources


@dataclass(frozen=True)
class Score:
    """A column. `metric` × `scale` is our number for it; an empty metric marks a column that is quoted only."""

    name: str
    metric: str
    digits: int = 2
    scale: int = 1


@dataclass(frozen=True)
class PaperRow:
    """A row: the paper's name, our method (None where cgbench has none), and one value per column."""

    name: str
    method: str | None
    values: tuple[Published, ...]


@dataclass(frozen=True)
class PaperTable:
    """A published table. `direction` is that of the translations, `protocol` how the paper's numbers were measured."""

    name: str
    source: str
    title: str
    direction: str
    protocol: str
    scores: tuple[Score, ...]
    rows: tuple[PaperRow, ...]
    notes: tuple[str, ...] = ()


def _row(name: str, method: str, values: Sequence[float], *sources: str) -> PaperRow:
    return PaperRow(name, method, tuple(Published(value, sources) for value in values))


FCN_SCORES = (Score("per-pixel", "fcn_pixel"), Score("per-class", "fcn_class"), Score("IoU", "fcn_iou"))
LABEL_SCORES = (Score("per-pixel", "label_pixel"), Score("per-class", "label_class"), Score("IoU", "label_iou"))
FCN_PROTOCOL = "FCN-8s on translations for the 500 validation images of Cityscapes, resized to 2048×1024"
LABEL_PROTOCOL = (
    "label images made from the 500 validation photos of Cityscapes, read as classes and compared with the true "
    "labels; the script was not released"
)
PAIRS = ("pix2pix is trained on pairs, which the other methods never see.",)
CYCLEGAN_PAPER = "CycleGAN (Zhu et al. 2017, arXiv 1703.10593), Table"

TABLE_2 = PaperTable(
    "2", f"{CYCLEGAN_PAPER} 2", "FCN scores of different methods", TO_PHOTO, FCN_PROTOCOL, FCN_SCORES,
    (
        _row("CoGAN", "cogan", (0.40, 0.10, 0.06), NOTES),
        _row("BiGAN/ALI", "bigan", (0.19, 0.06, 0.02), RECALLED),
        _row("SimGAN", "simgan", (0.20, 0.10, 0.04), RECALLED),
        _row("Feature loss + GAN", "feature_loss_gan", (0.06, 0.04, 0.01), RECALLED),
        _row("CycleGAN", "cyclegan", (0.52, 0.17, 0.11), NOTES),
        _row("pix2pix", "pix2pix", (0.71, 0.25, 0.18), NOTES),
    ),
    PAIRS,
)  # fmt: skip
TABLE_3 = PaperTable(
    "3", f"{CYCLEGAN_PAPER} 3", "classification of different methods", TO_LABELS, LABEL_PROTOCOL, LABEL_SCORES,
    (
        _row("CoGAN", "cogan", (0.45, 0.11, 0.08), NOTES),
        _row("BiGAN/ALI", "bigan", (0.41, 0.13, 0.07), NOTES),
        _row("SimGAN", "simgan", (0.47, 0.11, 0.07), NOTES),
        _row("Feature loss + GAN", "feature_loss_gan", (0.50, 0.10, 0.06), NOTES),
        _row("CycleGAN", "cyclegan", (0.58, 0.22, 0.16), NOTES, ISSUE),
        _row("pix2pix", "pix2pix", (0.85, 0.40, 0.32), NOTES),
    ),
    PAIRS,
)  # fmt: skip
TABLE_4 = PaperTable(
    "4", f"{CYCLEGAN_PAPER} 4", "FCN scores of variants", TO_PHOTO, FCN_PROTOCOL, FCN_SCORES,
    (
        _row("Cycle alone", "cycle_only", (0.22, 0.07, 0.02), NOTES),
        _row("GAN alone", "gan_only", (0.51, 0.11, 0.08), NOTES),
        _row("GAN + forward cycle", "gan_forward_cycle", (0.55, 0.18, 0.12), NOTES),
        _row("GAN + backward cycle", "gan_backward_cycle", (0.39, 0.14, 0.06), RECALLED),
        _row("CycleGAN", "cyclegan", (0.52, 0.17, 0.11), NOTES),
    ),
)  # fmt: skip
TABLE_5 = PaperTable(
    "5", f"{CYCLEGAN_PAPER} 5", "classification of variants", TO_LABELS, LABEL_PROTOCOL, LABEL_SCORES,
    (
        _row("Cycle alone", "cycle_only", (0.10, 0.05, 0.02), RECALLED),
        _row("GAN alone", "gan_only", (0.53, 0.11, 0.07), NOTES),
        _row("GAN + forward cycle", "gan_forward_cycle", (0.49, 0.11, 0.07), RECALLED),
        _row("GAN + backward cycle", "gan_backward_cycle", (0.01, 0.06, 0.01), NOTES),
        _row("CycleGAN", "cyclegan", (0.58, 0.22, 0.16), NOTES),
    ),
)  # fmt: skip


def _recalled(value: float, alternative: float | None = None) -> Published:
    return Published(value, (RECALLED,), None if alternative is None else Published(alternative, (DCLGAN,)))


def _cut(
    name: str, method: str | None, scores: Sequence[float], cityscapes: float | Published, others: Sequence[float],
    seconds: float | Published, memory: float,
) -> PaperRow:  # fmt: skip
    """Return a row: scores and memory are recalled, FIDs and seconds re-quoted unless they are `Published` values."""
    fids = [value if isinstance(value, Published) else Published(value, (REQUOTED,)) for value in (cityscapes, *others)]
    speed = seconds if isinstance(seconds, Published) else Published(seconds, (REQUOTED,))
    return PaperRow(name, method, (*map(_recalled, scores), *fids, speed, _recalled(memory)))


CUT_SCORES = (
    Score("mAP", "fcn_iou", 1, 100), Score("pixAcc", "fcn_pixel", 1, 100), Score("clsAcc", "fcn_class", 1, 100),
    Score("FID", "fid", 1), Score("FID Cat→Dog", "", 1), Score("FID Horse→Zebra", "", 1), Score("s/it", ""),
    Score("GB", ""),
)  # fmt: skip
CUT_TABLE = PaperTable(
    "cut", "CUT (Park et al. 2020, arXiv 2007.15651), Table 1", "comparison with baselines", TO_PHOTO,
    "DRN-D-22 trained on Cityscapes photos of 256×128 (recalled, not confirmed), and FID against the real validation "
    "photos; translations of 256×256 for the 500 validation label maps",
    CUT_SCORES,
    (
        _cut("CycleGAN", "cyclegan", (20.4, 55.9, 25.4), _recalled(76.3), (85.9, 77.2), 0.40, 4.81),
        _cut("MUNIT", "munit", (16.9, 56.5, 22.5), 91.4, (104.4, 133.8), 0.39, 3.84),
        _cut("DRIT", None, (17.0, 58.7, 22.2), 155.3, (123.4, 140.0), 0.70, 4.85),
        _cut("Distance", "distancegan", (8.4, 42.2, 12.6), _recalled(81.8, 85.8), (155.3, 72.0), 0.15, 2.72),
        _cut("SelfDistance", "distancegan_self", (15.3, 56.9, 20.6), 78.8, (144.4, 80.8), 0.16, 2.72),
        _cut("GCGAN", "gcgan", (21.2, 63.2, 26.6), 105.2, (96.6, 86.7), _recalled(0.26, 0.62), 2.67),
        _cut("CUT", "cut", (24.7, 68.8, 30.7), 56.4, (76.2, 45.5), 0.24, 3.33),
        _cut("FastCUT", "fastcut", (19.1, 59.9, 24.3), 68.8, (94.0, 73.4), 0.15, 2.25),
    ),
    (
        "mAP, pixAcc, clsAcc: the paper's script prints the mean IoU × 100 under the name mAP; ours are 100 × fcn_iou, "
        "100 × fcn_pixel and 100 × fcn_class.",
        "FIDs of other data sets, seconds per iteration (s/it) and GPU memory (GB) are quoted only: those data are not "
        "in this run, and speed and memory hold for the authors' machine.",
    ),
)  # fmt: skip

TABLES = {table.name: table for table in (TABLE_2, TABLE_3, TABLE_4, TABLE_5, CUT_TABLE)}


@dataclass(frozen=True)
class Judged:
    """A cell of Table 1: the percentage of translated images that participants labelled real, with its ± as printed."""

    value: float
    error: float


# CycleGAN, Table 1: maps↔aerial photos, 256×256 pixels, 25 participants per method. By our method, then by the kind of
# the target images; source SLIDES.
JUDGED_REAL = {
    "cogan": {"photo": Judged(0.6, 0.5), "labels": Judged(0.9, 0.5)},
    "bigan": {"photo": Judged(2.1, 1.0), "labels": Judged(1.9, 0.9)},
    "simgan": {"photo": Judged(0.7, 0.5), "labels": Judged(2.6, 1.1)},
    "feature_loss_gan": {"photo": Judged(1.2, 0.6), "labels": Judged(0.3, 0.2)},
    "cyclegan": {"photo": Judged(26.8, 2.8), "labels": Judged(23.2, 3.4)},
}
