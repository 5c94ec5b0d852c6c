"""The page of a study: one HTML file that plays a participant's session and hands over the answers as a file."""

import base64
import json
from pathlib import Path

from markupsafe import Markup

from cgbench.files import write_text
from cgbench.reports.formats.html import render
from cgbench.reports.perceptual_study.study import KEY_SUFFIX, Study, write_key


def write_study(path: Path, study: Study, pictures: list[bytes]) -> Path:
    """Write the page to `path` and the key beside it; return the key's path."""
    key = key_path(path)
    write_key(key, study)
    write_text(path, html(study, pictures))
    return key


def key_path(page: Path) -> Path:
    """Return where the key of a page lies: `study-AtoB.key.json` beside `study-AtoB.html`."""
    return page.with_suffix(KEY_SUFFIX)


def html(study: Study, pictures: list[bytes]) -> str:
    """Return the page. It names no method and does not say which image of a scored pair is real; practice pairs do,
    for the feedback. `pictures` are WebP files by their numbers."""
    return render("study", study=study, data=_data_block(page_data(study, pictures)))


def page_data(study: Study, pictures: list[bytes]) -> dict:
    """Return what the page's script knows. A practice pair has a third entry, the side of the real image."""
    sessions = [
        [
            [*pair, study.real_side(pair)] if place < study.practice else [*pair]
            for place, pair in enumerate(session.pairs)
        ]
        for session in study.sessions
    ]
    return {
        "study": study.id,
        "run": study.run,
        "shown_ms": study.shown_ms,
        "practice": study.practice,
        "sessions": sessions,
        "images": [base64.b64encode(picture).decode() for picture in pictures],
    }


def _data_block(value: dict) -> Markup:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
