"""The schema of the dataset in a trial's record."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from cgbench.results.field_types import Direction, Name, Natural, Number, Share, Text


class Pixels(Struct):
    """The number format of a domain's images."""

    unit: Text = ""
    channels: Natural = 3
    dtype: Text = "uint8"
    window: tuple[Number, Number] | None = None
    display: tuple[Number, Number] | None = None


class Domain(Struct):
    """A domain of a dataset."""

    name: Text
    kind: Text = "photo"
    pixels: Pixels | None = None  # none in earlier records: 8-bit RGB


class Slicing(Struct):
    """How a dataset of volumes cuts slices: the axis, the smallest share of the body, and the body rules of A and B."""

    axis: Literal["axial", "coronal", "sagittal"]
    min_body: Share
    body: tuple[Number | Literal["otsu", "none"], Number | Literal["otsu", "none"]]


class Dataset(Struct):
    """The dataset of `trial.json`."""

    name: Name
    label: Name
    directions: dict[str, Text]
    domains: list[Domain] = []
    palette: list[Annotated[list[Text | Natural], Meta(min_length=1, max_length=4)]] = []
    licence: Text = ""
    source: Text = ""
    split_rule: Text = ""
    label_source: Text = ""
    paired: bool | None = None
    test_images: Text = ""
    primary: dict[Direction, Name] = {}
    image_groups: Text = ""
    counts: dict[str, Natural] = {}
    slicing: Slicing | None = None  # of volumes; none in earlier records

    def __post_init__(self) -> None:
        if not all(isinstance(entry[0], str) for entry in self.palette):
            raise ValueError("'palette' has an entry that does not begin with a name")
