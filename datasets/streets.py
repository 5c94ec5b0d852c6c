"""`streets`: procedural street scenes with exact labels, rendered on demand, so that nothing has to be downloaded.

Scene k of a split is drawn from the random stream (SEED, "streets", split, k) alone, in metres and image widths, so
that it shows the same street at any resolution. The photo has what the labels lack: façades, road markings, leaves,
sun and shadows, time of day, weather, cars and clothes of many colours, and the camera's noise and vignette.
"""

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np

from cgbench.api.dataset import Dataset, Domain, Item, SemanticClass
from cgbench.api.names import Split
from cgbench.api.registry import DATASETS
from cgbench.datasets.images.decoding import PICTURE_MODULES, coloured
from cgbench.datasets.street_scenes.layout import build_scene
from cgbench.datasets.street_scenes.render import render_labels, render_photo
from cgbench.datasets.street_scenes.scene import Scene
from cgbench.digests import source_digest
from cgbench.errors import CgbenchError
from cgbench.seeds import generator

SEED = 1  # of the dataset; a new one would make another dataset
HALF = 400  # training scenes per domain
# the modules that decide the pixels
IMAGE_MODULES = (
    "cgbench.datasets.streets", "cgbench.datasets.street_scenes", *PICTURE_MODULES, "cgbench.seeds",
)  # fmt: skip
SCENES: dict[str, int] = {Split.TEST: 100, Split.VAL: 100, Split.OOD: 60}

PALETTE = (  # ids in the order of street_scenes/geometry.py; names and colours of Cityscapes
    SemanticClass("road", (128, 64, 128)),
    SemanticClass("sidewalk", (244, 35, 232)),
    SemanticClass("building", (70, 70, 70)),
    SemanticClass("pole", (153, 153, 153)),
    SemanticClass("vegetation", (107, 142, 35)),
    SemanticClass("sky", (70, 130, 180)),
    SemanticClass("person", (220, 20, 60)),
    SemanticClass("car", (0, 0, 142)),
)


@lru_cache(maxsize=1)  # an item's image and labels are rendered one after the other
def scene(split: str, index: int) -> Scene:
    """Return street `index` of "train" (0 to 799), "val", "test" or "ood"."""
    return build_scene(generator(SEED, "streets", split, index), ood=split == Split.OOD)


def photo(split: str, index: int, side: int) -> np.ndarray:
    """Return the photo of a street, uint8 (side, side, 3)."""
    return render_photo(scene(split, index), side, generator(SEED, "streets", split, index, "sensor"))


def labels(split: str, index: int, side: int) -> np.ndarray:
    """Return the class ids of a street, uint8 (side, side), 255 for pixels of no class."""
    return render_labels(scene(split, index), side)


def label_image(split: str, index: int, side: int) -> np.ndarray:
    """Return the label map in the palette's colours, uint8 (side, side, 3); pixels of no class are black."""
    return coloured(labels(split, index, side), PALETTE)


@DATASETS.register
class Streets(Dataset):
    """Label maps (A) and photos (B) of procedural streets. `pole` includes signs and traffic lights.

    The scenes of `ood` are out-of-distribution: each shows a balloon, a lorry, a fallen tree or a large animal, which
    no training scene does. Those pixels are 255 in the labels and black in the label image.
    """

    name = "streets"
    summary = "drawn street scenes with exact labels, built in: nothing to download"
    licence = "Apache-2.0"
    source = "made by cgbench"
    domains = (Domain("labels", "labels"), Domain("photo"))
    palette = PALETTE
    paired_test = True
    pair_rule = "by scene: every scene is drawn in both domains"
    splits = (Split.TRAIN, Split.VAL, Split.TEST, Split.PAIRS, Split.OOD)
    split_rule = f"scenes 0 to {HALF - 1} give the label maps, scenes {HALF} to {2 * HALF - 1} the photos"

    def missing(self) -> str | None:
        """Return None: the scenes are rendered on demand."""
        return None

    def identity(self) -> str | None:
        """Return the digest of the modules that render the images."""
        return source_digest(*IMAGE_MODULES)

    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the images of a domain with their labels; training hands these only to methods that declare them."""
        if split not in self.splits:
            raise CgbenchError(f"streets: unknown split '{split}': use {', '.join(self.splits)}")
        draw = label_image if domain == "A" else photo
        if split == Split.TRAIN:
            first = 0 if domain == "A" else HALF
            scenes = range(first, first + HALF)
        else:
            scenes = range(SCENES.get(split, 2 * HALF))
        kind = Split.TRAIN if split == Split.PAIRS else split
        return [Item(_key(kind, i), partial(draw, kind, i), partial(labels, kind, i)) for i in scenes]


def _key(split: str, index: int) -> str:
    return f"{split}-{index:04d}"
