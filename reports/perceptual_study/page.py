"""The page of a study: one HTML file that runs a participant's session and saves the answers as a file."""

import base64
import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cgbench.files import write_text
from cgbench.reports.formats.html import render
from cgbench.reports.perceptual_study.study import KEY_SUFFIX, Study, write_key


def write_study(path: Path, study: Study, images: list[bytes]) -> Path:
    """Write the page to `path` and the key beside it; return the path of the key."""
    key = key_path(path)
    write_key(key, study)
    write_text(path, html(study, images))
    return key


def key_path(page: Path) -> Path:
    """Return the path of the key of a page: `study-AtoB.key.json` beside `study-AtoB.html`."""
    return page.with_suffix(KEY_SUFFIX)


def html(study: Study, images: list[bytes]) -> str:
    """Return the page. It contains no method's name, and not which image of a scored pair is real; of practice pairs it
    does, for the feedback. `images` are WebP files by their numbers."""
    return render("study", study=study, data=_data_block(page_data(study, images)))


def page_data(study: Study, images: list[bytes]) -> dict[str, Any]:
    """Return the data of the page's script. A practice pair has a third entry, the side of the real image."""
    sessions = [
        [
            [*pair, study.real_side(pair)] if index < study.practice else [*pair]
            for index, pair in enumerate(session.pairs)
        ]
        for session in study.sessions
    ]
    return {
        "study": study.id,
        "run": study.run,
        "shown_ms": study.shown_ms,
        "practice": study.practice,
        "sessions": sessions,
        "images": [base64.b64encode(image).decode() for image in images],
    }


def _data_block(value: dict[str, Any]) -> Markup:
    """Return JSON escaped so that it cannot close the script element around it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
