"""Matching of the files of another program's outputs to test images, by their names alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from cgbench.api.names import Direction
from cgbench.errors import CgbenchError
from cgbench.files import file_name
from cgbench.formatting import plural, printable, shortened

PLAIN = ""
# how public repositories name the translation of KEY: CycleGAN and pix2pix in PyTorch, its test without the other
# domain, pix2pix in TensorFlow
A_TO_B_ENDINGS = (PLAIN, "_fake_B", "_fake", "-outputs")
FAKE_A = "_fake_A"
PAGE = ("_real_A", "_real_B", "_real", "_rec_A", "_rec_B", "_idt_A", "_idt_B", FAKE_A, "_fake_B", "_fake")
COMPANIONS = {PLAIN: (), "-outputs": ("-inputs", "-targets")}  # what else lies beside outputs of an ending; else PAGE
NAMED = 3  # names in a message


@dataclass(frozen=True)
class MatchedNames:
    """The file name of each test image's translation, in the order of the keys, the ending by which they were found
    ("" for KEY alone), and how many files beside them are inputs, targets or reconstructions of the same page."""

    names: tuple[str, ...]
    ending: str
    companions: int


def match_names(names: Sequence[str], keys: Sequence[str], direction: str) -> MatchedNames:
    """Return the file of each test image.

    A file belongs to the test image KEY where its stem is KEY, or KEY as a file name of this program, followed by one
    ending, the same for all: none, `_fake_B`, `_fake` or `-outputs`; for BtoA `_fake_A`, and `_fake_B` only where no
    file ends with `_fake_A`. The ending is the one by which most keys are found, the first of equals. A trailing `_A`
    or `_B` of the source's domain in front of it may be there or not. Beside an ending, files of the same page for
    inputs, targets and reconstructions are left out.

    Args:
        names: File names with their extensions.
        keys: The keys of the test images.
        direction: "AtoB" or "BtoA".

    Returns:
        The names in the order of the keys.

    Raises:
        CgbenchError: A key has no file or several, or a file belongs to no key; the first of each are named.
    """
    forms = {form: key for key in keys for form in (file_name(key), key)}
    stems = {name: printable(PurePath(name).stem) for name in names}
    candidates = _endings(stems.values(), direction)
    found = {ending: _by_key(stems, forms, ending, direction[0]) for ending in candidates}
    ending = max(candidates, key=lambda each: len(found[each]))  # the first of equals
    by_key = found[ending]
    matched = {name for files in by_key.values() for name in files}
    others = [name for name in names if name not in matched]
    companions = tuple(other for other in COMPANIONS.get(ending, PAGE) if other != ending)
    extra = [name for name in others if not stems[name].endswith(companions)]
    missing = [key for key in keys if key not in by_key]
    double = [" and ".join(files) for files in by_key.values() if len(files) > 1]
    problems = [("missing", missing), ("too many", extra), ("double", double)]
    if any(listed for _, listed in problems):
        said = "; ".join(f"{len(listed):,} {what} ({_first(listed)})" for what, listed in problems if listed)
        expected = f"one image per test image, named KEY{ending}.png"
        raise CgbenchError(f"{plural(len(keys), 'test image')} {direction}: {said}; expected is {expected}")
    return MatchedNames(tuple(by_key[key][0] for key in keys), ending, len(others) - len(extra))


def _endings(stems: Iterable[str], direction: str) -> tuple[str, ...]:
    """Return the endings that may be meant."""
    if direction == Direction.A_TO_B:
        return A_TO_B_ENDINGS
    if any(stem.endswith(FAKE_A) for stem in stems):
        return (PLAIN, FAKE_A)
    return A_TO_B_ENDINGS  # of networks of one direction, which call what they translate A


def _by_key(stems: dict[str, str], forms: dict[str, str], ending: str, domain: str) -> dict[str, list[str]]:
    """Return the files of each key that has any."""
    found: dict[str, list[str]] = {}
    for name, stem in stems.items():
        if stem.endswith(ending):
            base = stem.removesuffix(ending)
            key = forms.get(base) or forms.get(base.removesuffix(f"_{domain}"))
            if key is not None:
                found.setdefault(key, []).append(name)
    return found


def _first(listed: Sequence[str]) -> str:
    """Return the first names, and how many there are besides."""
    shown = [shortened(printable(name), 80) for name in listed[:NAMED]]
    return ", ".join(shown) + (f" and {len(listed) - NAMED:,} more" if len(listed) > NAMED else "")
