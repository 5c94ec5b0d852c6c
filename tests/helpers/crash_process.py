"""Lives of the command line that end when a test wants them to: a process that has everything imported forks for each.

Run as a program it reads one request per line and answers with one line, both JSON. A life is killed with SIGKILL, its
whole process group, after `cpu` seconds of computing or right before change number `change` of a file below `root`,
or, where `file` is given, before the file of that name is put in its place for the `change`-th time.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import fields
from pathlib import Path

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate", "shutil.rmtree")
TICKS = os.sysconf("SC_CLK_TCK")


class Lives:
    """The process that forks, seen from the test."""

    def __init__(self, cache: Path) -> None:
        path = str(Path(__file__).parents[1])
        environment = {**os.environ, "CGBENCH_CACHE": str(cache), "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "helpers.crash_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def live(self, root: Path, *arguments: object, change: int = 0, file: str = "", cpu: float = 0.0) -> dict:
        """Run `cgbench ARGUMENTS` and return `code` (negative: the signal that ended it), `changes`, `cpu`, `said`."""
        request = {"root": str(root), "arguments": list(map(str, arguments)), "change": change}
        request |= {"file": file, "cpu": cpu}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def serve() -> None:
    """Answer requests until there are no more."""
    import torch

    import cgbench.benchmarks.data.decoded_cache as square_build
    import cgbench.benchmarks.execution.run_plan as planning
    import cgbench.benchmarks.execution.runner  # noqa: F401 (once, not in every life)
    from cgbench.benchmarks.cli.main import main
    from cgbench.benchmarks.runtime.environment import git_commit
    from cgbench.reports import figure_set, report
    from cgbench.reports.figures import losses

    torch.set_num_threads(1)
    git_commit()  # remembered: the checkout may change while a test runs
    square_build.MIN_CACHED_IMAGES = 3  # small sets as well are kept decoded
    planning.MEASURED_SECONDS = 0.0  # the plan's times are not what is tested, nor is the look of figures
    none = {item.name: () for item in fields(figure_set.FigureSet)}
    report.draw_figures = lambda found: figure_set.FigureSet(**none | {"losses": _loss_curves(found.run, losses)})
    for line in sys.stdin:
        request = json.loads(line)
        said = Path(request["root"]).with_suffix(".said")
        count = Path(request["root"]).with_suffix(".changes")
        count.write_text("")
        child = os.fork()
        if child == 0:
            try:
                _live(main, request, said, count)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(99)
        code, cpu = _wait(child, request["cpu"])
        answer = {"code": code, "cpu": cpu, "changes": count.stat().st_size, "said": said.read_text()}
        print(json.dumps(answer), flush=True)


def _loss_curves(run, losses) -> tuple:
    from cgbench.reports.figures.losses import read_losses
    from cgbench.reports.figures.style import assign_styles

    return tuple(losses.loss_panels(read_losses(run.trials), ["cycle_a"], assign_styles(run.order, run.roles)))


def _live(main, request: dict, said: Path, count: Path) -> None:
    """Be the command line, and kill yourself where it is asked for."""
    os.setsid()
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    root, counter = request["root"], os.open(count, os.O_WRONLY | os.O_APPEND)
    seen = 0

    def watch(event: str, arguments: tuple) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in CHANGES or writes) and str(arguments[0]).startswith(root):
            os.write(counter, b".")
            named = event == "os.rename" and Path(os.fsdecode(arguments[1])).name == request["file"]
            seen += named or not request["file"]
            if seen == request["change"] and (named or not request["file"]):
                os.killpg(0, signal.SIGKILL)

    sys.addaudithook(watch)
    sys.argv = ["cgbench", *request["arguments"]]
    try:
        main(request["arguments"], prog_name="cgbench")
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code or 0)


def _wait(child: int, limit: float) -> tuple[int, float]:
    """Return the exit code of a child and the seconds it computed; kill it when these reach `limit`."""
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        if limit and _cpu(child) >= limit:
            os.killpg(child, signal.SIGKILL)
            limit = 0.0
        time.sleep(0.005)


def _cpu(pid: int) -> float:
    """Return the seconds that a process has computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    serve()
