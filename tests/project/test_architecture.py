"""The house keeps its shape: who imports whom, how long files are, and what the package list says."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"cgbench": "cgbench", "methods": "cgbench.methods", "datasets": "cgbench.datasets",
           "benchmarks": "cgbench.benchmarks", "reports": "cgbench.reports"}  # fmt: skip
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
MAY_IMPORT = {
    "cgbench": set(),
    "methods": {"cgbench.methods"},
    "datasets": {"cgbench.datasets"},
    "reports": {"cgbench.reports"},
    "benchmarks": {"cgbench.benchmarks", "cgbench.methods", "cgbench.datasets"},
}
CORE_MAY = {"numpy", "pandas", "scipy"}


def imports(path: Path) -> set[str]:
    """All modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import absolutely"
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names if node.module.startswith("cgbench"))
    return found


def house(module: str) -> str | None:
    """Return which of our five packages a module belongs to, None for other people's."""
    if module.split(".")[0] != "cgbench":
        return None
    parts = ".".join(module.split(".")[:2])
    return parts if parts in FOLDERS.values() else "cgbench"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_in_the_allowed_directions(path):
    folder = path.relative_to(ROOT).parts[0]
    allowed = MAY_IMPORT[folder] | {"cgbench"}
    if path.parent == ROOT / "benchmarks" / "cli":
        allowed = allowed | {"cgbench.reports"}
    for module in imports(path):
        assert house(module) is None or house(module) in allowed, f"{path.name} imports {module}"
        if folder == "reports":
            assert module.split(".")[0] not in ("torch", "torchvision", "torchmetrics")
        if folder == "cgbench" and house(module) is None:
            assert module.split(".")[0] in CORE_MAY | sys.stdlib_module_names, f"the core imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_readable(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert text.count("\n") <= 320, "split this file"
    assert not text.strip() or ast.get_docstring(tree), "say in the first line what lives here"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno <= 60, f"{node.name} does not fit on a screen"


def test_the_package_list_names_every_folder():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join([FOLDERS[path.relative_to(ROOT).parts[0]], *path.relative_to(ROOT).parts[1:-1]]) for path in SOURCES
    }
    assert sorted(listed) == sorted(found)


@pytest.mark.parametrize(
    "command",
    [["--help"], ["methods"], ["datasets"], ["metrics"], ["failures"], ["run", "--help"], ["study", "--help"],
     ["translate", "--help"],
     ["datasets", "fetch"], ["datasets", "check", "streets", "--split", "test", "--limit", "2"]],
)  # fmt: skip
def test_help_and_listings_wait_neither_for_torch_nor_for_pandas(command):
    code = (
        "import sys\nfrom cgbench.benchmarks.cli.main import main\n"
        f"try:\n    main({command!r})\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "assert not {'torch', 'pandas'}.intersection(sys.modules), 'torch or pandas was imported'\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
