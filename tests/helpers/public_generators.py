"""Generators with the layout of public code: plain layers in its order, so that tensors have its names.

Built from the published facts alone (papers, order of layers, names of tensors), and slow: the reference that the
networks of the package are compared with.
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


class Residual(nn.Module):
    def __init__(self, name, layers):
        super().__init__()
        self.inner = name
        self.add_module(name, nn.Sequential(*layers))

    def forward(self, maps):
        return maps + getattr(self, self.inner)(maps.clone())


class Blur(nn.Module):
    """CUT's antialiasing: half the sides, or twice."""

    def __init__(self, channels, up):
        super().__init__()
        self.up, row = up, torch.tensor([1.0, 3.0, 3.0, 1.0] if up else [1.0, 2.0, 1.0])
        kernel = row[:, None] * row
        kernel = kernel / kernel.sum() * (4 if up else 1)
        self.register_buffer("filt", kernel[None, None].repeat(channels, 1, 1, 1))

    def forward(self, maps):
        padded = functional.pad(maps, (1, 1, 1, 1), "replicate" if self.up else "reflect")
        if not self.up:
            return functional.conv2d(padded, self.filt, stride=2, groups=maps.shape[1])
        wide = functional.conv_transpose2d(padded, self.filt, stride=2, padding=2, groups=maps.shape[1])
        return wide[:, :, 1:-1, 1:-1]


def norm(kind, channels, tracked=False):
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.InstanceNorm2d(channels, track_running_stats=tracked)


class Resnet(nn.Module):
    def __init__(self, channels_in=3, channels_out=3, ngf=4, blocks=9, kind="instance", dropout=False, antialias=False,
                 tracked=False):  # fmt: skip
        super().__init__()
        bias = kind == "instance"

        def after(channels):
            return [norm(kind, channels, tracked), nn.ReLU(True)]

        layers = [nn.ReflectionPad2d(3), nn.Conv2d(channels_in, ngf, 7, bias=bias), *after(ngf)]
        for width in (ngf, 2 * ngf):
            layers += [nn.Conv2d(width, 2 * width, 3, 1 if antialias else 2, 1, bias=bias), *after(2 * width)]
            layers += [Blur(2 * width, False)] * antialias
        width = 4 * ngf
        for _ in range(blocks):
            half = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), *after(width)]
            half += [nn.Dropout(0.5)] * dropout
            half += [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm(kind, width, tracked)]
            layers.append(Residual("conv_block", half))
        for width in (4 * ngf, 2 * ngf):
            if antialias:
                layers += [Blur(width, True), nn.Conv2d(width, width // 2, 3, 1, 1, bias=bias)]
            else:
                layers.append(nn.ConvTranspose2d(width, width // 2, 3, 2, 1, 1, bias=bias))
            layers += after(width // 2)
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(ngf, channels_out, 7), nn.Tanh())

    def forward(self, images):
        return self.model(images)


class Skip(nn.Module):
    """A halving, what is inside of it, and the doubling; its input is concatenated, unless it is the outermost."""

    def __init__(self, outside, width, inside, kind, dropout=False, image=None):
        super().__init__()
        bias = kind == "instance"
        doubled = width if inside is None else 2 * width
        if image:  # the outermost
            self.skips, (channels_in, channels_out) = False, image
            self.model = nn.Sequential(
                nn.Conv2d(channels_in, width, 4, 2, 1, bias=bias), inside, nn.ReLU(True),
                nn.ConvTranspose2d(doubled, channels_out, 4, 2, 1), nn.Tanh(),
            )  # fmt: skip
            return
        self.skips = True
        down = [nn.LeakyReLU(0.2, True), nn.Conv2d(outside, width, 4, 2, 1, bias=bias)]
        up = [nn.ReLU(True), nn.ConvTranspose2d(doubled, outside, 4, 2, 1, bias=bias), norm(kind, outside)]
        middle = [] if inside is None else [norm(kind, width), inside]
        self.model = nn.Sequential(*down, *middle, *up, *([nn.Dropout(0.5)] * dropout))

    def forward(self, maps):
        return torch.cat([maps, self.model(maps)], 1) if self.skips else self.model(maps)


class Unet(nn.Module):
    def __init__(self, channels_in=3, channels_out=3, ngf=4, halvings=8, kind="instance", dropout=False):
        super().__init__()
        block = Skip(8 * ngf, 8 * ngf, None, kind)
        for _ in range(halvings - 5):
            block = Skip(8 * ngf, 8 * ngf, block, kind, dropout)
        for width in (4 * ngf, 2 * ngf, ngf):
            block = Skip(width, 2 * width, block, kind)
        self.model = Skip(None, ngf, block, kind, image=(channels_in, channels_out))

    def forward(self, images):
        return self.model(images)


class SampleNorm(nn.Module):
    """Layer norm of MUNIT's code: the sample deviation, and 1e-5 beside it."""

    def __init__(self, channels):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.rand(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, maps):
        rows = maps.flatten(1)
        maps = (maps - rows.mean(1)[:, None, None, None]) / (rows.std(1)[:, None, None, None] + 1e-5)
        return maps * self.gamma[:, None, None] + self.beta[:, None, None]


class Adaptive(nn.Module):
    """AdaIN, with the buffers that its code stores and never reads."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.affine = None

    def forward(self, maps):
        shift, scale = self.affine
        normal = functional.instance_norm(maps, eps=1e-5)
        return normal * scale[:, :, None, None] + shift[:, :, None, None]


class Conv(nn.Module):
    def __init__(self, channels_in, channels_out, kernel, stride, pad, normalise=None, activation=None):
        super().__init__()
        self.pad = nn.ReflectionPad2d(pad)
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride)
        self.norm = normalise(channels_out) if normalise else nn.Identity()
        self.activation = activation or nn.Identity()

    def forward(self, maps):
        return self.activation(self.norm(self.conv(self.pad(maps))))


class Stack(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, maps):
        return self.model(maps)


class Linear(nn.Module):
    def __init__(self, numbers_in, numbers_out, activation=None):
        super().__init__()
        self.fc, self.activation = nn.Linear(numbers_in, numbers_out), activation or nn.Identity()

    def forward(self, numbers):
        return self.activation(self.fc(numbers))


def residuals(width, blocks, normalise):
    return Stack(*(
        Residual("model", [Conv(width, width, 3, 1, 1, normalise, nn.ReLU()), Conv(width, width, 3, 1, 1, normalise)])
        for _ in range(blocks)
    ))  # fmt: skip


class Autoencoder(nn.Module):
    """The autoencoder of a domain: of UNIT, or with `style` numbers of MUNIT."""

    def __init__(self, channels=3, ngf=4, blocks=4, style=0, halvings=4, tracked=False):
        super().__init__()

        def instance(width):
            return nn.InstanceNorm2d(width, track_running_stats=tracked)

        encoder = Stack(
            Conv(channels, ngf, 7, 1, 3, instance, nn.ReLU()), Conv(ngf, 2 * ngf, 4, 2, 1, instance, nn.ReLU()),
            Conv(2 * ngf, 4 * ngf, 4, 2, 1, instance, nn.ReLU()), residuals(4 * ngf, blocks, instance),
        )  # fmt: skip
        self.add_module("enc_content" if style else "enc", encoder)
        self.encoder = [encoder]  # a list: no second name of its tensors
        self.dec = Stack(
            residuals(4 * ngf, blocks, Adaptive if style else instance),
            nn.Upsample(scale_factor=2), Conv(4 * ngf, 2 * ngf, 5, 1, 2, SampleNorm, nn.ReLU()),
            nn.Upsample(scale_factor=2), Conv(2 * ngf, ngf, 5, 1, 2, SampleNorm, nn.ReLU()),
            Conv(ngf, channels, 7, 1, 3, None, nn.Tanh()),
        )  # fmt: skip
        if style:
            widths = [ngf, 2 * ngf, *[4 * ngf] * (halvings - 1)]
            strided = [Conv(a, b, 4, 2, 1, None, nn.ReLU()) for a, b in pairwise(widths)]
            self.enc_style = Stack(
                Conv(channels, ngf, 7, 1, 3, None, nn.ReLU()), *strided, nn.AdaptiveAvgPool2d(1),
                nn.Conv2d(4 * ngf, style, 1),
            )  # fmt: skip
            width = 4 * ngf
            self.mlp = Stack(
                Linear(style, width, nn.ReLU()), Linear(width, width, nn.ReLU()), Linear(width, 4 * width * blocks)
            )

    def encode(self, images):
        return self.encoder[0](images)

    def decode(self, content, style=None):
        if style is not None:
            numbers = self.mlp(style)
            for layer in (layer for layer in self.dec.modules() if isinstance(layer, Adaptive)):
                width = len(layer.running_mean)
                layer.affine, numbers = (numbers[:, :width], numbers[:, width : 2 * width]), numbers[:, 2 * width :]
        return self.dec(content)


def with_weights(module, seed=0):
    """Return a module in evaluation mode with weights, and statistics of batch norm, that no layer could ignore."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if name.endswith(("filt", "num_batches_tracked")):
            continue
        numbers = torch.randn(tensor.shape, generator=generator)
        if tensor.dim() > 1:
            tensor.copy_(numbers / tensor[0].numel() ** 0.5)
        elif name.endswith(("running_var", "gamma")) or (name.endswith("weight") and tensor.dim() == 1):
            tensor.copy_(1 + 0.2 * numbers.tanh())
        else:
            tensor.copy_(0.2 * numbers)
    return module.eval()
