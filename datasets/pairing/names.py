"""Pairing of two folders by their file names: the rules, from strict to loose, and what each leaves over."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

MOST = 0.9  # share of names that must agree, for an affix that few lack and for folders that are pairs but for a few
DENSE = 0.5  # share of a range of numbers from which the numbers only count the files
TOKENS = re.compile(r"\d+|[^\W\d_]+|.", re.DOTALL)
# a file of domain A or B by its own marker: 001-A, 001_real_b, A_001
MARKERS = [
    re.compile(rf"(?P<before>.+?)[_\-. ]+(real[_\-. ]?)?{letter}|(real[_\-. ]?)?{letter}[_\-. ]+(?P<after>.+)", re.I)
    for letter in "AB"
]
IGNORED = {(): "", ("zeros",): "leading zeros", ("case",): "letter case", ("zeros", "case"): "leading zeros and case"}

Key = Callable[[str], str | None]  # of a name; None where the rule says nothing of it


@dataclass(frozen=True)
class Pairing:
    """Which names of two folders belong together: `rule` says by what, `pairs` are (key, index in the first folder,
    index in the second) by ascending key, `left` the indices of each folder's other names.

    `running` says that the keys do no more than count the files, as in two folders of 1, 2, 3 or of A_1 and B_1: the
    names are then no evidence that the images belong together.
    """

    rule: str
    pairs: tuple[tuple[str, int, int], ...]
    left: tuple[tuple[int, ...], tuple[int, ...]]
    running: bool = False

    @property
    def complete(self) -> bool:
        """Whether every name of both folders has a partner."""
        return bool(self.pairs) and not any(self.left)

    @property
    def almost(self) -> bool:
        """Whether all but a few names have a partner."""
        larger = len(self.pairs) + max(map(len, self.left))
        return bool(self.pairs) and not self.complete and len(self.pairs) >= MOST * larger


def without_marker(name: str) -> str:
    """Return a name without a trailing `_A` or `_B`."""
    return name[:-2] if name.endswith(("_A", "_B")) and len(name) > 2 else name


def match_names(first: Sequence[str], second: Sequence[str]) -> Pairing:
    """Return how two folders' names, without extensions, belong together: by the strictest rule that leaves nothing
    over, else by the one that matches most. A name that a rule gives to two files of a folder is matched by none."""
    best = Pairing("", (), (tuple(range(len(first))), tuple(range(len(second)))))
    for rule, keys, says in _rules(first, second):
        found = _matched(rule, first, second, keys, says)
        if len(found.pairs) > len(best.pairs):
            best = found
        if found.complete:
            break
    return best


def _rules(first: Sequence[str], second: Sequence[str]) -> Iterator[tuple[str, tuple[Key, Key], bool]]:
    """Yield (rule in words, key of each folder's names, whether the names themselves say that they are pairs): a
    trailing _A or _B does, as the public paired sets (maps, facades) have it."""
    marked = any(without_marker(name) != name for name in (*first, *second))
    same = "by the same name"
    names: list[tuple[str, list[Key], bool]] = [
        (f"{same} without a trailing _A or _B" if marked else same, [without_marker] * 2, marked),
        (same, [str] * 2, False),
        (f"{same} without the mark of its domain, A or B", [_marker_key(marker) for marker in MARKERS], False),
    ]  # fmt: skip
    for ignored, words in IGNORED.items():
        for rule, keys, says in names:
            yield _but_for(rule, words), _ignoring(keys, ignored), says
    for share in (1.0, MOST):
        affixes = [_affixes(folder, share) for folder in (first, second)]
        if affixes[0] == affixes[1] or min(len(first), len(second)) < 2:
            continue
        parts = " and ".join(f"{prefix}…{suffix}" for prefix, suffix in affixes)
        keys = [_affix_key(*affix) for affix in affixes]
        for ignored, words in IGNORED.items():
            yield _but_for(f"by the part … of {parts}", words), _ignoring(keys, ignored), False


def _but_for(rule: str, words: str) -> str:
    return f"{rule}, but for {words}" if words else rule


def _marker_key(marker: re.Pattern) -> Key:
    def key(name: str) -> str:
        found = marker.fullmatch(name)
        return (found["before"] or found["after"]) if found else name

    return key


def _affix_key(prefix: str, suffix: str) -> Key:
    def key(name: str) -> str | None:
        inner = len(name) > len(prefix) + len(suffix) and name.startswith(prefix) and name.endswith(suffix)
        return name[len(prefix) : len(name) - len(suffix)] if inner else None

    return key


def _ignoring(keys: Sequence[Key], ignored: Sequence[str]) -> tuple[Key, Key]:
    """Return the keys with leading zeros of numbers and the case of letters removed, as `ignored` says."""

    def changed(key: Key) -> Key:
        def plain(name: str) -> str | None:
            text = key(name)
            if text is not None and "zeros" in ignored:
                text = re.sub(r"(?<![0-9])0+(?=[0-9])", "", text)
            return text.casefold() if text is not None and "case" in ignored else text

        return plain

    return changed(keys[0]), changed(keys[1])


def _affixes(names: Sequence[str], share: float) -> tuple[str, str]:
    """Return what at least `share` of the names begin and end with, in whole words, numbers and signs. Something is
    left of every name that has both."""
    kept = [TOKENS.findall(name) for name in names]
    found = {}
    for place in (0, -1):
        parts: list[str] = []
        while True:
            counts = Counter(tokens[place] for tokens in kept if len(tokens) > 1)
            token, count = counts.most_common(1)[0] if counts else ("", 0)
            if count < max(share * len(names), 1):
                break
            parts.append(token)
            kept = [
                tokens[1:] if place == 0 else tokens[:-1]
                for tokens in kept
                if len(tokens) > 1 and tokens[place] == token
            ]
        found[place] = parts
    return "".join(found[0]), "".join(reversed(found[-1]))


def _matched(
    rule: str, first: Sequence[str], second: Sequence[str], keys: tuple[Key, Key], says: bool
) -> Pairing:  # fmt: skip
    places = []
    for names, key in zip((first, second), keys, strict=True):
        found = [key(name) for name in names]
        counts = Counter(found)
        places.append({name: index for index, name in enumerate(found) if name and counts[name] == 1})
    shared = sorted(places[0].keys() & places[1].keys())
    pairs = tuple((key, places[0][key], places[1][key]) for key in shared)
    left = [
        tuple(sorted(set(range(len(names))) - {places[side][key] for key in shared}))
        for side, names in enumerate((first, second))
    ]
    return Pairing(rule, pairs, (left[0], left[1]), not says and _only_count(shared))


def _only_count(keys: Sequence[str]) -> bool:
    """Return whether keys do no more than count: in every place where they differ stand single letters and digits, or
    numbers that fill a good part of their range. A single key is no evidence either."""
    if len(keys) < 2:
        return True
    parts = [TOKENS.findall(key) for key in keys]
    if len({len(tokens) for tokens in parts}) > 1:
        return all(len(key) == 1 for key in keys)
    varying = [values for values in map(set, zip(*parts, strict=True)) if len(values) > 1]
    return all(all(len(value) == 1 for value in values) or _fill_a_range(values) for values in varying)


def _fill_a_range(values: Iterable[str]) -> bool:
    """Return whether texts are numbers of which most in their range are there, apart from a common step."""
    texts = list(values)
    if not all(re.fullmatch(r"\d{1,18}", text) for text in texts):
        return False
    numbers = sorted(set(map(int, texts)))
    step = math.gcd(*(after - before for before, after in pairwise(numbers))) or 1
    return len(numbers) >= DENSE * ((numbers[-1] - numbers[0]) / step + 1)
