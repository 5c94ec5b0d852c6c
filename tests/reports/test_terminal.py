"""The summary of a run for a terminal: lines that fit, and every score in them."""

import re

import pytest

from cgbench.reports.contents import collect_contents
from cgbench.reports.terminal import BOLD, NORMAL, terminal_text
from helpers.cli import cgbench, cgbench_on_terminal
from helpers.known_differences import measured
from helpers.run_folder import VALUES, add_failures, build_run

SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("width", [10, 80, 100, 400])
def test_lines_fit_and_hold_every_score(tmp_path, width):
    contents = collect_contents(measured(tmp_path), VALUES)
    text = terminal_text(contents, width, bold=False)
    tables = contents.layout()
    widest = max(len(row.label) + 2 + len(cell.text) for table in tables for row in table.rows for cell in row.cells)
    for line in text.splitlines():
        assert len(line) <= max(60, width, widest) or " " not in line.strip(), line
    for table in tables:
        for row in table.rows:
            lines = [line for line in text.splitlines() if line.startswith(f"{row.label} ")]
            assert all(any(cell.text in line for line in lines) for cell in row.cells)
    for said in (*contents.headlines(), *contents.caveats(), *(table.caption for table in tables)):
        assert " ".join(said.split()) in " ".join(text.split())


def test_a_wide_terminal_has_one_table_per_direction(tmp_path):
    contents = collect_contents(measured(tmp_path), VALUES)
    heads = [line for line in terminal_text(contents, 400).splitlines() if line.startswith("method ")]
    assert len(heads) == len(contents.layout())


def test_better_numbers_are_bold_where_the_terminal_can(tmp_path):
    contents = collect_contents(measured(tmp_path), VALUES, "gan_only")
    assert f"{BOLD}0.517 ± 0.021" in terminal_text(contents, 100)
    plain = terminal_text(contents, 100, bold=False)
    assert BOLD not in plain and NORMAL not in plain and "0.517 ± 0.021" in plain
    assert SEQUENCE.sub("", terminal_text(contents, 100)) == plain


def test_failures_are_counted_by_method(tmp_path):
    run = add_failures(build_run(tmp_path / "run", seeds=(0,), images=4, side=8), images=4, ood_images=1)
    contents = collect_contents(run, VALUES)
    text = terminal_text(contents, 100)
    for table in contents.failure_tables():
        assert f"{table.direction}, failures (seeds that have them):" in text
        for method, role, cells in table.rows:
            for label, cell in zip(table.headers, cells, strict=True):
                if role == "" and cell.found:
                    line = next(line for line in text.splitlines() if line.startswith(f"{method}: "))
                    assert f"{label} {cell.found} of " in line or f"{label} {cell.found} of " in " ".join(text.split())
    assert "mode collapse" in text or "structure lost" in text


def test_a_terminal_gets_the_summary_and_a_pipe_the_whole_table(tmp_path):
    run = measured(tmp_path)
    text = cgbench_on_terminal("report", run)
    assert "| ---" not in text and "Differences, failures and costs: " in text and "Report: " in text
    assert (run / "report" / "table.md").read_text(encoding="utf-8") in cgbench("report", run)
