"""Tables as LaTeX, with booktabs."""

from collections.abc import Iterable, Sequence

from cgbench.reports.sections.scores import Cell, Table

PREAMBLE = r"% needs \usepackage{booktabs}"
TEX_SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "†": r"$^\dagger$", "‡": r"$^\ddagger$", "±": r"$\pm$", "→": r"$\to$", "−": "$-$", "×": r"$\times$", "–": "--",
}  # fmt: skip


def tables_latex(tables: Sequence[Table], title: str) -> str:
    """Return the tables of a summary as LaTeX floats, with `title` before their captions."""
    parts = [PREAMBLE]
    for table in tables:
        body = [tex_line([tex(row.label), *map(_cell, row.cells)]) for row in table.rows]
        head = tex_line(map(tex, ("method", *table.headers)))
        parts.append(tex_float([f"{title}.", table.caption], "l" + "r" * len(table.headers), head, body))
    return "\n".join(parts)


def tex_float(caption: Iterable[str], columns: str, head: str, body: Iterable[str]) -> str:
    """Return a table float; `caption` is plain text in lines, `head` and `body` are LaTeX."""
    lines = [r"\begin{table}", r"\centering", r"\caption{%", *map(tex, caption), "}"]
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def tex_line(cells: Iterable[str]) -> str:
    """Return cells, which are LaTeX, as a line of a table."""
    return " & ".join(cells).strip() + r" \\"


def tex(text: str) -> str:
    """Return text that LaTeX sets as it is, on one line."""
    return " ".join("".join(TEX_SIGNS.get(sign, sign) for sign in text).split())


def _cell(cell: Cell) -> str:
    return rf"\textbf{{{tex(cell.text)}}}" if cell.better else tex(cell.text)
