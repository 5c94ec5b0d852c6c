"""Translation of images at their own size: padded to what a network needs, and in tiles above a bound of memory.

A convolutional network translates images of any size whose sides are multiples of a number: 4 for the ResNet and the
networks of UNIT and MUNIT, 2 ** downsamplings for the U-Net. CoGAN renders a code and has one size only.

Memory was measured on a CPU in float32, beside the weights: the ResNet of the preset `demo` (16 channels) takes 0.25 GB
for an image of a megapixel (2 ** 20), 0.93 GB for four; that of the paper (64 channels) 0.96 GB for one. That is 15 to
16 bytes per pixel and channel, and 4 GB for four megapixels at the size of the paper.

Tiles were measured on a CamVid photo of 1280 × 960, in tiles of 640 × 640, with CycleGAN trained by `demo`: normalised
by their own statistics they differ from the whole image by 17 to 20 levels of 255 in the mean and 240 at most, by
those of the whole image by less than 0.001 level. The latter took 4 to 9 times as long as the former (11 layers).
"""

from collections.abc import Callable
from contextlib import nullcontext
from itertools import product
from math import isqrt, prod

import torch
from torch import Tensor
from torch.nn import functional

from cgbench.api.graph_analysis import networks_of, upstream
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.layers import MIN_SIDE, image_size
from cgbench.methods.blocks.model import Model
from cgbench.methods.blocks.norm import normalised_by
from cgbench.methods.blocks.pooled_statistics import LayerReached, Moments, PooledStatistics
from cgbench.methods.blocks.tiles import Span, smallest_tile, spans

MAX_PIXELS = 4 * 2**20  # of a network's input
MARGIN = 96  # pixels at a tile's border that are not used; the ResNet with 9 blocks sees 84 pixels far
RAMP = 64  # pixels over which two tiles are blended
UNDECLARED = 64  # the largest multiple that is asked of a network that declares none

Translate = Callable[[Tensor], Tensor]  # (N, C, H, W) → (N, D, H, W)


def size_multiple(model: Model, direction: str) -> int | None:
    """Return what the sides of images must be multiples of for a translation; None where only the crop size will do,
    because the images are rendered from a code.

    Networks say so in their attribute `size_multiple`. Where none on the way does, it is the power of two in the crop
    size, at most 64.
    """
    if model.needs_latent_search(direction):
        return None
    names = networks_of(model.method, upstream(model.method, [model.method.translates[direction]]))
    declared = [getattr(model.networks[name], "size_multiple", 0) for name in names]
    if any(declared):
        return max(declared)  # powers of two
    sides = model.config.crop_shape
    return min(UNDECLARED, *(side & -side for side in sides))


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Return images (N, C, H, W) with rows below and columns on the right, so that both sides are multiples of
    `multiple` and at least 8: a mirror image, or the last row or column again where the image is smaller than that."""
    height, width = image_size(images)
    for axis, size, padded in zip((2, 3), (height, width), padded_size(height, width, multiple), strict=True):
        if missing := padded - size:
            mode = "reflect" if missing < size else "replicate"
            images = functional.pad(images, (0, missing, 0, 0) if axis == 3 else (0, 0, 0, missing), mode)
    return images


@torch.no_grad()
def translate_whole(
    translate: Translate, images: Tensor, multiple: int, *, max_pixels: int = MAX_PIXELS, exact: bool = True,
    margin: int = MARGIN, ramp: int = RAMP,
) -> Tensor:  # fmt: skip
    """Return the translations of images of any size, at that size.

    Images above `max_pixels` are translated in overlapping tiles of equal size, blended by weights that sum to 1 at
    every pixel. A tile does not see what lies outside of it, which has two effects. The first is bounded by the
    receptive field: pixels within `margin` of a tile's border are not used. The second is not: instance norm and layer
    norm divide by the deviation of all that they see. `exact` therefore takes means and variances over the whole image,
    layer by layer, from all tiles; with batch norm it changes nothing and costs nothing. Only a U-Net sees all of its
    input through its bottleneck: its tiles are never those of the whole image.

    To translate back and forth at once, let `translate` concatenate several images along the channels.

    Args:
        translate: Maps (N, C, h, w) in [-1, 1] to (N, D, h, w), for sides that are multiples of `multiple` and at
            least 8. It is called with all N images, or with a tile of each.
        images: (N, C, H, W) in [-1, 1].
        multiple: `size_multiple` of the model.
        max_pixels: The most pixels, N · h · w, that `translate` is given at once.
        exact: Whether tiles are normalised by statistics of the whole image. It takes a pass over all tiles for each
            normalisation on the way, the first up to the first of them, and so on.
        margin: Pixels next to a tile's border that are not used.
        ramp: Pixels over which two tiles are blended.

    Returns:
        (N, D, H, W) in [-1, 1].

    Raises:
        CgbenchError: Where outputs have another height or width than inputs, or `max_pixels` is too few for a tile.
    """
    height, width = image_size(images)
    padded = pad_to_multiple(images, multiple)
    if len(images) * prod(image_size(padded)) <= max_pixels:
        return _checked(translate(padded), padded)[..., :height, :width]
    sides = _tile_sides(padded, multiple, max_pixels, smallest_tile(multiple, margin, ramp))
    axes = [spans(size, side, multiple, margin, ramp) for size, side in zip(image_size(padded), sides, strict=True)]
    tiles = list(product(*axes))
    known: list[Moments] = []
    while True:
        statistics = PooledStatistics(known) if exact else None
        result = _blended(translate, padded, tiles, statistics)
        if result is not None:
            return result[..., :height, :width]
        if statistics:
            known.append(statistics.pooled())


def padded_size(height: int, width: int, multiple: int) -> tuple[int, int]:
    """Return height and width of an image as the network sees it: multiples of `multiple`, and at least 8."""
    height, width = (max(-(-size // multiple) * multiple, MIN_SIDE) for size in (height, width))
    return height, width


def _blended(
    translate: Translate, images: Tensor, tiles: list[tuple[Span, Span]], statistics: PooledStatistics | None
) -> Tensor | None:
    """Return the sum of all translated tiles, weighted; None where each ended at a layer that gathers statistics."""
    result = None
    for rows, columns in tiles:
        tile = images[:, :, rows.slice, columns.slice]
        try:
            with normalised_by(statistics.of_tile(rows, columns)) if statistics else nullcontext():
                output = _checked(translate(tile), tile)
        except LayerReached:
            continue
        if result is None:
            result = output.new_zeros((*output.shape[:2], *images.shape[2:]))
        weights = (rows.weights[:, None] * columns.weights).to(output)
        result[:, :, rows.slice, columns.slice] += output * weights
    return result


def _tile_sides(images: Tensor, multiple: int, max_pixels: int, smallest: int) -> tuple[int, int]:
    """Return height and width of tiles: squares where the images reach beyond them on both axes."""
    height, width = image_size(images)
    pixels = max_pixels // len(images)
    side = isqrt(pixels)
    tile_height = min(height, max(side, pixels // width) // multiple * multiple)
    tile_width = min(width, pixels // max(tile_height, 1) // multiple * multiple)
    needed = min(height, smallest) * min(width, smallest)
    if tile_height < min(height, smallest) or tile_width < min(width, smallest):
        raise CgbenchError(
            f"tiles of {pixels:,} pixels are too small for the overlap that the network needs: allow {needed:,} or more"
        )
    return tile_height, tile_width


def _checked(outputs: Tensor, images: Tensor) -> Tensor:
    """Return the outputs; another height or width than that of the images raises `CgbenchError`."""
    if outputs.shape[2:] == images.shape[2:]:
        return outputs
    went_in, came_out = ("×".join(map(str, image_size(it))) for it in (images, outputs))
    raise CgbenchError(f"the network gives images of another size than it is given: {went_in} in, {came_out} out")
