"""The inspection of volumes for the dataset check: every volume is read once, and what is wrong or unlike is said."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgbench.api.inspection import Finding, Inspection
from cgbench.api.names import Split
from cgbench.datasets.volume_files import readers
from cgbench.datasets.volume_files.orientation import obliqueness, oriented_spacing
from cgbench.datasets.volume_files.patients import Source
from cgbench.datasets.volume_files.survey import Study
from cgbench.errors import DataBroken
from cgbench.formatting import listed, plural
from cgbench.progress import ProgressCallback
from cgbench.selection import evenly_spaced

UNLIKE = 1.05  # ratio of spacings from which they are called unlike
OBLIQUE = 1.0  # degree from which a volume is called oblique
MANY = 0.02  # share of a volume's body outside of the window that is worth a warning
MEND = "mend, replace or remove them"


@dataclass(frozen=True)
class VolumeFacts:
    """What was found in a volume: digest, shares of the body's numbers below and above the window (0 where that is
    measured later), and the numbers of slices that are kept and there."""

    source: Source
    digest: str
    below: float
    above: float
    kept: int
    slices: int
    constant: bool


def inspect(
    study: Study, splits: Sequence[str], limit: int = 0, update: ProgressCallback | None = None
) -> Inspection:  # fmt: skip
    """Return the findings on the volumes of the named splits, of all patients or of `limit` per split and domain."""
    chosen = {}
    for split in splits:
        for letter in "AB":
            sources = study.sources(split, letter) if split != Split.PAIRS else []
            chosen[split, letter] = [sources[index] for index in evenly_spaced(len(sources), limit)]
    total, done = sum(map(len, chosen.values())), 0
    findings = _list_findings(study, splits)
    facts: dict[tuple[str, str], list[VolumeFacts]] = {}
    for (split, letter), sources in chosen.items():
        for source in sources:
            try:
                facts.setdefault((split, letter), []).append(_facts(study, split, letter, source))
            except DataBroken as error:
                findings.append(Finding("unreadable", "error", *_file_and_text(source, error), MEND))
            done += 1
            if update:
                update(done, total)
    findings += [*_same_content(facts), *_outside(study, facts)]
    for letter in "AB":
        findings += _geometry(study, letter)
    sizes = {place: _size(study, sources) for place, sources in chosen.items()}
    return Inspection(tuple(findings), tuple(_slice_counts(study, facts)), sizes)


def describe(study: Study) -> list[str]:
    """Return how the volumes are read, one line each: formats, axis, body, spacing."""
    lines = []
    for letter, domain in zip("AB", study.domains, strict=True):
        sources = _all(study, letter)
        kinds = Counter(readers.read_header(source.path).kind for source in sources if _is_sound(source))
        found = listed([f"{count} {kind}" for kind, count in sorted(kinds.items())])
        line = f"{letter} is {domain.name}: {plural(len(sources), 'patient')} ({found}), {domain.pixels.described()}"
        lines.append(f"{line}; spacing {_spacings(study, sources)}")
    lines.append(
        f"{study.axis} slices, the patient's "
        + ("anterior at the left" if study.axis == "sagittal" else "right at the left")
        + (", anterior on top" if study.axis == "axial" else ", superior on top")
        + "; axes are permuted and flipped, never resampled"
    )
    bodies = []
    for letter in "AB":
        given = sum(source.mask is not None for source in _all(study, letter))
        rule = study.body_rule(letter)
        ruled = "Otsu's threshold" if rule == "otsu" else "everything" if rule == "none" else f"numbers above {rule:g}"
        without = "" if rule == "none" else ", largest connected part, filled"
        bodies.append(f"{letter} " + (f"{plural(given, 'mask file')}, else " if given else "") + ruled + without)
    lines.append(f"body: {'; '.join(bodies)}; slices with less than {study.settings.min_body:.3g} of it are left out")
    both = {source.patient for source in study.sources(Split.TRAIN, "A")}
    both &= {source.patient for source in study.sources(Split.TRAIN, "B")}
    if both:
        lines.append(f"{plural(len(both), 'patient')} train both A and B, such as {min(both)}: unpaired by order alone")
    return lines


def _facts(study: Study, split: str, letter: str, source: Source) -> VolumeFacts:
    voxels = readers.oriented_voxels(source.path, study.axis)
    kept = study.kept(split, letter, source)
    window, below, above = study.domains["AB".index(letter)].pixels.window, 0.0, 0.0
    if window is not None:
        body = voxels[study.mask(letter, source) > 0]
        below, above = float((body < window[0]).sum()), float((body > window[1]).sum())
        below, above = below / max(1, body.size), above / max(1, body.size)
    digest = hashlib.blake2b(voxels.data, digest_size=16).hexdigest()
    return VolumeFacts(source, digest, below, above, len(kept), len(voxels), bool(voxels.min() == voxels.max()))


def _list_findings(study: Study, splits: Sequence[str]) -> list[Finding]:
    """Return the findings that names show: a patient in two splits, twice in a set, or in both training sets."""
    findings = []
    for (split, _), problems in study.patients.problems.items():
        if split in splits:
            fix = "mend the list of patients: what is measured on a patient who trained is no test"
            findings += [Finding("leak", "error", problem.file, problem.text, fix) for problem in problems]
    if Split.TRAIN in splits:
        names = {source.patient for source in study.sources(Split.TRAIN, "B")}
        fix = "give each patient to one domain, or know that A and B are paired"
        text = "this patient is in trainB too"
        found = [source for source in study.sources(Split.TRAIN, "A") if source.patient in names]
        findings += [Finding("between-domains", "warning", source.path, text, fix) for source in found]
    return findings


def _same_content(facts: dict[tuple[str, str], list[VolumeFacts]]) -> list[Finding]:
    """Return a finding for each volume whose numbers are those of another patient, an error across splits."""
    first: dict[str, tuple[str, Source]] = {}
    findings = []
    for (split, _), of_set in facts.items():
        for volume in of_set:
            if volume.constant:
                fix = "replace or remove them"
                findings.append(Finding("constant", "error", volume.source.path, "all its numbers are equal", fix))
                continue
            known, source = first.setdefault(volume.digest, (split, volume.source))
            if source is not volume.source:
                severity, check = ("error", "leak") if known != split else ("warning", "repeated")
                text = f"holds the same numbers as {source.path.parent.name}/{source.path.name} of {known}"
                findings.append(Finding(check, severity, volume.source.path, text, "remove one of them"))
    return findings


def _outside(study: Study, facts: dict[tuple[str, str], list[VolumeFacts]]) -> list[Finding]:
    """Return a finding for each volume of which much of the body lies outside of the window."""
    findings = []
    for (_, letter), of_set in facts.items():
        low, high = study.domains["AB".index(letter)].pixels.window or (0.0, 0.0)
        for volume in of_set:
            if volume.below + volume.above > MANY:
                text = f"{volume.below:.1%} of its body is below {low:g}, {volume.above:.1%} above {high:g}"
                fix = "look at their units, or widen the window: networks see what lies outside as its nearer end"
                findings.append(Finding("window", "warning", volume.source.path, text, fix))
    return findings


def _geometry(study: Study, letter: str) -> list[Finding]:
    """Return notes on spacings, oblique volumes and volumes that do not say where left is."""
    sources = [source for source in _all(study, letter) if _is_sound(source)]
    headers = {source: readers.read_header(source.path) for source in sources}
    spacings = np.array([oriented_spacing(header.affine, study.axis) for header in headers.values()]).reshape(-1, 3)
    findings = []
    if len(spacings) and (spacings.max(axis=0) / spacings.min(axis=0)).max() > UNLIKE:
        fix = "resample them to one spacing if structures should have one size in pixels"
        findings.append(
            Finding("geometry", "note", None, f"spacings in {letter} differ: {_spacings(study, sources)}", fix)
        )
    for source, header in headers.items():
        angle = obliqueness(header.affine)
        if angle > OBLIQUE:
            text = f"is oblique by {angle:.1f}°: the closest axes are taken, nothing is resampled"
            findings.append(Finding("geometry", "note", source.path, text, "resample it if slices must be exact"))
        if not header.oriented:
            text = "does not say its orientation (qform and sform codes are 0): left and right may be exchanged"
            findings.append(Finding("geometry", "warning", source.path, text, "write its affine to the header"))
    return findings


def _slice_counts(study: Study, facts: dict[tuple[str, str], list[VolumeFacts]]) -> Iterable[str]:
    for (split, letter), of_set in facts.items():
        there, kept = sum(volume.slices for volume in of_set), sum(volume.kept for volume in of_set)
        yield f"{split} {letter}: {kept} of {plural(there, 'slice')} in {plural(len(of_set), 'volume')}"


def _spacings(study: Study, sources: Sequence[Source]) -> str:
    """Return the distances of slices, rows and columns: "3 × 0.98 × 0.98 mm", as ranges where they differ."""
    found = [
        oriented_spacing(readers.read_header(source.path).affine, study.axis) for source in sources if _is_sound(source)
    ]
    if not found:
        return "unknown"
    low, high = np.min(found, axis=0), np.max(found, axis=0)
    parts = [f"{a:.3g}" if b / a < UNLIKE else f"{a:.3g} to {b:.3g}" for a, b in zip(low, high, strict=True)]
    return f"{' × '.join(parts)} mm (slices × rows × columns)"


def _size(study: Study, sources: Sequence[Source]) -> str:
    """Return the most frequent size of slices, width × height, and how many others there are."""
    shapes = Counter(study.shape(source)[:0:-1] for source in sources if _is_sound(source))
    if not shapes:
        return "–"
    (width, height), count = shapes.most_common(1)[0]
    return f"{width} × {height}" + ("" if count == shapes.total() else f" and {plural(len(shapes) - 1, 'other size')}")


def _all(study: Study, letter: str) -> list[Source]:
    sources = (source for place in study.patients.sets if place[1] == letter for source in study.sources(*place))
    return list({source.path: source for source in sources}.values())


def _is_sound(source: Source) -> bool:
    with suppress(DataBroken):
        return bool(readers.read_header(source.path))
    return False


def _file_and_text(source: Source, error: DataBroken) -> tuple[Path, str]:
    text = str(error)
    for path in (source.path, source.mask):
        if path and text.startswith(f"{path}: "):
            return path, text.removeprefix(f"{path}: ")
    return source.path, text
