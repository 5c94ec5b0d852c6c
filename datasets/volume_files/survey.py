"""The survey of a folder of volumes: formats of the two domains, pairs, and which slices show the body."""

from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from cgbench.api.dataset import Domain
from cgbench.api.names import Split
from cgbench.datasets.volume_files import readers
from cgbench.datasets.volume_files.body_mask import NONE, body_mask
from cgbench.datasets.volume_files.header import FLOAT32, INT16, UINT16, number_type
from cgbench.datasets.volume_files.orientation import oriented_shape
from cgbench.datasets.volume_files.patients import Source, find_patients
from cgbench.datasets.volume_files.settings_file import DomainSettings, VolumeSettings, declared_window, defaults
from cgbench.errors import DataBroken
from cgbench.pixel_format import PixelFormat

KNOWN = 65536  # volumes whose slices are remembered
AIR, MIN_AIR = -500, 0.01  # numbers below are air in HU; the share of them from which a volume is taken for CT
CTS = ("ct", "cbct")
TITLES = {"ct": "CT", "cbct": "CBCT", "mr": "MR"}  # names of domains by modality


def domain_type(paths: Iterable[Path], modality: str) -> str:
    """Return the type that holds the numbers of all volumes: int16 or uint16 where these are exact, else float32.

    Headers decide where their type does; of other integers, and of CT stored as floating-point numbers, the numbers
    themselves are looked at.
    """
    types = set()
    for path in paths:
        with suppress(DataBroken):  # said where its slices are listed
            types.add(_type_of(path, modality, readers.file_state(path)))
    return types.pop() if len(types) == 1 else FLOAT32


@lru_cache(maxsize=KNOWN)
def _type_of(path: Path, modality: str, state: readers.State) -> str:
    header = readers.read_header(path)
    if header.integers is not None and (name := number_type(*header.integers)) in (INT16, UINT16):
        return name
    if header.integers is None and modality not in CTS:
        return FLOAT32
    return str(readers.oriented_voxels(path, "axial").dtype)


def modality_of(path: Path) -> str:
    """Return "ct", "mr" or "other": as the header says, else "ct" where at least 1 % of the numbers are below -500."""
    if known := readers.read_header(path).modality:
        return known
    return "ct" if (readers.oriented_voxels(path, "axial") < AIR).mean() >= MIN_AIR else "other"


def kept_slices(source: Source, rule: float | str, axis: str, min_body: float) -> tuple[int, ...]:
    """Return the slices of which the body covers at least the share `min_body`; all of them where that is 0."""
    mask_state = readers.file_state(source.mask) if source.mask else None
    return _kept(source, rule, axis, min_body, readers.file_state(source.path), mask_state)


@lru_cache(maxsize=KNOWN)
def _kept(
    source: Source, rule: float | str, axis: str, min_body: float, state: readers.State, mask_state: object
) -> tuple[int, ...]:  # fmt: skip
    depth = volume_shape(source.path, axis)[0]
    if not min_body or (source.mask is None and rule == NONE):
        return tuple(range(depth))
    shares = body_mask(source.path, source.mask, rule, axis).mean(axis=(1, 2))
    return tuple(int(index) for index in np.flatnonzero(shares >= min_body))


def volume_shape(path: Path, axis: str) -> tuple[int, int, int]:
    """Return the numbers of slices, rows and columns of a volume."""
    header = readers.read_header(path)
    return oriented_shape(header.shape, header.affine, axis)


class Study:
    """The patients of a folder as its settings have them: formats of the domains, pairs, and slices that are kept."""

    def __init__(self, root: Path, settings: VolumeSettings) -> None:
        self.settings, self.axis = settings, settings.axis
        self.patients = find_patients(root, settings)
        self._paired: dict[str, bool] = {}

    def sources(self, split: str, letter: str) -> list[Source]:
        """Return the volumes of a split and domain; those of `pairs` are the training patients that have both."""
        found = self.patients.sets.get((split, letter), {})
        if split == Split.PAIRS and not self.patients.cases:
            train = [self.patients.sets[Split.TRAIN, other] for other in "AB"]
            found = {key: train["AB".index(letter)][key] for key in train[0] if key in train[1]}
        return list(found.values())

    @cached_property
    def modalities(self) -> tuple[str, str]:
        """The modality of each domain: as the settings say, else the file names, else a volume."""
        return self._modality("A"), self._modality("B")

    @cached_property
    def domains(self) -> tuple[Domain, Domain]:
        """The two domains with the formats of their numbers."""
        names = [
            domain.name or TITLES.get(modality, letter)
            for letter, modality, domain in zip("AB", self.modalities, self._declared, strict=True)
        ]
        if names[0] == names[1]:
            names = [f"{name} {letter}" for letter, name in zip("AB", names, strict=True)]
        a, b = (Domain(name, pixels=self._pixels(letter)) for letter, name in zip("AB", names, strict=True))
        return a, b

    def body_rule(self, letter: str) -> float | str:
        """Return by which rule the body is found where there is no mask."""
        declared = self._declared["AB".index(letter)].body
        return defaults(self.modalities["AB".index(letter)])[2] if declared is None else declared

    def paired(self, split: str) -> bool:
        """Return whether both domains of a split have the same patients with volumes of the same shape."""
        if split not in self._paired:
            a, b = ({source.patient: source.path for source in self.sources(split, letter)} for letter in "AB")
            self._paired[split] = bool(a) and a.keys() == b.keys() and all(self._same_shape(a[k], b[k]) for k in a)
        return self._paired[split]

    def kept(self, split: str, letter: str, source: Source) -> tuple[int, ...]:
        """Return the slices of a volume that are used; of a pair those that both volumes keep."""
        kept = kept_slices(source, self.body_rule(letter), self.axis, self.settings.min_body)
        if split == Split.TRAIN or not self.paired(split):
            return kept
        other = "B" if letter == "A" else "A"
        partner = next(found for found in self.sources(split, other) if found.patient == source.patient)
        both = set(kept_slices(partner, self.body_rule(other), self.axis, self.settings.min_body))
        return tuple(index for index in kept if index in both)

    def shape(self, source: Source) -> tuple[int, int, int]:
        """Return the numbers of slices, rows and columns of a volume."""
        return volume_shape(source.path, self.axis)

    def mask(self, letter: str, source: Source) -> np.ndarray:
        """Return the body of a volume, uint8 (D, H, W)."""
        return body_mask(source.path, source.mask, self.body_rule(letter), self.axis)

    @property
    def _declared(self) -> tuple[DomainSettings, DomainSettings]:
        return self.settings.A, self.settings.B

    def _modality(self, letter: str) -> str:
        index = "AB".index(letter)
        if declared := self._declared[index].modality:
            return declared
        if self.patients.names[index] in TITLES:
            return self.patients.names[index]
        for source in self.sources(Split.TRAIN, letter):
            with suppress(DataBroken):
                return modality_of(source.path)
        return "other"

    def _pixels(self, letter: str) -> PixelFormat:
        index = "AB".index(letter)
        declared, modality = self._declared[index], self.modalities[index]
        paths = [source.path for place in self.patients.sets if place[1] == letter for source in self.sources(*place)]
        dtype = declared.dtype or domain_type(dict.fromkeys(paths), modality)
        unit = defaults(modality)[0] if declared.unit is None else declared.unit
        return PixelFormat(1, dtype, declared_window(declared, modality), unit)

    def _same_shape(self, a: Path, b: Path) -> bool:
        try:
            return volume_shape(a, self.axis) == volume_shape(b, self.axis)
        except DataBroken:  # said where its slices are listed
            return False
