"""Answers files of the perceptual study: untrusted input, validated against the study.

The checksum detects files that were truncated or edited by accident. It is no protection against forged answers.
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
from cgbench.files import open_file
from cgbench.reports.perceptual_study.study import KEY_SUFFIX, Study, read_key

KIND = "cgbench study answers"
SCHEMA = 1
MAX_BYTES = 1_000_000  # a session of 50 pairs has about 5,000
SIDES = ("left", "right")


class Rejected(CgbenchError):
    """Raised for an answers file that does not count; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class Answer:
    """One answer: the numbers of the left and the right image, the side labelled real, and times in milliseconds."""

    left: int
    right: int
    chosen: str
    response_ms: int
    shown_ms: int


@dataclass(frozen=True)
class Answers:
    """One answers file. `earlier_starts` counts starts with the same number in the same browser, None if unknown."""

    path: Path
    study: str
    participant: int
    session: str
    checksum: str
    earlier_starts: int | None
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class SortedAnswers:
    """The files that count, by participant, and the paths of the others with the reason why each does not."""

    valid: tuple[Answers, ...]
    rejected: tuple[tuple[Path, str], ...]


def read_answers(path: Path) -> Answers:
    """Read one answers file; one that is malformed raises `Rejected`."""
    content = _content(path)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise Rejected("is not an answers file of a study")
    if content.get("schema") != SCHEMA:
        raise Rejected("was made by a page of another version of cgbench")
    checksum = _hex_digits(content, "checksum", 8)
    if crc32({name: value for name, value in content.items() if name != "checksum"}) != checksum:
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
        path, _hex_digits(content, "study", 12), _count(content, "participant"),
        _hex_digits(content, "session", 32), checksum, earlier, tuple(map(_answer, trials)),
    )  # fmt: skip


def crc32(content: Mapping[str, Any]) -> str:
    """Return the checksum of answers, 8 hex digits: CRC-32 of their JSON in the form that the page's script writes."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f"{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def find_study(files: Iterable[Answers], location: Path | None) -> Study:
    """Return the study that answers belong to: from the key file or run folder `location`, else from a key beside the
    answers or in `runs`. Answers to two studies, and a study without a key there, raise `CgbenchError`."""
    by_study: dict[str, list[Path]] = defaultdict(list)
    for answers in files:
        by_study[answers.study].append(answers.path)
    named = ", ".join(f"{name} ({len(paths)}, for example {paths[0]})" for name, paths in sorted(by_study.items()))
    if location is None and len(by_study) > 1:
        raise CgbenchError(f"these are answers to {len(by_study)} studies: {named}; say which is meant with --study")
    folders = sorted({path.parent for paths in by_study.values() for path in paths})
    default = [*folders, *(folder.parent for folder in folders), Path("runs")]
    keys: dict[str, tuple[Path, Study]] = {}
    for file in key_files([location] if location else default):
        study = _key(file, strict=location is not None)
        if study:
            keys.setdefault(study.id, (file, study))
    matching = [name for name in by_study if name in keys]
    if len(matching) > 1:
        options = " or ".join(str(keys[name][0]) for name in matching)
        raise CgbenchError(f"{location} has several studies with answers here: give --study {options}")
    if not matching:
        place = f"{location} holds {', '.join(keys) or 'no key of a study'}" if location else "its key was not found"
        hint = "" if location else "; give --study RUN, or the .key.json that 'cgbench study' wrote beside the page"
        raise CgbenchError(f"the answers belong to study {named}, and {place}{hint}")
    return keys[matching[0]][1]


def key_files(locations: Iterable[Path]) -> list[Path]:
    """Return the key files at `locations`, each a key file, a folder of them, a run, or a folder of runs."""
    files = []
    for location in locations:
        if location.is_file():
            files.append(location)
        elif location.is_dir():
            patterns = (f"*{KEY_SUFFIX}", f"study/*{KEY_SUFFIX}", f"*/study/*{KEY_SUFFIX}")
            files += [path for pattern in patterns for path in sorted(location.glob(pattern))]
    return list(dict.fromkeys(files))


def sort_answers(files: Sequence[Answers], study: Study) -> SortedAnswers:
    """Return the files that count and those that do not. A copy of a file does not count, and of two different sessions
    of one participant neither does, as it is unknown which was the first."""
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
        first = next((entry for entry in unique if replace(entry, path=answers.path) == answers), None)
        if first:
            rejected.append((answers.path, f"is a copy of {first.path}"))
        else:
            unique.append(answers)
    valid = []
    for answers in sorted(unique, key=lambda answers: answers.participant):
        rivals = [entry for entry in unique if entry is not answers and _conflict(entry, answers)]
        if rivals:
            paths = ", ".join(str(entry.path) for entry in rivals)
            same = any(entry.session == answers.session for entry in rivals)
            relation = "the same session with other answers as" if same else "another session than"
            reason = f"participant {answers.participant}: {relation} {paths}; keep the first only"
            rejected.append((answers.path, reason))
        else:
            valid.append(answers)
    return SortedAnswers(tuple(valid), tuple(rejected))


def check(answers: Answers, study: Study) -> None:
    """Raise `Rejected` where answers are to another study, of an unknown participant, or to other pairs."""
    if answers.study != study.id:
        raise Rejected(f"belongs to study {answers.study}, not to {study.id} (run {study.run})")
    if not 1 <= answers.participant <= len(study.sessions):
        raise Rejected(f"there is no participant {answers.participant}: numbers go from 1 to {len(study.sessions)}")
    if len(answers.answers) != study.trials:
        raise Rejected(f"has {len(answers.answers)} answers, and a session has {study.trials}")
    shown = tuple((answer.left, answer.right) for answer in answers.answers)
    if shown != study.sessions[answers.participant - 1].pairs:
        raise Rejected(f"the pairs are not those of participant {answers.participant}")


def _conflict(first: Answers, second: Answers) -> bool:
    return first.participant == second.participant or first.session == second.session


def _key(file: Path, strict: bool) -> Study | None:
    """Return the study of a key file. Unless `strict`, an unreadable one is None: it may be of another study."""
    try:
        return read_key(file)
    except CgbenchError:
        if strict:
            raise
        return None


def _content(path: Path) -> Any:
    """Return the JSON of a file with unknown content."""
    try:
        with open_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Rejected("is not there") from None
    except CgbenchError:
        raise Rejected("is not a file") from None
    except OSError as error:
        raise Rejected(f"cannot be opened ({error.strerror})") from None
    if len(data) > MAX_BYTES:
        raise Rejected(f"is larger than any answers file ({MAX_BYTES // 1000} kB)")
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise Rejected("is not complete JSON: it was cut or is another kind of file") from None


def _answer(trial: Mapping[str, Any]) -> Answer:
    if trial.get("chosen") not in SIDES:
        raise Rejected("an answer is neither left nor right")
    left, right, response_ms, shown_ms = (_count(trial, name) for name in ("left", "right", "response_ms", "shown_ms"))
    return Answer(left, right, trial["chosen"], response_ms, shown_ms)


def _count(content: Mapping[str, Any], name: str) -> int:
    value = content.get(name)
    if type(value) is not int or not 0 <= value < 10**12:
        raise Rejected(f"'{name}' is not a whole number")
    return value


def _hex_digits(content: Mapping[str, Any], name: str, length: int) -> str:
    """Return a field of `length` hex digits."""
    value = content.get(name)
    if not isinstance(value, str) or len(value) != length or set(value) - set("0123456789abcdef"):
        raise Rejected(f"'{name}' is not {length} hex digits")
    return value


def _time(content: Mapping[str, Any], name: str) -> datetime:
    try:
        time = datetime.fromisoformat(content.get(name, ""))
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise Rejected(f"'{name}' is not a time")
    return time
