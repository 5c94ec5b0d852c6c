"""Answers files of the human test: read as data from strangers, checked against the study, never trusted.

The checksum finds files that were cut or edited by accident. It is no protection against somebody who means to cheat.
"""

import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cgbench.errors import CgbenchError
from cgbench.reports.perceptual_study.study import KEY_SUFFIX, Study, read_key

KIND = "cgbench study answers"
SCHEMA = 1
LARGEST = 1_000_000  # bytes; a session of 50 pairs has about 5,000
SIDES = ("left", "right")


class Rejected(CgbenchError):
    """An answers file that cannot be counted; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class Answer:
    """One answer: the numbers of the left and the right image, the side that was called real, whole milliseconds."""

    left: int
    right: int
    chosen: str
    response_ms: int
    shown_ms: int


@dataclass(frozen=True)
class Answers:
    """One answers file. `earlier_starts` counts starts under the same number in the same browser, None if unknown."""

    path: Path
    study: str
    participant: int
    session: str
    checksum: str
    earlier_starts: int | None
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Sorted:
    """The files that count, by participant, and the others with the reason why each does not."""

    valid: tuple[Answers, ...]
    rejected: tuple[tuple[Path, str], ...]


def read_answers(path: Path) -> Answers:
    """Read one answers file; whatever is wrong with the file itself raises `Rejected`."""
    content = _content(path)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise Rejected("is not an answers file of a study")
    if content.get("schema") != SCHEMA:
        raise Rejected("was made by a page of another version of cgbench")
    given = _text(content, "checksum", 8)
    if crc32({name: value for name, value in content.items() if name != "checksum"}) != given:
        raise Rejected("the checksum does not fit: it was cut or edited")
    started, finished = _time(content, "started"), _time(content, "finished")
    if finished < started:
        raise Rejected("ended before it began")
    trials = content.get("trials")
    if not isinstance(trials, list) or not all(isinstance(trial, dict) for trial in trials):
        raise Rejected("'trials' is not a list of answers")
    if [trial.get("trial") for trial in trials] != list(range(1, len(trials) + 1)):
        raise Rejected("the answers are not numbered from 1 on")
    earlier = None if content.get("earlier_starts", 0) is None else _count(content, "earlier_starts")
    return Answers(
        path, _text(content, "study", 12), _count(content, "participant"), _text(content, "session", 32), given,
        earlier, tuple(map(_answer, trials)),
    )  # fmt: skip


def crc32(content: Mapping[str, Any]) -> str:
    """Return the checksum of answers, 8 hex digits: CRC-32 of their JSON as the page's script writes it."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f"{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def find_study(found: Iterable[Answers], where: Path | None) -> Study:
    """Return the study that answers belong to: in the key file or run folder `where`, else looked for beside the
    answers and in `runs`. Answers to two studies, and a study that is not there, raise `CgbenchError`."""
    counts: dict[str, list[Path]] = defaultdict(list)
    for answers in found:
        counts[answers.study].append(answers.path)
    named = ", ".join(f"{name} ({len(paths)}, for example {paths[0]})" for name, paths in sorted(counts.items()))
    if where is None and len(counts) > 1:
        raise CgbenchError(f"these are answers to {len(counts)} studies: {named}; say which is meant with --study")
    folders = [where] if where else sorted({path.parent for paths in counts.values() for path in paths})
    files = key_files(folders) if where else key_files([*folders, *(folder.parent for folder in folders), Path("runs")])
    keys = {}
    for file in files:
        study = _key(file, strict=where is not None)
        if study:
            keys.setdefault(study.id, (file, study))
    matching = [name for name in counts if name in keys]
    if len(matching) > 1:
        options = " or ".join(str(keys[name][0]) for name in matching)
        raise CgbenchError(f"{where} has several studies with answers here: give --study {options}")
    if not matching:
        place = f"{where} holds {', '.join(keys) or 'no key of a study'}" if where else "its key was not found"
        hint = "" if where else "; give --study RUN, or the .key.json that 'cgbench study' wrote beside the page"
        raise CgbenchError(f"the answers belong to study {named}, and {place}{hint}")
    return keys[matching[0]][1]


def key_files(places: Iterable[Path]) -> list[Path]:
    """Return the key files at places: files, and what lies in a folder, in a run, or in a folder of runs."""
    found = []
    for place in places:
        if place.is_file():
            found.append(place)
        elif place.is_dir():
            patterns = (f"*{KEY_SUFFIX}", f"study/*{KEY_SUFFIX}", f"*/study/*{KEY_SUFFIX}")
            found += [path for pattern in patterns for path in sorted(place.glob(pattern))]
    return list(dict.fromkeys(found))


def sort_answers(files: Sequence[Answers], study: Study) -> Sorted:
    """Return which files count. A second copy of a file does not; of two different sessions of one participant neither
    does, because nothing shows which was the first."""
    rejected: list[tuple[Path, str]] = []
    fitting: list[Answers] = []
    for answers in files:
        try:
            check(answers, study)
            fitting.append(answers)
        except Rejected as error:
            rejected.append((answers.path, str(error)))
    unique: list[Answers] = []
    for answers in fitting:
        first = next((other for other in unique if replace(other, path=answers.path) == answers), None)
        if first:
            rejected.append((answers.path, f"is a copy of {first.path}"))
        else:
            unique.append(answers)
    valid = []
    for answers in sorted(unique, key=lambda answers: answers.participant):
        clash = [other for other in unique if other is not answers and _clash(other, answers)]
        if clash:
            others = ", ".join(str(other.path) for other in clash)
            same = any(other.session == answers.session for other in clash)
            what = "the same session with other answers as" if same else "another session than"
            rejected.append((answers.path, f"participant {answers.participant}: {what} {others}; keep the first only"))
        else:
            valid.append(answers)
    return Sorted(tuple(valid), tuple(rejected))


def check(answers: Answers, study: Study) -> None:
    """Raise `Rejected` where answers do not fit the study: another one, no such participant, other pairs."""
    if answers.study != study.id:
        raise Rejected(f"belongs to study {answers.study}, not to {study.id} (run {study.run})")
    if not 1 <= answers.participant <= len(study.sessions):
        raise Rejected(f"there is no participant {answers.participant}: numbers go from 1 to {len(study.sessions)}")
    if len(answers.answers) != study.trials:
        raise Rejected(f"has {len(answers.answers)} answers, and a session has {study.trials}")
    shown = tuple((answer.left, answer.right) for answer in answers.answers)
    if shown != study.sessions[answers.participant - 1].pairs:
        raise Rejected(f"the pairs are not those of participant {answers.participant}")


def _clash(one: Answers, other: Answers) -> bool:
    return one.participant == other.participant or one.session == other.session


def _key(file: Path, strict: bool) -> Study | None:
    """Return the study of a key file. One that merely lies about must not stop the scoring of another study."""
    try:
        return read_key(file)
    except CgbenchError:
        if strict:
            raise
        return None


def _content(path: Path) -> Any:
    """Return the JSON of a file that may be anything."""
    if not path.exists():
        raise Rejected("is not there")
    if not path.is_file():
        raise Rejected("is not a file")
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Rejected(f"is larger than any answers file ({LARGEST // 1000} kB)")
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise Rejected("is not complete JSON: it was cut or is another kind of file") from None


def _answer(trial: Mapping[str, Any]) -> Answer:
    if trial.get("chosen") not in SIDES:
        raise Rejected("an answer is neither left nor right")
    numbers = (_count(trial, name) for name in ("left", "right", "response_ms", "shown_ms"))
    left, right, response, shown = numbers
    return Answer(left, right, trial["chosen"], response, shown)


def _count(content: Mapping[str, Any], name: str) -> int:
    value = content.get(name)
    if type(value) is not int or not 0 <= value < 10**12:
        raise Rejected(f"'{name}' is not a whole number")
    return value


def _text(content: Mapping[str, Any], name: str, length: int) -> str:
    """Return a field of `length` hex digits."""
    value = content.get(name)
    if not isinstance(value, str) or len(value) != length or set(value) - set("0123456789abcdef"):
        raise Rejected(f"'{name}' is not {length} hex digits")
    return value


def _time(content: Mapping[str, Any], name: str) -> datetime:
    try:
        found = datetime.fromisoformat(content.get(name))
    except (TypeError, ValueError):
        found = None
    if found is None or found.tzinfo is None:
        raise Rejected(f"'{name}' is not a time")
    return found
