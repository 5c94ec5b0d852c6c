"""A small study of a run of `run_folder`, and answers as its page would write them."""

import json
import zlib

from cgbench.reports.perceptual_study.page import write_study
from cgbench.reports.perceptual_study.study import StudyOptions, make_study
from cgbench.results.run import read_run
from helpers.run_folder import build_run

TRAINED = ("cyclegan", "gan_only")
OPTIONS = StudyOptions(participants=3, practice=2, scored=5)


def build_study(folder, options=OPTIONS, images=8, side=8):
    """Write a run, its page and its key into `folder`; return the study and the page."""
    run = build_run(folder / "run", methods=(*TRAINED, "shuffled", "real"), seeds=(0, 1), images=images, side=side)
    study, files, left_out = make_study(read_run(run), options)
    assert not left_out
    page = run / "study" / f"study-{study.direction}.html"
    write_study(page, study, files)
    return study, page


def answers(study, participant, fooled=0, session=None, **changes):
    """Return a participant's answers, of which the first `fooled` scored ones are wrong, with a valid checksum."""
    trials = []
    for index, pair in enumerate(study.sessions[participant - 1].pairs):
        real = study.real_side(pair)
        wrong = study.practice <= index < study.practice + fooled
        chosen = {"left": "right", "right": "left"}[real] if wrong else real
        trials.append({"trial": index + 1, "left": pair[0], "right": pair[1], "chosen": chosen,
                       "response_ms": 400 + index, "shown_ms": 1000})  # fmt: skip
    content = {
        "kind": "cgbench study answers", "schema": 1, "study": study.id, "run": study.run, "participant": participant,
        "session": session or f"{participant:032x}", "started": "2025-01-02T03:04:05.678Z", "earlier_starts": 0,
        "window": [1366, 648], "image_pixels": 384, "trials": trials, "finished": "2025-01-02T03:07:05.678Z",
    }  # fmt: skip
    return signed({**content, **changes})


def signed(content):
    """Return answers with their valid checksum."""
    content = {name: value for name, value in content.items() if name != "checksum"}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return {**content, "checksum": f"{zlib.crc32(text.encode()):08x}"}


def write(path, content):
    """Write answers as the page does and return the path."""
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    return path
