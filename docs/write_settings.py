"""The page of settings, written from the configuration: `python docs/write_settings.py`."""

from pathlib import Path
from typing import Any

from cgbench.config import FIELDS, TrialConfig
from cgbench.config_layers import PRESET_SUMMARIES, PRESETS

PAGE = Path(__file__).with_name("settings.md")
GROUPS = {"training": "Training", "evaluation": "Evaluation", "bookkeeping": "Bookkeeping"}
HEAD = """# Settings

`--set NAME=VALUE` changes one for all methods, `--set METHOD.NAME=VALUE` for one method, where the table has a yes.
Layers, later ones winning: the published recipe, preset, the method's defaults, the dataset's, the suite's, `--set`.
Every trial records each value with the layer that it came from. Settings of training alone make a trained model
another one.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    for kind, title in GROUPS.items():
        rows = [_row(name) for name, field in FIELDS.items() if field.metadata["affects"] == kind]
        table = "| setting | default | meaning | one method may set it |\n|---|---|---|---|"
        parts.append("\n".join([f"## {title}\n", table, *rows, ""]))
    presets = ["## Presets\n", "| preset | what it is | sets |", "|---|---|---|"]
    for name, values in PRESETS.items():
        listed = ", ".join(f"`{key}={_shown(value)}`" for key, value in values.items()) or "nothing: the recipe"
        presets.append(f"| `{name}` | {PRESET_SUMMARIES[name]} | {listed} |")
    return "\n".join([*parts, *presets]) + "\n"


def _row(name: str) -> str:
    data = FIELDS[name].metadata
    choices = f" One of {', '.join(f'`{choice}`' for choice in data['choices'])}." if data["choices"] else ""
    meaning = (data["doc"] + choices).replace("|", "\\|")
    return f"| `{name}` | `{_shown(getattr(TrialConfig(), name))}` | {meaning} | {'yes' if data['method'] else ''} |"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value != "" else "empty"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
