"""What a plan advises, on machines that are made up: more trials at once, and bf16."""

import re

import pytest
import torch

from cgbench.benchmarks.execution import run_plan
from cgbench.benchmarks.execution.parallelism import Machine, jobs_advice
from cgbench.benchmarks.execution.run_plan import Cost
from cgbench.benchmarks.runtime.environment import bf16_advice
from helpers.cli import cgbench

GB = 10**9
TWO_CORES = Machine(2, 2, 8 * GB)
HOUR = 3600.0


def test_several_small_trials_on_several_cores_are_better_trained_at_once():
    said = "advice: --jobs 2 trains 2 trials at once: on two cores, two at once took 0.7 × the time at 64 pixels"
    assert jobs_advice(HOUR, 4, 64, TWO_CORES, GB) == said
    assert jobs_advice(HOUR, 4, 32, TWO_CORES, GB) == said
    assert jobs_advice(HOUR, 4, 128, TWO_CORES, GB).endswith("0.8 × the time at 128 pixels")
    assert "--jobs 3 trains 3" in jobs_advice(HOUR, 3, 64, Machine(8, 8, 8 * GB), GB)


@pytest.mark.parametrize(
    "seconds, trials, side, here",
    [
        (59.0, 4, 64, TWO_CORES),  # over before the processes have started
        (HOUR, 1, 64, TWO_CORES),
        (HOUR, 4, 256, TWO_CORES),  # not measured
        (HOUR, 4, 64, Machine(1, 1, 8 * GB)),
        (HOUR, 4, 64, Machine(2, 2, 2 * GB)),  # one fits into the memory
        (HOUR, 4, 64, Machine(16, 16, 70 * GB, gpu=True)),
    ],
)  # fmt: skip
def test_jobs_are_not_advised_where_nothing_says_that_they_help(seconds, trials, side, here):
    assert jobs_advice(seconds, trials, side, here, GB) == ""


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """Return a function that sets the flags of the processor."""

    def set_flags(flags):
        (tmp_path / "cpuinfo").write_text(f"model name : X\nflags : fpu {flags} sse\n")
        monkeypatch.setattr("cgbench.benchmarks.runtime.environment.CPU_INFO", tmp_path / "cpuinfo")

    return set_flags


@pytest.mark.parametrize(
    "flags, side, share, measured",
    [
        ("avx512_bf16", 128, 0.6, 128),
        ("avx512_bf16", 300, 0.5, 256),
        ("avx512_bf16 amx_bf16", 64, 0.7, 64),  # both: the faster one computes
        ("avx512_bf16 amx_bf16", 256, 0.4, 128),
    ],
)
def test_bf16_is_advised_on_a_processor_with_it_from_the_sizes_at_which_it_helped(
    processor, flags, side, share, measured
):
    processor(flags)
    said = bf16_advice("cpu", "float32", side)
    assert said.startswith(f"advice: --set precision=bf16: on a processor with {flags.split()[-1]}, ")
    assert said.endswith(f"took {share} × the time at {measured} pixels")
    assert bf16_advice("cpu", "bf16", side) == ""


@pytest.mark.parametrize("flags, side", [("avx512_bf16", 64), ("amx_bf16", 32)])
def test_bf16_is_not_advised_for_images_at_which_it_was_no_help(processor, flags, side):
    processor(flags)
    assert bf16_advice("cpu", "float32", side) == ""


@pytest.mark.parametrize("flags", ["avx2", "avx512f", "bf16"])  # the last one is ARM's, which was not measured
def test_bf16_is_not_advised_on_other_processors(processor, flags):
    processor(flags)
    assert bf16_advice("cpu", "float32", 256) == ""


@pytest.mark.parametrize("capability, advised", [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_bf16_is_advised_on_a_gpu_that_computes_in_it_without_a_figure(monkeypatch, capability, advised):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    said = bf16_advice("cuda", "float32", 64)
    assert bool(said) == advised and bf16_advice("cuda", "bf16", 64) == ""
    assert not advised or "was not measured" in said


def test_a_plan_prints_the_advice_until_the_run_has_begun_or_the_user_chose(monkeypatch, tmp_path, processor):
    processor("avx512_bf16")
    monkeypatch.setattr(run_plan, "measure_cost", lambda trial, device, most_steps: Cost(9.0, 10**6, 10**8))
    monkeypatch.setattr(run_plan, "machine", lambda device: TWO_CORES)
    command = ["run", "--methods", "cyclegan,gan_only", "--dataset", "streets", "--preset", "demo", "--dry-run",
               "--device", "cpu", "--name", "x", "--runs-dir", tmp_path]  # fmt: skip
    large = ["--set", "load_size=128", "--set", "crop_size=128"]
    assert "advice: --jobs 2" in cgbench(*command) and "bf16" not in cgbench(*command)
    assert "bf16" in cgbench(*command, *large) and "bf16" not in cgbench(*command, *large, "--set", "precision=bf16")
    assert "advice:" not in cgbench(*command, "--jobs", "2")
    assert "advice:" not in cgbench(*command, "--set", "steps=3")
    folder = tmp_path / "x" / "streets" / "gan_only" / "seed-0"
    folder.mkdir(parents=True)
    (folder / "trial.json").write_text("{}")
    assert "advice:" not in cgbench(*command)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_plan_breaks_lines_between_words_in_a_terminal_and_nowhere_else(monkeypatch, tmp_path, terminal):
    monkeypatch.setattr(run_plan, "measure_cost", lambda trial, device, most_steps: Cost(9.0, 10**6, 10**8))
    command = ["run", "--methods", "gan_only", "--dataset", "streets", "--preset", "smoke", "--dry-run",
               "--device", "cpu", "--runs-dir", "x"]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_plan.console, "_force_terminal", terminal)
    monkeypatch.setattr(run_plan.console, "_width", 80)
    lines = re.sub("\x1b[^a-zA-Z]*[a-zA-Z]", "", cgbench(*command)).splitlines()
    start = next(number for number, line in enumerate(lines) if "training about" in line)
    assert lines[start].startswith("training about") and (len(lines) > start + 1) == terminal
    assert not terminal or max(map(len, lines[start:])) <= 80
    assert " ".join(line.strip() for line in lines[start:]).endswith("the scorer and the evaluation come on top")


def test_a_plan_measures_no_more_steps_than_a_trial_takes(monkeypatch, tmp_path):
    taken = []

    def make_train_step(model, optimizers, config):
        return lambda batch, step, progress: taken.append(step)

    monkeypatch.setattr(run_plan, "make_train_step", make_train_step)
    monkeypatch.setattr(run_plan, "MEASURED_SECONDS", 60.0)
    few = ["--preset", "smoke", "--set", "steps=4", "--device", "cpu", "--runs-dir", tmp_path]
    cgbench("run", "--methods", "gan_only", "--dataset", "streets", *few, "--dry-run")
    assert taken == [0, 1, 2, 3, 4]  # the first one is the warm-up
