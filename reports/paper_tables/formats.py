"""Output of a comparison with a published table as Markdown, LaTeX (booktabs) and CSV."""

from typing import Any

from cgbench.reports.formats.blocks import Block
from cgbench.reports.formats.csv import csv_lines, six_digits
from cgbench.reports.formats.latex import PREAMBLE, tex_table
from cgbench.reports.formats.markdown import bullet, escaped_text, markdown_table
from cgbench.reports.paper_tables.comparison import ComparedRow, blocks, caption, comparison, direction_of
from cgbench.reports.paper_tables.published import PaperTable
from cgbench.results.run import RunRecords

CSV_COLUMNS = (
    "table", "row", "method", "score", "unit", "direction", "paper", "paper_confirmed", "paper_source", "paper_other",
    "ours", "ours_sd", "seeds", "trials", "difference", "status", "remark", "run", "dataset", "preset", "images",
)  # fmt: skip


def markdown(run: RunRecords, table: PaperTable) -> str:
    """Return the comparison as Markdown: a heading, tables that fit a terminal, and notes."""
    rows = comparison(run, table)
    shown = blocks(rows, table)
    notes = map(bullet, caption(run, table, rows))
    first, *others = (f"{escaped_text(block.heading)}\n\n{_md_table(block)}\n" for block in shown)
    return "\n".join([f"## {first}", "\n".join(notes) + "\n", *(f"### {text}" for text in others)])


def latex(run: RunRecords, table: PaperTable) -> str:
    """Return the comparison as LaTeX, each table with its caption; the preamble needs booktabs."""
    rows = comparison(run, table)
    notes = caption(run, table, rows)
    parts = [PREAMBLE]
    for index, block in enumerate(blocks(rows, table)):
        lines = [f"{block.heading}.", *notes] if index == 0 else [f"{block.heading}; marks as above."]
        parts.append(tex_table(block, lines))
    return "\n".join(parts)


def csv(run: RunRecords, table: PaperTable) -> str:
    """Return the comparison as CSV, one line per row and score, with six significant digits.

    `unit` is the metric, with the factor that converts it to the paper's unit; it is empty for quoted columns.
    """
    direction = direction_of(run, table)
    lines = [line for row in comparison(run, table) for line in _csv_lines(row, run, table, direction)]
    return csv_lines(CSV_COLUMNS, lines)


FORMATS = {"md": markdown, "latex": latex, "csv": csv}


def _csv_lines(row: ComparedRow, run: RunRecords, table: PaperTable, direction: str) -> list[dict]:
    common = {"table": table.name, "row": row.row.name, "method": row.row.method or "", "remark": row.overrides}
    common |= {"run": run.metadata["name"], "dataset": run.dataset["label"], "preset": run.metadata["preset"]}
    lines = []
    for entry in row.entries:
        score, paper = entry.score, entry.paper
        alternative = (
            f"{paper.alternative.value:g} ({'; '.join(paper.alternative.sources)})" if paper.alternative else ""
        )
        unit = f"{score.scale} × {score.metric}" if score.scale > 1 else score.metric
        line: dict[str, Any] = {"score": score.name, "unit": unit}
        line |= {"direction": direction if score.metric else "", "images": entry.n_images or ""}
        line |= {"paper": six_digits(paper.value), "paper_confirmed": "yes" if paper.confirmed else "no"}
        line |= {"paper_source": "; ".join(paper.sources), "paper_other": alternative}
        line |= {
            "ours": six_digits(entry.mean),
            "ours_sd": six_digits(entry.spread),
            "difference": six_digits(entry.difference),
        }
        line |= {"seeds": entry.n_seeds, "trials": entry.n_trials, "status": entry.status}
        lines.append({**common, **line})
    return lines


def _md_table(block: Block) -> str:
    lines = [
        [escaped_text(text) for text in line]
        for line in (block.headers, *(line for group in block.groups for line in group))
    ]
    return markdown_table(lines)
