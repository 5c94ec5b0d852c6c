"""The cost table: means over finished trials, and dashes for unknown values."""

from cgbench.files import read_json
from cgbench.reports.sections.costs import cost_table, costs, costs_markdown
from cgbench.results.run import read_run
from cgbench.results.run_folder import TrialFolder
from helpers.run_folder import build_run


def test_costs_are_means_over_the_finished_trials_of_trained_methods(tmp_path):
    run = read_run(build_run(tmp_path / "run", states={("gan_only", 1): "diverged"}, images=2, side=16))
    rows = costs(run)
    assert set(rows["method"]) == {"cyclegan", "gan_only", "cycle_only"} and len(rows) == 8
    table = cost_table(rows, run)
    # 2000 steps of batch 4 in 180 s
    assert table.headers[-1] == "images/s photo→labels"
    assert table.lines[0] == ("cyclegan", "360,838", "3 min", "44.4", "900 MB", "81.0", "800")
    assert "Trained on cpu (2 threads)." in table.caption
    assert "| gan_only   | 360,838 |" in costs_markdown(table)


def test_what_an_older_run_did_not_measure_is_a_dash(tmp_path):
    path = build_run(tmp_path / "run", images=2, side=16)
    for method in ("cyclegan", "gan_only", "cycle_only"):
        for seed in range(3):
            folder = TrialFolder.of(path, "shapes", method, seed)
            folder.cost.unlink()
            status = read_json(folder.path / "status.json")
            folder.set_status("done", step=2000, seconds=status["seconds"])
    run = read_run(path)
    assert cost_table(costs(run), run).lines[0] == ("cyclegan", "360,838", "3 min", "44.4", "–")


def test_a_run_without_a_finished_trial_has_no_costs(tmp_path):
    states = {(name, seed): "failed" for name in ("cyclegan", "gan_only", "cycle_only") for seed in range(3)}
    run = read_run(build_run(tmp_path / "run", states=states, images=2, side=16))
    assert cost_table(costs(run), run) is None
