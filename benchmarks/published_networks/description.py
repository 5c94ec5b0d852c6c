"""Descriptions of published segmentation networks: `NAME.json` in the folder of CGBENCH_WEIGHTS, and its schema."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from cgbench.errors import CgbenchError, did_you_mean
from cgbench.files import ensure_regular_file, read_json, safe_name
from cgbench.formatting import listed, printable, shortened
from cgbench.pretrained_weights import weights_folder
from cgbench.results.field_types import Name, Share
from cgbench.results.record_files import schema_problem

ARCHITECTURES = (  # of torchvision.models.segmentation
    "deeplabv3_mobilenet_v3_large", "deeplabv3_resnet50", "deeplabv3_resnet101", "fcn_resnet50", "fcn_resnet101",
    "lraspp_mobilenet_v3_large",
)  # fmt: skip
SUFFIXES = (".safetensors", ".pth")
MOST_OUTPUTS = 1000
README = "benchmarks/published_networks/README.md"

Side = Annotated[int, Meta(ge=32, le=4096)]
Deviation = Annotated[float, Meta(ge=1e-3, le=10)]


class Description(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `NAME.json`. `classes` names for each output the class of the dataset, or None for none of them;
    `mean` and `std` are of RGB from 0 to 1; `input_size` is the height and width in pixels of the network's input."""

    architecture: Name
    outputs: Annotated[int, Meta(ge=1, le=MOST_OUTPUTS)]
    classes: Annotated[tuple[Name | None, ...], Meta(max_length=MOST_OUTPUTS)]
    mean: tuple[Share, Share, Share]
    std: tuple[Deviation, Deviation, Deviation]
    input_size: tuple[Side, Side]
    sha256: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""
    source: Annotated[str, Meta(max_length=1_000)] = ""

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            hint = did_you_mean(self.architecture, ARCHITECTURES)
            raise ValueError(f"'architecture': '{shortened(printable(self.architecture))}' is not known ({hint})")
        if len(self.classes) != self.outputs:
            raise ValueError(f"'classes' has {len(self.classes)} entries, and 'outputs' is {self.outputs}")


@dataclass(frozen=True)
class Published:
    """A published network on this machine: its name, its description, and the files of both."""

    name: str
    description: Description
    path: Path
    weights: Path

    def class_ids(self, classes: Sequence[str], label: str) -> tuple[int, ...]:
        """Return for each output the id of its class in `classes`, the number of classes where it is of none.

        Raises `CgbenchError` where the description names a class that the dataset `label` does not have, or leaves one
        of its classes without an output: its score would be 0 for every method.
        """
        named = [name for name in self.description.classes if name is not None]
        if unknown := next((name for name in named if name not in classes), None):
            raise CgbenchError(
                f"{self.path}: 'classes' names '{shortened(printable(unknown))}', which is no class of '{label}' "
                f"({did_you_mean(unknown, classes)}); name one of its classes, or null for none of them"
            )
        if without := [f"'{name}'" for name in classes if name not in named]:
            raise CgbenchError(
                f"{self.path}: 'classes' gives no output to {listed(without)} of '{label}': every class needs one; "
                "use another network, or the default, scorer=trained"
            )
        return tuple(len(classes) if name is None else list(classes).index(name) for name in self.description.classes)


def find_published(name: str) -> Published:
    """Return the published network `name` of the folder that CGBENCH_WEIGHTS names; its weights are not read yet.

    Raises `CgbenchError` where the folder or a file is not there or cannot be used.
    """
    wanted = f"{name}.json and {name}.safetensors or {name}.pth"
    if not name or safe_name(name) != name:
        shown = shortened(printable(name))
        raise CgbenchError(f"scorer={shown} is no name of a file: write NAME; CGBENCH_WEIGHTS names its folder")
    folder = weights_folder()
    if folder is None:
        raise CgbenchError(f"scorer={name}: CGBENCH_WEIGHTS is not set: let it name the folder that holds {wanted}")
    path = folder / f"{name}.json"
    if not _is_there(path):
        known = sorted(printable(other.stem) for other in folder.glob("*.json"))
        raise CgbenchError(f"scorer={name}: {path} is not there ({did_you_mean(name, known)}); put {wanted} there")
    found = [weights for suffix in SUFFIXES if _is_there(weights := folder / f"{name}{suffix}")]
    if len(found) > 1:
        raise CgbenchError(f"scorer={name}: {found[0]} and {found[1].name} are both there: remove one of them")
    if not found:
        raise CgbenchError(
            f"scorer={name}: {folder / name}.safetensors is not there, nor {name}.pth: put the network's state dict "
            f"beside {path.name}"
        )
    return Published(name, read_description(path), path, found[0])


def read_description(path: Path) -> Description:
    """Return a description; what is no JSON, or not as the schema has it, raises `CgbenchError`, which names field and
    file."""
    content: Any = read_json(path)
    try:
        return msgspec.convert(content, Description)
    except msgspec.ValidationError as error:
        problem = schema_problem(str(error))
        raise CgbenchError(f"{path} describes no segmentation network: {problem}; {README} has an example") from None


def _is_there(path: Path) -> bool:
    """Return whether a regular file is there; a pipe, a folder or an endless link raises `CgbenchError`."""
    try:
        ensure_regular_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
