"""Patients: which volumes there are, in either layout, and in which split each patient is.

- sets: `trainA`, `trainB`, `testA`, `testB`, perhaps `valA` and `valB`, each with one file or one folder of DICOM
  slices per patient; `NAME_mask` beside `NAME` is its mask;
- cases: one folder per patient, anywhere up to four folders deep, with `mr` or `cbct`, `ct` and perhaps `mask`, as in
  SynthRAD2023 and 2025. Complete patients are sorted by the digest of their names: the first are tested, the next ones
  validate, and the others give in turn an A and a B to training. Those that lack a volume only train.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cgbench.api.dataset import FileProblem
from cgbench.api.names import Split
from cgbench.datasets.volume_files.dicom_series import slice_files
from cgbench.datasets.volume_files.readers import FORMATS, extension
from cgbench.datasets.volume_files.settings_file import VolumeSettings
from cgbench.errors import CgbenchError, DataBroken
from cgbench.formatting import plural, printable

MASK = "mask"
SETS = {f"{split}{letter}": (split, letter) for split in (Split.TRAIN, Split.VAL, Split.TEST) for letter in "AB"}
DEEPEST = 5  # folders between the root and a volume of a case
FIRST_MODALITIES = ("mr", "cbct")  # that A may be, without a setting
LEAKS = ((Split.TRAIN, Split.TEST), (Split.TRAIN, Split.VAL), (Split.VAL, Split.TEST))
MIN_CASES = 3


@dataclass(frozen=True)
class Source:
    """A patient's volume, a file or a folder of DICOM slices, and the file of its mask, if any."""

    patient: str
    path: Path
    mask: Path | None = None


Place = tuple[str, str]  # split and letter
Sets = Mapping[Place, Mapping[str, Source]]


@dataclass(frozen=True)
class Patients:
    """The volumes of each split and domain by patient, what cannot be used, and how they were divided. `names` are the
    file names of the domains in folders of patients."""

    sets: Sets
    problems: Mapping[Place, tuple[FileProblem, ...]] = field(default_factory=dict)
    rule: str = ""
    names: tuple[str, str] = ("", "")
    cases: bool = False


def volume_name(path: Path) -> str:
    """Return the name of a volume, a file or a folder of DICOM slices, without its extension."""
    name = Path(os.path.abspath(path)).name
    return name if path.is_dir() else name[: len(name) - len(extension(path))]


def source_of(path: Path) -> Source:
    """Return a volume by itself, with the file of its mask where one lies beside it as in either layout: NAME_mask, or
    mask in the patient's folder."""
    name, whole = volume_name(path), Path(os.path.abspath(path))
    beside = [whole.parent / f"{stem}{ending}" for stem in (f"{name}_{MASK}", MASK) for ending in FORMATS]
    return Source(name, path, next((mask for mask in beside if mask.is_file() and mask != whole), None))


def find_patients(root: Path, settings: VolumeSettings) -> Patients:
    """Return the patients of a folder; one whose volumes cannot be told apart raises `CgbenchError`."""
    try:
        if any((root / name).is_dir() for name in SETS):
            return _of_sets(root)
        return _of_cases(root, settings)
    except OSError as error:
        raise DataBroken(f"{error.filename or root}: {error.strerror}: it cannot be listed") from error


def _of_sets(root: Path) -> Patients:
    sets: dict[Place, dict[str, Source]] = {}
    problems: dict[Place, list[FileProblem]] = {}
    for name, place in SETS.items():
        found, doubled = _volumes(root / name) if (root / name).is_dir() else ({}, [])
        masks = {key.removesuffix(f"_{MASK}"): path for key, path in found.items() if key.endswith(f"_{MASK}")}
        sets[place] = {
            key: Source(key, path, masks.get(key)) for key, path in found.items() if not key.endswith(f"_{MASK}")
        }
        problems[place] = doubled
    for (first, second), letter in ((pair, letter) for pair in LEAKS for letter in "AB"):
        held = {key for other in "AB" for key in sets[second, other]}
        text = f"this patient is in {second} too: a patient is in one split; move one, or rename another patient"
        problems[first, letter] += [
            FileProblem(source.path, text) for key, source in sets[first, letter].items() if key in held
        ]
    rule = "A and B as the folders trainA and trainB divide the patients"
    return Patients(sets, {place: tuple(found) for place, found in problems.items()}, rule)


def _volumes(folder: Path) -> tuple[dict[str, Path], list[FileProblem]]:
    """Return the volumes in a folder by name, and a problem for each further one of a name."""
    found: dict[str, Path] = {}
    problems = []
    for path in sorted(folder.iterdir()):
        ending = extension(path)
        if path.name.startswith(".") or not (_is_series(path) if path.is_dir() else ending):
            continue
        name = printable(path.name if path.is_dir() else path.name[: -len(ending)])
        if name in found:
            problems.append(FileProblem(path, f"{found[name].name} is of the same patient: keep one of them"))
        else:
            found[name] = path
    return found, problems


def _is_series(folder: Path) -> bool:
    """Return whether a folder holds files and none of them is a volume by itself."""
    files = slice_files(folder)
    return bool(files) and not any(extension(path) for path in files)


def _of_cases(root: Path, settings: VolumeSettings) -> Patients:
    names_b = settings.B.file or "ct"
    candidates = (settings.A.file,) if settings.A.file else FIRST_MODALITIES
    cases = [(folder, found) for folder, found in _folders(root) if {names_b, *candidates} & found.keys()]
    present = [name for name in candidates if any(name in found for _, found in cases)]
    if len(present) > 1:
        text = (
            f'holds {" and ".join(present)}: say in cgbench-volumes.toml which is A, with file = "{present[0]}" in [A]'
        )
        raise CgbenchError(f"{root}: {text}")
    names = (present[0] if present else candidates[0], names_b)
    by_patient: dict[str, tuple[Source | None, Source | None]] = {}
    doubled = []
    for folder, found in cases:
        patient = printable(folder.name)
        if patient in by_patient:
            doubled.append(FileProblem(folder, "another folder has this patient's name: rename one or keep one"))
            continue
        a, b = (Source(patient, found[name], found.get(MASK)) if name in found else None for name in names)
        by_patient[patient] = (a, b)
    return _divided(by_patient, doubled, names, settings)


def _folders(root: Path) -> Iterable[tuple[Path, dict[str, Path]]]:
    """Return each folder that holds volumes, and these by their names in lower case."""
    for folder, below, _ in os.walk(root, followlinks=True):
        below.sort()
        depth = len(Path(folder).relative_to(root).parts)
        found = {name.lower(): path for name, path in _volumes(Path(folder))[0].items()}
        if depth and found:
            yield Path(folder), found
        if depth >= DEEPEST - 1:
            below.clear()


def _divided(
    by_patient: Mapping[str, tuple[Source | None, Source | None]], doubled: list[FileProblem], names: tuple[str, str],
    settings: VolumeSettings,
) -> Patients:  # fmt: skip
    """Divide patients by the digest of their names; `test` and `val` of the complete ones are rounded."""
    complete = sorted((key for key, pair in by_patient.items() if all(pair)), key=_digest)
    tested = max(1, round(settings.test * len(complete))) if len(complete) >= MIN_CASES else 0
    validated = round(settings.val * len(complete))
    chosen = {
        Split.TEST: complete[:tested], Split.VAL: complete[tested : tested + validated],
        Split.PAIRS: complete[tested + validated :],
    }  # fmt: skip
    training = {"A": chosen[Split.PAIRS][::2], "B": chosen[Split.PAIRS][1::2]}
    for index, letter in enumerate("AB"):
        training[letter] += [key for key, pair in by_patient.items() if pair[index] and not pair[1 - index]]
    sets: dict[Place, dict[str, Source]] = {
        (split, letter): {key: by_patient[key]["AB".index(letter)] for key in sorted(keys)}
        for letter in "AB"
        for split, keys in [*chosen.items(), (Split.TRAIN, training[letter])]
    }
    a, b = (len(training[letter]) for letter in "AB")
    rule = (
        f"by patient, in the order of the SHA-256 of their names: {tested} test, {validated} validate, the others "
        f"alternate ({plural(a, 'patient')} A only, {b} B only)"
    )
    return Patients(sets, {(Split.TRAIN, "A"): tuple(doubled)}, rule, names, cases=True)


def _digest(patient: str) -> str:
    return hashlib.sha256(patient.encode()).hexdigest()
