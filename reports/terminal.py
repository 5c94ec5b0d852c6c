"""The summary of a run for a terminal: headlines, scores in columns that fit, failures found, what to know."""

from collections.abc import Iterator, Sequence

from cgbench.api.names import FailureState, Role
from cgbench.formatting import MIN_WIDTH, wrapped
from cgbench.reports.contents import ReportContents, title, warnings
from cgbench.reports.sections.failures import FailureTable
from cgbench.reports.sections.score_tables import Cell, Table
from cgbench.results.run import UNTRAINED

GAP = "  "
BOLD, NORMAL = "\x1b[1m", "\x1b[22m"


def terminal_text(contents: ReportContents, width: int, bold: bool = True) -> str:
    """Return the scores of a run as plain text of lines of at most `width` characters, with what to know about them;
    what is in `table.md` and on the page alone are differences, how failures are told, checkpoints and costs.

    Wide tables go on below, with the methods' names again. Numbers that are better than the reference's are bold, with
    the control sequences of a terminal, unless `bold` is False.
    """
    run, width = contents.run, max(width, MIN_WIDTH)
    first = (title(run), *warnings(run), *contents.test_images(), *contents.headlines())
    parts = [wrapped(text, width) for text in first]
    for table in contents.layout():
        parts.append(f"{table.direction}: {table.name}")
        parts += ["\n".join(lines) for lines in _blocks(table, width, bold)]
        parts.append(wrapped(table.caption, width))
    parts += [wrapped(text, width) for text in contents.caveats()]
    for found in contents.failure_tables() if len(contents.failures) else ():
        parts.append("\n".join(wrapped(text, width, later="  ") for text in _failures(found)))
    return "\n\n".join(parts) + "\n"


def _blocks(table: Table, width: int, bold: bool) -> Iterator[list[str]]:
    """Yield the lines of the table, of as many columns at a time as fit, at least one."""
    names = ["method", *(row.label for row in table.rows)]
    start = max(map(len, names))
    columns = [
        (header, [row.cells[place] if row.cells else Cell("", "", "") for row in table.rows])
        for place, header in enumerate(table.headers)
    ]
    block: list[list[str]] = [[name.ljust(start) for name in names]]
    used = start
    for header, cells in columns:
        size = max(len(header), *(len(cell.text) for cell in cells))
        if used + len(GAP) + size > width and len(block) > 1:
            yield _lines(block)
            block, used = block[:1], start
        block.append([header.ljust(size), *(_padded(cell, size, bold) for cell in cells)])
        used += len(GAP) + size
    yield _lines(block)


def _lines(block: Sequence[Sequence[str]]) -> list[str]:
    return [GAP.join(cells).rstrip() for cells in zip(*block, strict=True)]


def _padded(cell: Cell, size: int, bold: bool) -> str:
    shown = f"{BOLD}{cell.text}{NORMAL}" if cell.better and bold else cell.text
    return shown + " " * (size - len(cell.text))


def _failures(table: FailureTable) -> Iterator[str]:
    """Yield a heading, one line per method that is no bound, with the failures that its seeds have, and what nobody can
    tell."""
    yield f"{table.direction}, failures (seeds that have them):"
    trained = [
        (f"{method} ({role})" if role == Role.EXTERNAL else method, cells)
        for method, role, cells in table.rows
        if role not in UNTRAINED
    ]
    for method, cells in trained:
        found = [
            f"{label} {cell.main.partition(' · ')[0]}"
            for label, cell in zip(table.headers, cells, strict=True)
            if cell.found
        ]
        yield f"{method}: {', '.join(found) or 'none found'}"
    judged = zip(table.headers, zip(*(cells for _, cells in trained), strict=True), strict=True)
    silent = [label for label, cells in judged if all(cell.main == FailureState.UNJUDGED for cell in cells)]
    if trained and silent:
        yield f"{FailureState.UNJUDGED} here: {', '.join(silent)}"
