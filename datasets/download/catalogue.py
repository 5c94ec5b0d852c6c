"""The catalogue of the public CycleGAN and pix2pix datasets: addresses, numbers of images, and licences.

Counts of the CycleGAN sets are those of the TensorFlow Datasets catalogue, of `grumpifycat` those of CUT's repository,
of pix2pix's facades and maps those of the same images in the CycleGAN sets.
The papers and README files of the time give other counts. No digest is published for any archive: that of the first
download is stored beside the data and compared when the set is fetched again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cgbench.errors import CgbenchError, did_you_mean

HOST = "http://efrosgans.eecs.berkeley.edu"
CYCLEGAN = "Zhu, Park, Isola, Efros: Unpaired image-to-image translation using cycle-consistent networks (2017)"
PIX2PIX = "Isola, Zhu, Zhou, Efros: Image-to-image translation with conditional adversarial networks (2017)"
TERMS = "no licence of its own: the images come from {source}, whose terms hold; for research, do not redistribute"
WITHDRAWN = (
    "the prepared archive was withdrawn, for Cityscapes may not be redistributed. Register at "
    "https://www.cityscapes-dataset.com, download gtFine_trainvaltest.zip and leftImg8bit_trainvaltest.zip, unpack "
    "both to DIR/cityscapes, then: cgbench run --dataset cityscapes --data-root DIR"
)
GB = 10**9


@dataclass(frozen=True)
class PublicSet:
    """A dataset that can be fetched. `counts` are images per folder, only of folders with a reliable count; `max_bytes`
    bounds the archive; `refused` is the reason why it cannot be fetched, with what to do instead, or empty."""

    name: str
    url: str
    licence: str
    cite: str
    counts: Mapping[str, int] = field(default_factory=dict)
    folders: tuple[str, ...] = ("trainA", "trainB", "testA", "testB")
    note: str = ""
    sha256: str = ""
    max_bytes: int = 4 * GB
    refused: str = ""

    def counts_text(self) -> str:
        """Return the number of images per folder as text."""
        if self.refused:
            return "cannot be fetched; ask for it to see what to do"
        text = ", ".join(f"{folder} {self.counts[folder]}" for folder in self.folders if folder in self.counts)
        return text or f"{', '.join(self.folders)}; numbers not known"


def _cyclegan(name: str, counts: tuple[int, int, int, int], source: str, **fields: Any) -> PublicSet:
    numbers = dict(zip(("trainA", "trainB", "testA", "testB"), counts, strict=True))
    url = f"{HOST}/cyclegan/datasets/{name}.zip"
    return PublicSet(name, url, TERMS.format(source=source), CYCLEGAN, numbers, **fields)


def _pix2pix(name: str, source: str, folders: tuple[str, ...], counts: Mapping[str, int], **fields: Any) -> PublicSet:
    url = f"{HOST}/pix2pix/datasets/{name}.tar.gz"
    return PublicSet(f"pix2pix-{name}", url, TERMS.format(source=source), PIX2PIX, counts, folders, **fields)


PAINTINGS = "Wikiart and Flickr"
OVERLAP = "as many test paintings as training paintings: look for the same ones with 'cgbench datasets check folder'"
HALVES = "pairs side by side; trained unpaired on halves of the files"
_SETS = (
    _cyclegan("apple2orange", (995, 1019, 266, 248), "ImageNet"),
    _cyclegan("summer2winter_yosemite", (1231, 962, 309, 238), "Flickr"),
    _cyclegan("horse2zebra", (1067, 1334, 120, 140), "ImageNet"),
    _cyclegan("monet2photo", (1072, 6287, 121, 751), PAINTINGS),
    _cyclegan("cezanne2photo", (525, 6287, 58, 751), PAINTINGS),
    _cyclegan("ukiyoe2photo", (562, 6287, 263, 751), PAINTINGS),
    _cyclegan("vangogh2photo", (400, 6287, 400, 751), PAINTINGS, note=OVERLAP),
    _cyclegan("maps", (1096, 1096, 1098, 1098), "Google Maps"),
    _cyclegan("facades", (400, 400, 106, 106), "the CMP facade database"),
    _cyclegan("iphone2dslr_flower", (1812, 3325, 569, 480), "Flickr"),
    PublicSet(
        "grumpifycat", f"{HOST}/cyclegan/datasets/grumpifycat.zip", TERMS.format(source="the web"),
        "Park, Efros, Zhang, Zhu: Contrastive learning for unpaired image-to-image translation (2020)",
        {"trainA": 88, "trainB": 214}, ("trainA", "trainB"),
        note="there are no test images: make testA and testB of some training images before you run it",
    ),
    PublicSet(
        "cityscapes", f"{HOST}/cyclegan/datasets/cityscapes.zip", "Cityscapes terms", CYCLEGAN, refused=WITHDRAWN
    ),
    _pix2pix("facades", "the CMP facade database", ("train", "test", "val"), {"train": 400, "test": 106}, note=HALVES),
    _pix2pix("maps", "Google Maps", ("train", "val"), {"train": 1096, "val": 1098}, note=HALVES),
    _pix2pix("edges2shoes", "UT Zappos50K", ("train", "val"), {}, max_bytes=8 * GB, note=HALVES),
    _pix2pix("edges2handbags", "Amazon", ("train", "val"), {}, max_bytes=16 * GB, note=HALVES),
    _pix2pix("night2day", "Transient Attributes", ("train", "test", "val"), {}, max_bytes=8 * GB, note=HALVES),
    PublicSet(
        "pix2pix-cityscapes", f"{HOST}/pix2pix/datasets/cityscapes.tar.gz", "Cityscapes terms", PIX2PIX,
        refused=WITHDRAWN,
    ),
)  # fmt: skip
CATALOGUE = {entry.name: entry for entry in _SETS}


def find(name: str) -> PublicSet:
    """Return the set of that name; an unknown one raises and offers the nearest."""
    if name not in CATALOGUE:
        raise CgbenchError(f"no public set is called '{name}': {did_you_mean(name, list(CATALOGUE))}")
    return CATALOGUE[name]
