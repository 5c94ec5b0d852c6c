"""Tables as LaTeX, with booktabs."""

from collections.abc import Iterable, Sequence

from cgbench.reports.formats.blocks import Block

PREAMBLE = r"% needs \usepackage{booktabs}"
TEX_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "†": r"$^\dagger$", "‡": r"$^\ddagger$", "±": r"$\pm$", "→": r"$\to$", "−": "$-$", "×": r"$\times$", "–": "--",
    "▼": r"$\bigtriangledown$",
}  # fmt: skip


def tex_float(caption: Iterable[str], columns: str, head: str, body: Iterable[str]) -> str:
    """Return a table float. `caption` is lines of plain text; `columns`, `head` and `body` are LaTeX."""
    lines = [r"\begin{table}", r"\centering", r"\caption{%", *map(tex, caption), "}"]
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def tex_line(cells: Iterable[str]) -> str:
    """Return cells in LaTeX as a line of a table."""
    return " & ".join(cells).strip() + r" \\"


def tex(text: str) -> str:
    """Return plain text escaped for LaTeX, on one line."""
    return " ".join("".join(TEX_ESCAPES.get(character, character) for character in text).split())


def tex_table(block: Block, caption: Sequence[str]) -> str:
    """Return a table as LaTeX; `caption` is lines of plain text."""
    body = []
    for index, group in enumerate(block.groups):
        body += [r"\addlinespace"] if index and len(group) > 1 else []
        body += [tex_line(map(tex, line)) for line in group]
    return tex_float(caption, "l" * len(block.headers), tex_line(map(tex, block.headers)), body)
