"""Cores and memory as containers and clusters grant them."""

import os

import pytest

from cgbench.benchmarks.execution import resources

GROUPS_2 = "0::/slurm/job_1/step_0\n"
GROUPS_1 = "7:memory:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/\n"


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A machine of 16 cores and 8 GB; returns a function that writes the files of its control groups."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    for name in resources.SLURM_CORES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n")
    monkeypatch.setattr(resources, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(resources, "OWN_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(resources, "CONTROL_GROUP", tmp_path / "fs")

    def write(groups, files):
        (tmp_path / "groups").write_text(groups)
        for name, content in files.items():
            (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "fs" / name).write_text(content)

    return write


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("", {}, 16),
        (GROUPS_2, {"cpu.max": "max 100000\n"}, 16),
        (GROUPS_2, {"slurm/job_1/step_0/cpu.max": "400000 100000\n"}, 4),
        (GROUPS_2, {"slurm/job_1/cpu.max": "300000 100000\n", "slurm/job_1/step_0/cpu.max": "max 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        (GROUPS_1, {"cpu,cpuacct/job/cpu.cfs_quota_us": "-1", "cpu,cpuacct/job/cpu.cfs_period_us": "100000"}, 16),
        (GROUPS_1, {"cpu,cpuacct/job/cpu.cfs_quota_us": "250000", "cpu,cpuacct/job/cpu.cfs_period_us": "100000"}, 2),
        (GROUPS_1, {"cpu/cpu.cfs_quota_us": "500000", "cpu/cpu.cfs_period_us": "100000"}, 5),  # inside a container
        ("broken", {"cpu.max": "what\n"}, 16),
    ],
)
def test_no_more_cores_than_a_control_group_grants(system, groups, files, cores):
    system(groups, files)
    assert resources.usable_cores() == cores


@pytest.mark.parametrize("name", ["SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"])
@pytest.mark.parametrize(("granted", "cores"), [("3", 3), ("99", 16), ("0", 1), ("", 16), ("two", 16)])
def test_no_more_cores_than_slurm_grants_and_the_process_is_bound_to(system, monkeypatch, name, granted, cores):
    monkeypatch.setenv(name, granted)
    assert resources.usable_cores() == cores
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5})
    assert resources.usable_cores() == min(cores, 2)


@pytest.mark.parametrize(
    ("groups", "files", "free"),
    [
        ("", {}, 8_192_000_000),
        (GROUPS_2, {"memory.max": "max", "memory.current": "5"}, 8_192_000_000),
        (GROUPS_2, {"slurm/memory.max": "1000", "slurm/memory.current": "900",
                    "slurm/memory.stat": "anon 1\ninactive_file 50\n"}, 150),
        (GROUPS_1, {"memory/job/memory.limit_in_bytes": "2000", "memory/job/memory.usage_in_bytes": "500",
                    "memory/job/memory.stat": "total_inactive_file 100\n"}, 1600),
    ],
)  # fmt: skip
def test_no_more_memory_than_a_control_group_has_left(system, groups, files, free):
    system(groups, files)
    assert resources.free_memory() == free
