"""`volumes`: your medical volumes, NIfTI, MetaImage or DICOM series, as slices that are split by patient.

Layouts: the folders trainA, trainB, testA, testB (valA, valB) with one file or one folder of DICOM slices per patient,
or a folder per patient with `mr` or `cbct`, `ct` and `mask`, as SynthRAD has them (`volume_files/patients.py`).

Numbers are those of the file after slope and intercept, in int16 or uint16 where these are exact, else in float32;
nothing is resampled, clipped or rescaled. Slices of all volumes are the same way up (`volume_files/orientation.py`).
Slices of which the body covers less than 1 % are left out: the body is the given mask, or what lies above -500 HU in CT
and above Otsu's threshold in MR (`volume_files/body_mask.py`). Pairs keep the slices that both volumes keep. The file
`cgbench-volumes.toml` in the data root changes all this (`volume_files/settings_file.py`, docs/volumes.md).
"""

import time
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cgbench.api.dataset import Dataset, Domain, FileProblem, Item, Listing
from cgbench.api.inspection import Inspection
from cgbench.api.names import Direction, Split
from cgbench.api.registry import DATASETS
from cgbench.datasets.volume_files import readers
from cgbench.datasets.volume_files.header import as_type
from cgbench.datasets.volume_files.inspection import describe, inspect
from cgbench.datasets.volume_files.patients import SETS, Source
from cgbench.datasets.volume_files.settings_file import NAME, read_settings
from cgbench.datasets.volume_files.survey import Study
from cgbench.datasets.volume_files.writing import assembled, suffix_for, write_volume
from cgbench.digests import digest, source_digest
from cgbench.errors import CgbenchError, DataBroken, DataMissing
from cgbench.files import SETTLE_SECONDS, file_name
from cgbench.formatting import printable
from cgbench.pixel_format import PixelFormat
from cgbench.progress import ProgressCallback

# the modules that decide the numbers
IMAGE_MODULES = ("cgbench.datasets.volumes", "cgbench.datasets.volume_files", "cgbench.pixel_format")
# Left and right of a body differ: a mirrored one has its liver on the wrong side, which no test image shows.
SLICES = {"resize_mode": "none", "test_size": "own", "horizontal_flip": False}

HOW_TO_GET = """volumes: {problem}.
  Give a folder with --data-root DIR, in one of two layouts (NIfTI .nii, .nii.gz; MetaImage .mha, .mhd; or DICOM):
  - DIR/trainA, trainB, testA, testB: one file, or one folder of DICOM slices, per patient;
  - DIR/PATIENT/mr.nii.gz (or cbct), ct.nii.gz and perhaps mask.nii.gz, three patients or more."""


def slice_image(path: Path, axis: str, index: int, dtype: str, side: int = 0) -> np.ndarray:
    """Return a slice of a volume in the domain's type.

    Args:
        path: The volume, a file or a folder of DICOM slices.
        axis: The axis of the slices.
        index: The place of the slice along it.
        dtype: int16, uint16 or float32.
        side: Ignored: a slice is returned at its own size.

    Returns:
        Numbers in stored units (H, W, 1).

    Raises:
        DataBroken: where the type does not hold the numbers exactly.
    """
    image = readers.oriented_voxels(path, axis)[index]
    return as_type(path, image, dtype, f'set dtype = "{image.dtype}" in {NAME}')[..., None]


def slice_mask(study: Study, letter: str, source: Source, index: int, side: int = 0) -> np.ndarray:
    """Return the body in a slice.

    Args:
        study: The patients.
        letter: The domain, A or B.
        source: The volume.
        index: The place of the slice.
        side: Ignored: a slice is returned at its own size.

    Returns:
        1 inside the body, uint8 (H, W).
    """
    return study.mask(letter, source)[index].copy()


@DATASETS.register
class Volumes(Dataset):
    """Slices of two modalities in a directory of the user, whose name is the dataset's label. A is MR or CBCT and B is
    CT in folders of patients."""

    name = "volumes"
    summary = "your medical volumes (NIfTI, MetaImage, DICOM), in stored units and split by patient"
    licence = "that of your volumes"
    picture_files = False
    whole_groups = True
    image_groups = "patient"
    settings = {"smoke": SLICES, "demo": SLICES, "paper": SLICES}

    def __init__(self, root: Path | None = None) -> None:
        super().__init__(root)
        self._asked = "auto"  # the setting `paired`

    def configure(self, split: str = "", paired: str = "auto") -> None:
        """Apply the settings of a run; `paired=yes` raises where the test volumes are no pairs."""
        super().configure(split)
        self._asked = paired
        if paired == "yes" and self.missing() is None and not self.paired_test:
            raise CgbenchError(f"paired=yes: the test volumes of '{self.label}' are no pairs ({self.pair_rule})")

    @property
    def label(self) -> str:
        """The name of the directory."""
        return printable(self.root.resolve().name) if self.root else self.name

    @property
    def domains(self) -> tuple[Domain, Domain]:  # type: ignore[override]
        """The two modalities with the formats of their numbers."""
        return self.study.domains if self._is_there else (Domain("A"), Domain("B"))

    @property
    def splits(self) -> tuple[str, ...]:  # type: ignore[override]
        """Train and test, validation where there are patients for it, and pairs where training patients have both."""
        known = (Split.TRAIN, Split.VAL, Split.TEST, Split.PAIRS)
        if not self._is_there:
            return (Split.TRAIN, Split.TEST)
        needed = (Split.TRAIN, Split.TEST)
        return tuple(
            split for split in known
            if split in needed or (all(self.study.sources(split, letter) for letter in "AB")
                                   and (split != Split.PAIRS or self.study.paired(split)))
        )  # fmt: skip

    @property
    def paired_test(self) -> bool:  # type: ignore[override]
        """Whether the test volumes of both domains are of the same patients and have the same shapes."""
        return self._is_there and self._asked != "no" and self.study.paired(Split.TEST)

    @property
    def pair_rule(self) -> str:  # type: ignore[override]
        """The rule by which test slices are pairs, or why they are none."""
        if self._asked == "no":
            return "paired=no"
        if self.paired_test:
            return "by patient and slice: both volumes have the same shape"
        return "testA and testB have not the same patients with volumes of the same shape"

    @property
    def split_rule(self) -> str:  # type: ignore[override]
        """How the patients are divided, one sentence."""
        return self.study.patients.rule if self._is_there else ""

    @property
    def slicing(self) -> Mapping[str, Any]:  # type: ignore[override]
        """How volumes become slices (`volume_files/settings_file.py`, `Slicing`), with the body rules of A and B."""
        if not self._is_there:
            return {}
        settings, study = self.study.settings, self.study
        body = [study.body_rule(letter) for letter in "AB"]
        return {"axis": settings.axis, "min_body": settings.min_body, "body": body}

    @cached_property
    def study(self) -> Study:
        """The patients of the directory."""
        assert self.root is not None
        return Study(self.root, read_settings(self.root))

    @property
    def _is_there(self) -> bool:
        return self.missing() is None

    def missing(self) -> str | None:
        """Return None if both domains have patients to train and to test, and the libraries are installed."""
        if self.root is None:
            return HOW_TO_GET.format(problem="no directory was given")
        if not self.root.is_dir():
            return HOW_TO_GET.format(problem=f"{self.root} is not a directory")
        if absent := readers.missing_libraries():
            return f"volumes: {absent}"
        for split in (Split.TRAIN, Split.TEST):
            for letter in "AB":
                if not self.study.sources(split, letter):
                    return HOW_TO_GET.format(problem=f"{self.root} has no volume for {split}{letter}")
        return None

    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the slices of a domain, by patient and then along the axis."""
        if missing := self.missing():
            raise DataMissing(missing)
        if split not in self.splits:
            raise CgbenchError(f"volumes: unknown split '{split}': use {', '.join(self.splits)}")
        return self.listing(split, domain).sound()

    def listing(self, split: str, domain: str) -> Listing:
        """Return the slices of a domain with their masks, and the volumes that are refused."""
        items: list[Item] = []
        problems = list(self.study.patients.problems.get((split, domain), ()))
        for source in self.study.sources(split, domain):
            try:
                items += self._slices(split, domain, source)
            except DataBroken as error:
                file = next(
                    (path for path in (source.path, source.mask) if path and str(error).startswith(f"{path}: ")), None
                )
                text = str(error).removeprefix(f"{file}: ")
                problems.append(FileProblem(file or source.path, text))
        return Listing(items, problems)

    def _slices(self, split: str, letter: str, source: Source) -> list[Item]:
        study, dtype = self.study, self.domains["AB".index(letter)].pixels.dtype
        file, mask_file = (readers.files_of(path)[0] if path else None for path in (source.path, source.mask))
        return [
            Item(
                f"{source.patient}/{index:04d}", partial(slice_image, source.path, study.axis, index, dtype), file=file,
                mask=partial(slice_mask, study, letter, source, index), mask_file=mask_file,
            )
            for index in study.kept(split, letter, source)
        ]  # fmt: skip

    def remarks(self) -> Sequence[str]:
        """Return how the volumes are read: formats, axis, body, spacing."""
        return describe(self.study) if self._is_there else ()

    def inspect(
        self, splits: Sequence[str], limit: int = 0, update: ProgressCallback | None = None
    ) -> Inspection:  # fmt: skip
        """Return the findings on the volumes of the named splits, all of them or `limit` of each split and domain."""
        return inspect(self.study, splits, limit, update)

    def write_outputs(
        self, folder: Path, direction: str, keys: Sequence[str], outputs: Sequence[np.ndarray], pixels: PixelFormat,
    ) -> Sequence[Path]:  # fmt: skip
        """Write one volume per patient with the affine of its source (`volume_files/writing.py`), and return them."""
        study, letter = self.study, "A" if direction == Direction.A_TO_B else "B"
        sources = {source.patient: source.path for source in study.sources(Split.TEST, letter)}
        written = []
        for volume in assembled(keys, outputs, sources, study.axis, pixels):
            path = folder / f"{file_name(volume.patient)}{suffix_for(volume.source)}"
            names = " to ".join(self.direction_name(direction).split("→"))  # NIfTI's description is ASCII
            note = f"{names}, {volume.translated} of {len(volume.slices)} slices"
            write_volume(path, volume.slices, volume.source, study.axis, note)
            written.append(path)
        return written

    def group(self, key: str) -> str:
        """Return the patient of a slice."""
        return key.rpartition("/")[0]

    def identity(self) -> str | None:
        """Return the digest of code, libraries, settings and all files: a DICOM series has many, of which a slice names
        one. None while a file is so new that its time of change does not identify it."""
        code = source_digest(*IMAGE_MODULES)
        if code is None or not self._is_there:
            return code
        sources = [source for place in self.study.patients.sets for source in self.study.sources(*place)]
        paths = dict.fromkeys(path for source in sources for path in (source.path, source.mask) if path)
        try:
            states = [readers.file_state(path) for path in paths]
        except DataBroken:
            return None
        newest = max((changed for state in states for _, _, changed in state), default=0)
        if newest > (time.time() - SETTLE_SECONDS) * 1e9:
            return None
        versions = [version(name) for name in (*readers.LIBRARIES, "scipy")]
        return f"{code} {digest([states, versions, repr(self.study.settings)])}"

    def folders(self) -> Sequence[Path]:
        """Return the folders of the sets, or the root of folders of patients."""
        if self.root is None:
            return ()
        found = [self.root / name for name in SETS if (self.root / name).is_dir()]
        return tuple(found) or ((self.root,) if self.root.is_dir() else ())
