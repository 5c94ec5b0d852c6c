"""The formats of a comparison with a published table: Markdown, LaTeX (booktabs) and CSV."""

import csv as csvfile
import io
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from cgbench.reports.formats.latex import PREAMBLE, tex, tex_float, tex_line
from cgbench.reports.paper_tables.comparison import Block, Compared, blocks, caption, comparison, direction_of
from cgbench.reports.paper_tables.published import PaperTable
from cgbench.reports.sections.scores import escaped, markdown_table
from cgbench.results.run import Run

WIDTH = 110  # characters in a line of notes
CSV_COLUMNS = (
    "table", "row", "method", "score", "unit", "direction", "paper", "paper_confirmed", "paper_source", "paper_other",
    "ours", "ours_sd", "seeds", "trials", "difference", "status", "remark", "run", "dataset", "preset", "images",
)  # fmt: skip


def markdown(run: Run, table: PaperTable) -> str:
    """Return the comparison as Markdown: a heading, tables that a terminal can show, and notes."""
    rows = comparison(run, table)
    shown = blocks(rows, table)
    notes = map(bullet, caption(run, table, rows))
    first, *others = (f"{_md(block.heading)}\n\n{_md_table(block)}\n" for block in shown)
    return "\n".join([f"## {first}", "\n".join(notes) + "\n", *(f"### {text}" for text in others)])


def latex(run: Run, table: PaperTable) -> str:
    """Return the comparison as LaTeX, each table with its caption; the preamble needs booktabs."""
    rows = comparison(run, table)
    notes = caption(run, table, rows)
    parts = [PREAMBLE]
    for place, block in enumerate(blocks(rows, table)):
        text = [f"{block.heading}.", *notes] if place == 0 else [f"{block.heading}; marks as above."]
        parts.append(tex_table(block, text))
    return "\n".join(parts)


def csv(run: Run, table: PaperTable) -> str:
    """Return the comparison as CSV, one line per row and score, with six significant digits.

    `unit` is the metric, with the factor that brings it to the paper's unit; it is empty for what is quoted only.
    """
    direction = direction_of(run, table)
    lines = [line for row in comparison(run, table) for line in _csv_lines(row, run, table, direction)]
    return csv_lines(CSV_COLUMNS, lines)


def csv_lines(columns: Sequence[str], lines: Iterable[Mapping[str, object]]) -> str:
    """Return lines as CSV under their column names; what a line lacks is empty."""
    buffer = io.StringIO()
    writer = csvfile.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


FORMATS = {"md": markdown, "latex": latex, "csv": csv}


def _csv_lines(row: Compared, run: Run, table: PaperTable, direction: str) -> list[dict]:
    common = {"table": table.name, "row": row.row.name, "method": row.row.method or "", "remark": row.remark}
    common |= {"run": run.about["name"], "dataset": run.dataset["label"], "preset": run.about["preset"]}
    lines = []
    for entry in row.entries:
        score, paper = entry.score, entry.paper
        other = f"{paper.other.value:g} ({'; '.join(paper.other.sources)})" if paper.other else ""
        line = {"score": score.name, "unit": f"{score.scale} × {score.metric}" if score.scale > 1 else score.metric}
        line |= {"direction": direction if score.metric else "", "images": entry.n_images or ""}
        line |= {"paper": _six(paper.value), "paper_confirmed": "yes" if paper.confirmed else "no"}
        line |= {"paper_source": "; ".join(paper.sources), "paper_other": other}
        line |= {"ours": _six(entry.mean), "ours_sd": _six(entry.spread), "difference": _six(entry.difference)}
        line |= {"seeds": entry.n_seeds, "trials": entry.n_trials, "status": entry.status}
        lines.append({**common, **line})
    return lines


def _six(value: float) -> str:
    """Return a number with six significant digits, "" for NaN."""
    return "" if math.isnan(value) else f"{round(value, 9) + 0.0:.6g}"  # 0.3 - 0.1 - 0.2 is 0, not 3e-17


def _md_table(block: Block) -> str:
    lines = [
        [_md(text) for text in line] for line in (block.headers, *(line for group in block.groups for line in group))
    ]
    return markdown_table(lines)


def bullet(text: str) -> str:
    """Return a note as an item of a Markdown list, escaped and wrapped."""
    return textwrap.fill(
        _md(text), WIDTH, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def tex_table(block: Block, text: Sequence[str]) -> str:
    """Return a table as LaTeX; the lines of `text` are its caption."""
    body = []
    for place, group in enumerate(block.groups):
        body += [r"\addlinespace"] if place and len(group) > 1 else []
        body += [tex_line(map(tex, line)) for line in group]
    return tex_float(text, "l" * len(block.headers), tex_line(map(tex, block.headers)), body)


def _md(text: str) -> str:
    """Return text that Markdown shows as it is, on one line; leading blanks stay."""
    return " " * (len(text) - len(text.lstrip(" "))) + escaped(text)
