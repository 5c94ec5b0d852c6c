"""Tables as LaTeX, with booktabs."""

from collections.abc import Iterable, Sequence

from cgbench.reports.formats.blocks import Block

PREAMBLE = r"% needs \usepackage{booktabs}"
TEX_SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "†": r"$^\dagger$", "‡": r"$^\ddagger$", "±": r"$\pm$", "→": r"$\to$", "−": "$-$", "×": r"$\times$", "–": "--",
}  # fmt: skip


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


def tex_table(block: Block, text: Sequence[str]) -> str:
    """Return a table as LaTeX; the lines of `text` are its caption."""
    body = []
    for place, group in enumerate(block.groups):
        body += [r"\addlinespace"] if place and len(group) > 1 else []
        body += [tex_line(map(tex, line)) for line in group]
    return tex_float(text, "l" * len(block.headers), tex_line(map(tex, block.headers)), body)
