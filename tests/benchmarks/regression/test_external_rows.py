"""Rows of other programs, which neither the gate nor a comparison of runs judges."""

from cgbench.benchmarks.regression.run_diff import difference
from cgbench.benchmarks.regression.run_numbers import collect_numbers
from cgbench.results.run import read_run
from helpers.external_rows import add_external
from helpers.run_folder import VALUES, build_run


def test_rows_of_other_programs_are_not_judged(tmp_path):
    own, more = (build_run(tmp_path / name / "run", side=16) for name in ("own", "more"))
    add_external(more, seeds=(0, 1, 2))
    before, after = (collect_numbers(read_run(run), VALUES) for run in (own, more))
    assert after == before
    assert not difference(read_run(own), read_run(more), VALUES).differs
