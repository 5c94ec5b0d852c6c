"""The architecture: imports between rooms, modules that start without torch, sizes of rooms, files and functions.

A room is a folder of modules. Rooms and their imports are described in CONTRIBUTING.md.
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"cgbench": "cgbench", "methods": "cgbench.methods", "datasets": "cgbench.datasets",
            "benchmarks": "cgbench.benchmarks", "reports": "cgbench.reports"}  # fmt: skip
SOURCES = [path for folder in PACKAGES for path in sorted((ROOT / folder).rglob("*.py"))]
CORE = ("cgbench", "cgbench/api", "cgbench/results")

# room -> the rooms, or single modules of rooms, that it may import beside itself and the core
MAY_IMPORT = {
    "cgbench": ("cgbench/api", "benchmarks/interface"),  # `__init__.py` re-exports the public names; nothing else does
    "cgbench/api": ("cgbench",),
    "cgbench/results": ("cgbench", "cgbench/api"),
    "methods/functional": (),
    "methods/blocks": ("methods/functional",),
    "methods": ("methods/blocks", "methods/functional"),
    "datasets": (
        "datasets/street_scenes", "datasets/trunk_phantoms", "datasets/images", "datasets/layouts", "datasets/pairing",
        "datasets/volume_files",
    ),
    "datasets/images": (),
    "datasets/pairing": ("datasets/images",),
    "datasets/layouts": ("datasets/images", "datasets/pairing"),
    "datasets/street_scenes": (),
    "datasets/trunk_phantoms": (),
    "datasets/volume_files": (),
    "datasets/checks": ("datasets/images", "datasets/pairing"),
    "datasets/download": ("datasets/images",),
    "benchmarks": ("benchmarks/cli",),
    "benchmarks/runtime": (),
    "benchmarks/trials": ("datasets/dataset_views.py", "datasets/validation_split.py"),
    "benchmarks/regression": (),
    "benchmarks/published_networks": (),
    "benchmarks/metrics/functional": (),
    "benchmarks/metrics": ("benchmarks/metrics/functional",),
    "benchmarks/failures": ("benchmarks/metrics/functional",),
    "benchmarks/data": ("benchmarks/runtime", "datasets/images", "methods/functional"),
    "benchmarks/training": ("benchmarks/data", "benchmarks/runtime", "methods/blocks"),
    "benchmarks/calibration": ("benchmarks/data", "benchmarks/runtime", "benchmarks/metrics/functional"),
    "benchmarks/evaluation": (
        "benchmarks/calibration", "benchmarks/data", "benchmarks/runtime", "benchmarks/trials",
        "benchmarks/metrics/functional", "benchmarks/published_networks",
        "methods/blocks", "methods/functional",
    ),
    "benchmarks/execution": (
        "benchmarks/training", "benchmarks/evaluation", "benchmarks/data", "benchmarks/trials", "benchmarks/runtime",
        "methods/blocks", "datasets", "datasets/images",
    ),
    "benchmarks/exchange": (
        "benchmarks/execution", "benchmarks/training", "benchmarks/evaluation", "benchmarks/data", "benchmarks/trials",
        "benchmarks/runtime", "methods/blocks", "datasets", "datasets/images", "datasets/volume_files",
    ),
    "benchmarks/interface": (
        "benchmarks/cli", "benchmarks/exchange", "benchmarks/execution", "benchmarks/data", "benchmarks/runtime",
        "datasets/images", "reports", "reports/galleries",
    ),
    "benchmarks/speed": (
        "benchmarks/training", "benchmarks/evaluation", "benchmarks/data", "benchmarks/runtime", "methods/blocks",
        "methods/functional", "datasets",
    ),
    "benchmarks/testing": (
        "benchmarks/training", "benchmarks/evaluation", "benchmarks/data", "benchmarks/trials", "benchmarks/runtime",
        "methods/blocks", "methods/functional", "datasets/images",
    ),
    "benchmarks/cli": (*(f"benchmarks/{room}" for room in (
        "trials", "execution", "exchange", "training", "evaluation", "data", "regression", "speed", "runtime",
    )), "datasets", "datasets/checks", "datasets/download", "methods/blocks", "reports", "reports/sections",
        "reports/paper_tables", "reports/perceptual_study"),
    "reports/formats": (),
    "reports/sections": ("reports/formats",),
    "reports/galleries": ("reports/formats", "datasets/volume_files"),
    "reports/figures": ("reports/sections", "reports/formats"),
    "reports/paper_tables": ("reports/sections", "reports/formats"),
    "reports/perceptual_study": ("reports/formats", "reports/paper_tables/published.py"),
    "reports": ("reports/formats", "reports/sections", "reports/galleries", "reports/figures"),
}  # fmt: skip
# plug-in folders hold one file per component, `blocks` one per network
UNBOUNDED = {"methods", "datasets", "benchmarks/metrics", "benchmarks/failures", "methods/blocks"}
MOST_MODULES = 12
THIRD_PARTY = {
    "cgbench": {"numpy"},
    "cgbench/api": {"numpy"},
    "cgbench/results": {"msgspec", "numpy", "pandas", "scipy"},
}
NUMERICAL = {"numpy", "scipy", "pandas", "matplotlib", "torch"}
TORCH = ("torch", "torchvision", "torchmetrics", "cleanfid", "lpips")
NEVER_TORCH = ("cgbench", "reports", "benchmarks/regression", "benchmarks/trials")  # and rooms inside these
STARTS_WITHOUT_TORCH = [
    "cgbench", *(f"cgbench.{name}" for name in ("api.registry", "results.run", "results.significance")),
    *(f"cgbench.benchmarks.{name}" for name in (
        "cli.main", "trials.request", "trials.suite", "trials.fingerprint", "trials.trial_record",
        "regression.gate", "regression.baseline_file", "regression.run_diff", "regression.verdict_formats",
        "execution.parallelism", "execution.worker", "execution.run_lock", "training.checkpoint_header",
        "training.checkpoint_retention", "runtime.progress", "runtime.signals", "runtime.cache_dir",
        "metrics.functional.image_distances", "metrics.functional.segmentation_scores",
        "metrics.functional.feature_distances", "metrics.functional.class_maps", "metrics.functional.disturbances",
    )),
    "cgbench.reports.report", "cgbench.reports.perceptual_study.study", "cgbench.reports.paper_tables.formats",
]  # fmt: skip


def room_of(path: Path) -> str:
    return str(path.relative_to(ROOT).parent)


ROOMS = sorted({room_of(path) for path in SOURCES})
MODULES = {
    ".".join([PACKAGES[parts[0]], *parts[1:]]).removesuffix(".__init__"): path
    for path in SOURCES
    for parts in [path.relative_to(ROOT).with_suffix("").parts]
}


def imports(path: Path) -> set[str]:
    """All modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import absolutely"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(names & MODULES.keys() or {node.module})
    return found


def ours(path: Path) -> list[Path]:
    """The files of ours that a file imports."""
    found = [MODULES[module] for module in imports(path) if module.split(".")[0] == "cgbench"]
    return [imported for imported in found if imported.name != "__init__.py" or room_of(imported) == "cgbench"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_in_the_allowed_directions(path):
    room = room_of(path)
    core = () if room in CORE else CORE
    for imported in ours(path):
        allowed = {room, *core, *MAY_IMPORT[room]}
        if room == "cgbench" and path.name != "__init__.py":
            allowed = {room}
        name = str(imported.relative_to(ROOT))
        if imported == ROOT / "cgbench" / "__init__.py":  # the public names, and modules of the core by their package
            assert room not in CORE or path.name == "__init__.py", f"{path.name} imports the package that re-exports it"
        else:
            assert room_of(imported) in allowed or name in allowed, f"{path.relative_to(ROOT)} imports {name}"
    for module in imports(path):
        top = module.split(".")[0]
        if room in THIRD_PARTY and top != "cgbench":
            assert top in THIRD_PARTY[room] | sys.stdlib_module_names, f"the core imports {module}"
        assert top not in TORCH or not room.startswith(NEVER_TORCH), f"{path.relative_to(ROOT)} imports {module}"


def test_every_room_is_in_the_table():
    assert sorted(MAY_IMPORT) == ROOMS


def test_no_circle_between_rooms_or_files():
    files = {path: [other for other in ours(path) if other.name != "__init__.py"] for path in SOURCES}
    rooms = {room: set() for room in ROOMS}
    for path, imported in files.items():
        if path.name != "__init__.py":
            rooms[room_of(path)].update({room_of(other) for other in imported} - {room_of(path)})
    for graph in (files, rooms):
        pending = dict(graph)
        while pending:
            ready = [node for node, edges in pending.items() if not set(edges) & pending.keys()]
            assert ready, f"these import each other: {', '.join(map(str, pending))}"
            for node in ready:
                del pending[node]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_holds_few_modules_whose_names_differ(room):
    names = [path.stem for path in SOURCES if room_of(path) == room and path.stem != "__init__"]
    assert room in UNBOUNDED or len(names) <= MOST_MODULES, f"{len(names)} modules: make a room of some"
    stems = [re.sub(r"(ing|ed|er|s)$", "", name) for name in names]
    assert len(set(stems)) == len(stems), f"names differ by a suffix only: {sorted(names)}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_readable(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert text.count("\n") <= 320, "split this file"
    summary = (ast.get_docstring(tree) or "").split("\n")[0]
    assert summary, "say in the first line what this file is"
    assert not re.match(r"(What|How|Where|Which|Whether|Who|When|Why)\b", summary), f"no noun phrase: {summary}"
    if path.name == "__init__.py" and room_of(path) != "cgbench":
        assert len(tree.body) == 1, "a room's __init__ holds its docstring alone"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno <= 60, f"{node.name} does not fit on a screen"


def parameters(node: ast.FunctionDef) -> int:
    return len([*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_functions_of_five_parameters_name_them(path):
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_") or parameters(node) < 5:
            continue
        if room_of(path) == "benchmarks/cli" and node.decorator_list:
            continue  # a command: its options explain themselves
        documentation = ast.get_docstring(node) or ""
        nothing = isinstance(node.returns, ast.Constant) and node.returns.value is None
        returns = nothing or "Returns:" in documentation
        assert "Args:" in documentation and returns, f"{node.name}: name its parameters under Args, and what it Returns"


def test_the_package_list_names_every_folder():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {".".join([PACKAGES[room.split("/")[0]], *room.split("/")[1:]]) for room in ROOMS}
    assert sorted(listed) == sorted(found)


def test_test_folders_mirror_the_rooms():
    for folder in (path for path in (ROOT / "tests").rglob("*") if path.is_dir() and path.name != "__pycache__"):
        name = str(folder.relative_to(ROOT / "tests"))
        assert name.split("/")[0] in ("helpers", "project", "core") or name in ROOMS, f"tests/{name} mirrors nothing"


def test_no_test_imports_another_test():
    for path in (ROOT / "tests").rglob("*.py"):
        for module in imports(path) if path.parent.name != "project" else ():
            assert not module.split(".")[-1].startswith("test_"), f"{path.name} imports {module}"


def run_python(code: str) -> None:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


def test_what_needs_no_torch_starts_without_it():
    run_python(
        f"import importlib, sys\nfor name in {STARTS_WITHOUT_TORCH!r}:\n    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )


@pytest.mark.parametrize(
    "command",
    [["--help"], ["methods"], ["datasets"], ["metrics"], ["failures"], ["run", "--help"], ["study", "--help"],
     ["translate", "--help"], ["completion", "zsh"],
     ["datasets", "fetch"], ["datasets", "check", "streets", "--split", "test", "--limit", "2"]],
)  # fmt: skip
def test_help_and_listings_wait_neither_for_torch_nor_for_pandas(command):
    run_python(
        "import sys\nfrom cgbench.benchmarks.cli.main import main\n"
        f"try:\n    main({command!r})\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "assert not {'torch', 'pandas', 'msgspec'}.intersection(sys.modules), 'torch, pandas or msgspec was imported'\n"
    )


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["datasets", "check", "--help"], ["methods"]])
def test_help_and_the_list_of_methods_load_no_numerical_library(command):
    run_python(
        "import sys\nfrom cgbench.benchmarks.cli.main import main\n"
        f"try:\n    main({command!r})\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        f"loaded = {NUMERICAL!r}.intersection(sys.modules)\nassert not loaded, loaded\n"
    )


@pytest.mark.parametrize("words", ["cgbench run --me", "cgbench run --methods cycle"])
def test_shell_completion_loads_no_numerical_library(words):
    code = (
        "import sys\nfrom cgbench.benchmarks.cli.main import main\n"
        "try:\n    main(prog_name='cgbench')\nexcept SystemExit:\n    pass\n"
        f"loaded = {NUMERICAL!r}.intersection(sys.modules)\nassert not loaded, loaded\n"
    )
    asked = {"_CGBENCH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={**os.environ, **asked}
    )
    assert result.returncode == 0, result.stderr
    assert "--methods" in result.stdout or "cyclegan" in result.stdout
