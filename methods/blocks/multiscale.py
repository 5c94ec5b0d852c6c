"""Multi-scale PatchGAN discriminator of UNIT and MUNIT (Wang et al. 2018, arXiv 1711.11585)."""

from torch import Tensor, nn

from cgbench.errors import CgbenchError
from cgbench.methods.blocks.layers import check_min_size, contiguous_layout
from cgbench.methods.blocks.reflection_pad import ReflectionPad2d

MAX_WIDTH = 8  # channels of the widest layer, in units of ndf


class MultiScaleDiscriminator(nn.Module):
    """`scales` discriminators without shared weights: on the image, on half of it, on a quarter, …

    Maps images (N, channels, H, W) in [-1, 1] to a tuple of raw verdicts (N, 1, h, w), the finest first; h is the side
    at that scale / 2 ** layers (256 pixels and 4 layers: 16, 8, 4). Each has `layers` convolutions 4×4 of stride 2 with
    reflection padding and LeakyReLU, no normalisation, and a 1×1 convolution to the verdict. Sides whose smallest scale
    is shorter than 2 ** layers raise `CgbenchError`.
    """

    def __init__(self, channels: int = 3, ndf: int = 64, layers: int = 4, scales: int = 3) -> None:
        super().__init__()
        # halving rounds up, so this is the smallest side whose coarsest scale still has 2 ** layers pixels
        self.min_size = (2**layers - 1) * 2 ** (scales - 1) + 1
        self.judges = nn.ModuleList(_single_scale(channels, ndf, layers) for _ in range(scales))
        # padding is excluded from the mean, or borders would darken from scale to scale
        self.halve = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the verdicts on `images` (N, channels, H, W), one map per scale."""
        fix = "choose a larger crop_size or fewer discriminator_layers"
        check_min_size(images, self.min_size, f"the discriminator of {len(self.judges)} scales", fix)
        images = contiguous_layout(images)
        verdicts = []
        for scale, discriminator in enumerate(self.judges):
            images = self.halve(images) if scale else images
            verdicts.append(discriminator(images))
        return tuple(verdicts)


def max_scales(side: int, layers: int, limit: int = 3) -> int:
    """Return the number of scales for images of `side` pixels: at most `limit`, the coarsest with 2 ** layers pixels.

    Images with fewer than 2 ** layers pixels raise `CgbenchError`.
    """
    if side < 2**layers:
        raise CgbenchError(
            f"a multi-scale discriminator with {layers} strided layers (discriminator_layers + 1) needs crop_size >= "
            f"{2**layers}, not {side}: choose a larger crop_size or fewer discriminator_layers"
        )
    scales = 1
    while scales < limit and -(-side // 2) >= 2**layers:
        side, scales = -(-side // 2), scales + 1
    return scales


def _single_scale(channels: int, ndf: int, layers: int) -> nn.Sequential:
    """Return the discriminator of one scale."""
    steps: list[nn.Module] = []
    for depth in range(layers):
        width = ndf * min(2**depth, MAX_WIDTH)
        pad = ReflectionPad2d(1)
        steps += [pad, nn.Conv2d(channels, width, 4, stride=2), nn.LeakyReLU(0.2, inplace=True)]
        channels = width
    return nn.Sequential(*steps, nn.Conv2d(channels, 1, 1))
