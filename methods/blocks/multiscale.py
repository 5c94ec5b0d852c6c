"""The discriminator of UNIT and MUNIT, which judges an image at several scales (Wang et al. 2018, arXiv 1711.11585)."""

from torch import Tensor, nn

from cgbench.errors import CgbenchError
from cgbench.methods.blocks.layers import plain_layout, require_least
from cgbench.methods.blocks.reflection_pad import ReflectionPad2d

WIDEST = 8  # times ndf: the most channels of any layer


class MultiScaleDiscriminator(nn.Module):
    """`scales` discriminators without shared weights: on the image, on half of it, on a quarter, …

    Maps images (N, channels, H, W) in [-1, 1] to a tuple of raw verdicts (N, 1, h, w), the finest first; h is the side
    at that scale / 2 ** layers (256 pixels and 4 layers: 16, 8, 4). Each has `layers` convolutions 4×4 of stride 2 with
    reflection padding and LeakyReLU, no normalisation, and a 1×1 convolution to the verdict. Sides whose smallest scale
    is shorter than 2 ** layers raise `CgbenchError`.
    """

    def __init__(self, channels: int = 3, ndf: int = 64, layers: int = 4, scales: int = 3) -> None:
        super().__init__()
        # halving rounds up, so this is the shortest side whose smallest scale still has 2 ** layers pixels
        self.least = (2**layers - 1) * 2 ** (scales - 1) + 1
        self.judges = nn.ModuleList(_judge(channels, ndf, layers) for _ in range(scales))
        # zeros of the padding do not count, or borders would darken from scale to scale
        self.halve = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the verdicts on `images` (N, channels, H, W), one map per scale."""
        remedy = "choose a larger crop_size or fewer discriminator_layers"
        require_least(images, self.least, f"the discriminator of {len(self.judges)} scales", remedy)
        images = plain_layout(images)
        verdicts = []
        for scale, judge in enumerate(self.judges):
            images = self.halve(images) if scale else images
            verdicts.append(judge(images))
        return tuple(verdicts)


def fitting_scales(side: int, layers: int, most: int = 3) -> int:
    """Return how many scales an image of `side` pixels has room for: the smallest has at least 2 ** layers pixels.

    An image without room for one raises `CgbenchError`.
    """
    if side < 2**layers:
        raise CgbenchError(
            f"a multi-scale discriminator with {layers} strided layers (discriminator_layers + 1) needs crop_size >= "
            f"{2**layers}, not {side}: choose a larger crop_size or fewer discriminator_layers"
        )
    scales = 1
    while scales < most and -(-side // 2) >= 2**layers:
        side, scales = -(-side // 2), scales + 1
    return scales


def _judge(channels: int, ndf: int, layers: int) -> nn.Sequential:
    """The discriminator of one scale."""
    steps: list[nn.Module] = []
    for depth in range(layers):
        width = ndf * min(2**depth, WIDEST)
        pad = ReflectionPad2d(1)
        steps += [pad, nn.Conv2d(channels, width, 4, stride=2), nn.LeakyReLU(0.2, inplace=True)]
        channels = width
    return nn.Sequential(*steps, nn.Conv2d(channels, 1, 1))
