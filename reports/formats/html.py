"""Self-contained HTML pages: a template with its style sheets and its script inlined."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cgbench.formatting import duration

TEMPLATES = Path(__file__).parent.parent / "templates"


def render(name: str, parts: Sequence[str] = (), **context: Any) -> str:
    """Return the page of the template `NAME.html.j2` with `theme.css`, `NAME.css` and `NAME.js`, and the style sheets
    and scripts of `parts`, inlined.

    All values in `context` are escaped. The template gets `script_checksum` for its content security policy, which
    allows its own script only.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["duration"] = lambda seconds: "" if seconds is None else duration(seconds)
    script, style = _joined((name, *parts), "js"), _joined(("theme", name, *parts), "css")
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(f"{name}.html.j2").render(
        style=Markup(style),
        script=Markup(script),
        script_checksum=checksum,
        **context,
    )


def _joined(names: Sequence[str], kind: str) -> str:
    return "".join((TEMPLATES / f"{name}.{kind}").read_text(encoding="utf-8") for name in names)
