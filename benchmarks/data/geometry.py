"""Geometry of a set of images: the shape that they are resized for, how, and the smallest shape of an image."""

from dataclasses import dataclass

from cgbench.config import ONE_SHAPE, TrialConfig

MULTIPLE = 8  # of the sides of arrays whose images have sizes of their own: scorers need it


@dataclass(frozen=True)
class Geometry:
    """Images are resized for `height` × `width` pixels by `resize_mode`. Where that lets them keep sizes of their own
    (`keep`, `none`), they lie in the upper left corners of arrays of one shape, and smaller ones than `least` (height,
    width) count as that large."""

    height: int
    width: int
    resize_mode: str = "squash"
    least: tuple[int, int] = (1, 1)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def one_shape(self) -> bool:
        """Whether all images get this shape."""
        return self.resize_mode in ONE_SHAPE

    @property
    def title(self) -> str:
        """The geometry in words: "72 pixels", "64 × 128 pixels", "their own sizes"."""
        if self.resize_mode == "none":
            return "their own sizes"
        if self.resize_mode == "keep":
            return f"{min(self.shape)} pixels on the short side"
        return f"{self.height} pixels" if self.height == self.width else f"{self.height} × {self.width} pixels"


def square(side: int, resize_mode: str = "squash") -> Geometry:
    """Return the geometry of square images."""
    return Geometry(side, side, resize_mode)


def training_geometry(config: TrialConfig) -> Geometry:
    """Return the geometry of training images, from which crops are taken."""
    return Geometry(*config.load_shape, config.resize_mode, config.crop_shape)


def evaluation_geometry(config: TrialConfig) -> Geometry:
    """Return the geometry of test images."""
    return Geometry(*config.crop_shape, config.test_resize_mode)
