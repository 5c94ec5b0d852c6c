"""`phantoms`: axial slices of procedural trunks in MR and CT, in the units of medicine, with exact tissue labels.

Patient k of a split is drawn from the stream (SEED, "phantoms", split, k) alone, in coordinates from -1 to 1, so that
the anatomy is the same at any resolution. The two domains show different patients: those with a CT are larger, with
more fat, larger livers and more lesions. A translator without a constraint on the source tends to change its anatomy,
which the labels reveal: the subject of shape consistency (Zhang et al. 2018).
"""

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np

from cgbench.api.dataset import Dataset, Domain, Item
from cgbench.api.names import Split
from cgbench.api.registry import DATASETS
from cgbench.datasets.trunk_phantoms.anatomy import POPULATIONS, Anatomy, draw_anatomy
from cgbench.datasets.trunk_phantoms.materials import PALETTE
from cgbench.datasets.trunk_phantoms.rendering import body, ct_slice, mr_slice, tissues
from cgbench.digests import source_digest
from cgbench.errors import CgbenchError
from cgbench.pixel_format import PixelFormat
from cgbench.seeds import generator

SEED = 1  # of the dataset; a new one would make another dataset
# the modules that decide the numbers
IMAGE_MODULES = (
    "cgbench.datasets.phantoms", "cgbench.datasets.trunk_phantoms", "cgbench.seeds", "cgbench.pixel_format",
)  # fmt: skip
TRAIN, TEST, VAL = 50, 10, 6  # patients of each population
SLICES, SPACING = 8, 0.14  # of a patient; about 3 cm from one to the next
# the windows hold the numbers of all materials; pictures show them whole, as the detector of hidden information needs
CT = PixelFormat(1, "int16", (-1024.0, 1024.0), "HU")
MR = PixelFormat(1, "uint16", (0.0, 1600.0))


@lru_cache(maxsize=4)  # slices of a patient are asked for one after another
def patient(split: str, index: int) -> Anatomy:
    """Return patient `index` of "train-mr", "train-ct", "test-mr" or "test-ct", or of the same of "val"."""
    return draw_anatomy(POPULATIONS[split.rpartition("-")[2]], generator(SEED, "phantoms", split, index))


def height(number: int) -> float:
    """Return the z of slice `number`, from 0, the nearest to the head."""
    return (number - (SLICES - 1) / 2) * SPACING


def image(modality: str, split: str, index: int, number: int, side: int) -> np.ndarray:
    """Return a slice of a patient.

    Args:
        modality: "mr" or "ct".
        split: The split and population of the patient, such as "train-mr"; both are rendered in both modalities.
        index: The patient, from 0.
        number: The slice, from 0.
        side: The side in pixels.

    Returns:
        (side, side, 1), in MR uint16 in arbitrary units, in CT int16 in HU.
    """
    stream = partial(generator, SEED, "phantoms", split, index, modality)
    render = mr_slice if modality == "mr" else ct_slice
    return render(patient(split, index), height(number), side, stream(), stream("sensor", number, side))


def labels(split: str, index: int, number: int, side: int) -> np.ndarray:
    """Return the class ids of a slice, uint8 (side, side)."""
    return tissues(patient(split, index), height(number), side)


def mask(split: str, index: int, number: int, side: int) -> np.ndarray:
    """Return where a slice shows the patient, uint8 (side, side): 1 in the body, else 0."""
    return body(patient(split, index), height(number), side)


@DATASETS.register
class Phantoms(Dataset):
    """Axial slices of procedural trunks in MR (A), in arbitrary units, and in CT (B), in Hounsfield units. The two
    training sets show different patients, from different populations; half of the test patients come from each
    population, and all are rendered in both modalities, so that the ground truth is known."""

    name = "phantoms"
    summary = "drawn MR and CT slices of ellipsoid patients, in HU, with exact labels; built in"
    licence = "Apache-2.0"
    source = "made by cgbench"
    domains = (Domain("MR", pixels=MR), Domain("CT", pixels=CT))
    palette = PALETTE
    paired_test = True
    pair_rule = "by patient and slice: each is rendered in both modalities"
    splits = (Split.TRAIN, Split.VAL, Split.TEST, Split.PAIRS)
    split_rule = (
        f"{SLICES} slices of each of {TRAIN} patients of one population in MR, and of {TRAIN} of another, with larger "
        "bodies and livers, in CT"
    )
    image_groups = "patient"
    # dose is planned on CT numbers, so their error judges a synthetic CT; MR units depend on the gain and the coil of a
    # scan, which no CT shows, so that structure judges a synthetic MR
    primary = {"AtoB": "mae", "BtoA": "stored_ssim"}

    def group(self, key: str) -> str:
        """Return the patient of an image."""
        return key.partition("/")[0]

    def identity(self) -> str | None:
        """Return the digest of the modules that render the images."""
        return source_digest(*IMAGE_MODULES)

    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the slices of a domain, patient by patient, with their labels and masks; training hands labels only to
        methods that declare them."""
        if split not in self.splits:
            raise CgbenchError(f"phantoms: unknown split '{split}': use {', '.join(self.splits)}")
        modality = "mr" if domain == "A" else "ct"
        populations = [modality] if split == Split.TRAIN else ["mr", "ct"]
        sizes: dict[str, tuple[str, int]] = {Split.TEST: ("test", TEST), Split.VAL: ("val", VAL)}
        prefix, count = sizes.get(split, ("train", TRAIN))
        return [
            _item(modality, f"{prefix}-{population}", index, number)
            for population in populations
            for index in range(count)
            for number in range(SLICES)
        ]


def _item(modality: str, split: str, index: int, number: int) -> Item:
    where = split, index, number
    return Item(
        f"{split}-{index:03d}/{number:02d}",
        partial(image, modality, *where),
        partial(labels, *where),
        mask=partial(mask, *where),
    )
