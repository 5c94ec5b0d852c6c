"""`cityscapes`: labels and photos of German streets, as CycleGAN's Tables 2 to 5 use them (arXiv 1703.10593).

Three layouts are read, in a given folder or in `cityscapes/` inside it:

- raw: `leftImg8bit/SPLIT/CITY/*.png` and `gtFine/SPLIT/CITY/*_gtFine_labelIds.png`, as the official archives unpack;
  elsewhere below the given folder too, where there is one of each;
- two folders per split, as in CycleGAN's archive: trainA, trainB, testA, testB. There A is the photo and B the
  labels; here A is always the labels, so the two are exchanged;
- side by side, photo on the left, as in pix2pix's archive: train/ and val/ (or test/).

The prepared layouts have no class ids. Their labels are the class of nearest colour in the label image, where JPEG
and resizing have blurred the colours: edges may be wrong. The raw layout reads the true ids. Label ids without a
training id are 255, and black in the label image (gtFine's own colour files show them in other colours).

As in the published recipe, `train` has all labels in A and all photos in B: unpaired by order, not by scene.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from cgbench.api.dataset import Dataset, Domain, Item, Listing, SemanticClass
from cgbench.api.names import IGNORE, Split
from cgbench.api.palette import nearest_class
from cgbench.api.registry import DATASETS
from cgbench.datasets.images.decoding import (
    PICTURE_MODULES,
    coloured,
    image_files,
    read_image,
    read_labels,
    whole_image,
)
from cgbench.datasets.layouts.cityscapes_layouts import (
    LABEL_SUFFIX,
    RAW,
    SIDE_BY_SIDE,
    TWO_FOLDERS,
    CityscapesLayout,
    find_cityscapes,
    nothing_found,
    prepared_problem,
    raw_problem,
    scenes,
)
from cgbench.datasets.layouts.file_keys import FOLDERS, halves, side_by_side_test
from cgbench.datasets.layouts.seams import Seams, look_at_seams
from cgbench.digests import source_digest
from cgbench.errors import CgbenchError, DataBroken, DataMissing
from cgbench.formatting import printable

# label id -> name and colour; a class's training id is its position here (cityscapesScripts)
CLASSES = {
    7: SemanticClass("road", (128, 64, 128)),
    8: SemanticClass("sidewalk", (244, 35, 232)),
    11: SemanticClass("building", (70, 70, 70)),
    12: SemanticClass("wall", (102, 102, 156)),
    13: SemanticClass("fence", (190, 153, 153)),
    17: SemanticClass("pole", (153, 153, 153)),
    19: SemanticClass("traffic light", (250, 170, 30)),
    20: SemanticClass("traffic sign", (220, 220, 0)),
    21: SemanticClass("vegetation", (107, 142, 35)),
    22: SemanticClass("terrain", (152, 251, 152)),
    23: SemanticClass("sky", (70, 130, 180)),
    24: SemanticClass("person", (220, 20, 60)),
    25: SemanticClass("rider", (255, 0, 0)),
    26: SemanticClass("car", (0, 0, 142)),
    27: SemanticClass("truck", (0, 0, 70)),
    28: SemanticClass("bus", (0, 60, 100)),
    31: SemanticClass("train", (0, 80, 100)),
    32: SemanticClass("motorcycle", (0, 0, 230)),
    33: SemanticClass("bicycle", (119, 11, 32)),
}
PALETTE = tuple(CLASSES.values())
MAX_LABEL_ID = 33
# unlabelled, dynamic, ground, parking, rail track, guard rail, bridge, tunnel, caravan, trailer
VOID_COLOURS = (
    (0, 0, 0), (111, 74, 0), (81, 0, 81), (250, 170, 160), (230, 150, 140), (180, 165, 180), (150, 100, 100),
    (150, 120, 90), (0, 0, 90), (0, 0, 110),
)  # fmt: skip
# the modules that decide the pixels
IMAGE_MODULES = (
    "cgbench.datasets.cityscapes", *PICTURE_MODULES, "cgbench.datasets.layouts.file_keys",
    "cgbench.api.palette",
)  # fmt: skip

HOW_TO_GET = """cityscapes: {problem}.{command}
  Cityscapes may not be redistributed, so cgbench cannot fetch it for you:
  1. It needs registration: register at https://www.cityscapes-dataset.com and accept its terms.
  2. Download gtFine_trainvaltest.zip (241 MB) and leftImg8bit_trainvaltest.zip (11 GB).
  3. Unpack both, so that DIR/cityscapes/leftImg8bit and DIR/cityscapes/gtFine exist.
  4. Say where: --data-root DIR, or set the environment variable CGBENCH_DATA to DIR.
  A copy prepared for CycleGAN (trainA, trainB, testA, testB) or pix2pix (train, val) at DIR/cityscapes works too."""


def train_ids(path: Path, side: int = 0) -> np.ndarray:
    """Return the training ids of a labelIds file at its own size, uint8 (H, W), 255 for ids that are not scored."""
    ids = read_labels(path)
    table = np.full(256, IGNORE, dtype=np.uint8)
    table[list(CLASSES)] = np.arange(len(CLASSES))
    if ((ids > MAX_LABEL_ID) & (ids != IGNORE)).any():  # 255 is the licence plate's -1
        raise DataBroken(f"{path}: holds ids beyond {MAX_LABEL_ID}: a label map must be a *{LABEL_SUFFIX} file")
    return table[ids]


def raw_colours(path: Path, side: int = 0) -> np.ndarray:
    """Return a labelIds file in the palette's colours, uint8 (H, W, 3), unscored pixels black."""
    return coloured(train_ids(path), PALETTE)


def left(path: Path, side: int = 0) -> np.ndarray:
    """Return the left half of an image file, the photo, uint8 (H, W / 2, 3)."""
    return halves(path)[0]


def right(path: Path, side: int = 0) -> np.ndarray:
    """Return the right half of an image file, the label image, uint8 (H, W / 2, 3)."""
    return halves(path)[1]


def decoded(path: Path, side: int = 0) -> np.ndarray:
    """Return the classes of nearest colour of a label image, uint8 (H, W); void colours become 255."""
    return nearest_class(read_image(path), PALETTE, VOID_COLOURS)


def decoded_right(path: Path, side: int = 0) -> np.ndarray:
    """Return the classes of nearest colour of a file's right half, uint8 (H, W / 2); void colours become 255."""
    return nearest_class(halves(path)[1], PALETTE, VOID_COLOURS)


# layout -> readers of the label image, the photo and the class ids
READERS = {
    RAW: (raw_colours, whole_image, train_ids),
    TWO_FOLDERS: (whole_image, whole_image, decoded),
    SIDE_BY_SIDE: (right, left, decoded_right),
}


@DATASETS.register
class Cityscapes(Dataset):
    """Label maps (A) and photos (B): 2975 training pairs, the 500 of `val` are the test set; 19 classes."""

    name = "cityscapes"
    summary = "real street scenes with 19 classes, the data of the paper's tables; needs your own registration"
    licence = "Cityscapes terms: non-commercial, no redistribution"
    source = "Cordts et al.: The Cityscapes dataset for semantic urban scene understanding (CVPR 2016)"
    domains = (Domain("labels", "labels"), Domain("photo"))
    palette = PALETTE
    paired_test = True
    pair_rule = "by the same city, sequence and frame, or by one file"
    splits = (Split.TRAIN, Split.TEST, Split.PAIRS)
    settings = {"paper": {"load_size": 143, "crop_size": 128, "blocks": 6}}
    shares_scenes = True
    split_rule = "all training labels and all training photos, as published: unpaired by order, not by scene"

    @cached_property
    def found(self) -> CityscapesLayout:
        """The detected layout and its folders."""
        return find_cityscapes(self.root) if self.root else CityscapesLayout("", Path())

    @property
    def layout(self) -> str:
        """The name of the detected layout: "raw", "folders", "side by side", or "" for none."""
        return self.found.kind

    @property
    def label_source(self) -> str:  # type: ignore[override]
        """The origin of the class ids, for the record of the trial."""
        return "gtFine labelIds" if self.layout == RAW else "nearest palette colour of the prepared label image"

    @property
    def image_groups(self) -> str:  # type: ignore[override]
        """What frames have in common that are not independent: the city, which prepared copies do not tell."""
        return "city" if self.layout == RAW else ""

    def group(self, key: str) -> str:
        """Return the city of a frame."""
        return key.split("_")[0] if self.layout == RAW else key

    def missing(self) -> str | None:
        """Return None if a known layout is there, else what is there and instructions to get the data."""
        if self.root is None:
            return HOW_TO_GET.format(problem="no folder was given", command="")
        problem, command = (raw_problem(self.found), "") if self.layout == RAW else ("", "")
        if not self.layout:
            seen, command = nothing_found(self.root)
            problem = f"{seen} in {self.root} or {self.root / 'cityscapes'}"
        if self.layout == SIDE_BY_SIDE and self._seams.plain_photos:
            problem = f"{self.found.folder} holds plain photos in train, not photo and label image side by side"
        elif self.layout in (TWO_FOLDERS, SIDE_BY_SIDE):
            problem = self._prepared_problem
        if not problem:
            return None
        unpack = f"\n  To unpack: {command}" if command else ""
        return printable(HOW_TO_GET.format(problem=problem, command=unpack), keep="\n")

    @cached_property
    def _seams(self) -> Seams:
        """The seams of a few training pairs side by side."""
        return look_at_seams(image_files(self.found.folder / "train"))

    @cached_property
    def _prepared_problem(self) -> str:
        """The reason why a prepared layout is no Cityscapes, or ""."""
        return prepared_problem(self.found, np.array([entry.colour for entry in PALETTE]), np.array(VOID_COLOURS))

    def remarks(self) -> Sequence[str]:
        """Return where the archives were found, if elsewhere than in one folder."""
        return (self.found.remark,) if self.found.remark else ()

    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the images of a domain with their labels; training hands these only to methods that declare them."""
        if split not in self.splits:
            raise CgbenchError(f"cityscapes: unknown split '{split}': use {', '.join(self.splits)}")
        if missing := self.missing():
            raise DataMissing(missing)
        return self.listing(split, domain).sound()

    def listing(self, split: str, domain: str) -> Listing:
        """Return the images of a domain, and the files without a counterpart or with a duplicate name."""
        if not self.layout:
            return Listing(())
        read_label_image, read_photo, read_ids = READERS[self.layout]
        files, problems = scenes(self.found, Split.TEST if split == Split.TEST else Split.TRAIN)
        items = [
            Item(key, partial(read_label_image, label_file), partial(read_ids, label_file), label_file, label_file)
            if domain == "A"
            else Item(key, partial(read_photo, photo_file), partial(read_ids, label_file), photo_file, label_file)
            for key, label_file, photo_file in files
        ]
        return Listing(items, problems)

    def identity(self) -> str | None:
        """Return the digest of the modules that read the files, and the layout."""
        code = source_digest(*IMAGE_MODULES)
        return code and f"{code} {self.layout}"

    def folders(self) -> Sequence[Path]:
        """Return the folders of the detected layout; those of the cities for the raw one."""
        folder = self.found.folder
        if self.layout == RAW:
            parents = [self.found.split_folders(split)[kind] for kind in (0, 1) for split in ("train", "val")]
            return tuple(city for parent in parents for city in sorted(parent.glob("*")) if city.is_dir())
        if self.layout == SIDE_BY_SIDE:
            return (folder / "train", side_by_side_test(folder))
        return tuple(folder / name for name in FOLDERS) if self.layout else ()
