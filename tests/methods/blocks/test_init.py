"""Configured networks and their initial weights."""

import pytest
import torch
from torch import nn

from cgbench.config import TrialConfig
from cgbench.methods.blocks.builders import discriminator, generator
from cgbench.methods.blocks.init import initialise
from cgbench.methods.blocks.resnet import ResnetGenerator


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({}, 11_378_179),
        ({"blocks": 6}, 7_837_699),
        ({"ngf": 16}, 715_651),
        ({"norm": "batch"}, 11_383_427),
        ({"generator": "unet", "crop_size": 256, "norm": "batch"}, 54_413_955),
        ({"generator": "unet", "crop_size": 128, "norm": "batch"}, 41_828_995),
    ],
)
def test_generator_of_a_configuration(settings, count):
    with torch.device("meta"):
        assert sum(weight.numel() for weight in generator(TrialConfig(**settings)).parameters()) == count


def test_unet_of_a_configuration_reaches_one_pixel():
    module = generator(TrialConfig(generator="unet", crop_size=64, ngf=2))
    bottleneck = []
    module.down[-1].register_forward_hook(lambda layer, inputs, out: bottleneck.append(out.shape))
    module(torch.zeros(1, 3, 64, 64))
    assert bottleneck == [(1, 16, 1, 1)]


def test_discriminator_of_a_configuration():
    with torch.device("meta"):
        counts = [
            sum(weight.numel() for weight in module.parameters())
            for module in (
                discriminator(TrialConfig()),
                discriminator(TrialConfig(), source="ab"),
                discriminator(TrialConfig(ndf=16)),
                discriminator(TrialConfig(discriminator_layers=2)),
                discriminator(TrialConfig(norm="batch")),
                discriminator(TrialConfig(discriminator="pixel")),
            )
        ]
    assert counts == [2_764_737, 2_767_809, 175_089, 662_977, 2_765_633, 8_705]


def test_initial_weights_have_the_right_distribution():
    module = ResnetGenerator(ngf=32, blocks=2, norm="batch")
    initialise(module, 0, "G_ab", std=0.02)
    kernels = torch.cat([weight.flatten() for key, weight in module.named_parameters() if key.endswith("conv1.weight")])
    scales = torch.cat(
        [weight.flatten() for key, weight in module.named_parameters() if "norm" in key and "weight" in key]
    )
    assert abs(kernels.mean()) < 3e-4 and abs(kernels.std() - 0.02) < 2e-4
    assert abs(scales.mean() - 1) < 3e-3 and 0.017 < scales.std() < 0.023
    assert all((weight == 0).all() for key, weight in module.named_parameters() if key.endswith("bias"))
    assert abs(module.output.conv.weight.std() - 0.02) < 1e-3 and abs(module.up1.conv.weight.std() - 0.02) < 1e-3


def test_initial_weights_belong_to_seed_and_name():
    def weights(seed, name, global_seed, dtype=torch.float32):
        torch.manual_seed(global_seed)
        module = ResnetGenerator(ngf=4, blocks=1).to(dtype)
        initialise(module, seed, name, std=0.02)
        return torch.cat([weight.flatten() for weight in module.parameters()])

    same = weights(0, "G_ab", 1)
    assert torch.equal(same, weights(0, "G_ab", 2))
    assert torch.equal(same.double(), weights(0, "G_ab", 3, torch.float64))
    assert not torch.equal(same, weights(1, "G_ab", 1)) and not torch.equal(same, weights(0, "G_ba", 1))


def test_initialising_leaves_the_global_stream_alone():
    module = ResnetGenerator(ngf=4, blocks=1)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    initialise(module, 0, "G_ab", std=0.02)
    assert torch.equal(torch.rand(1), expected)


def test_initialise_serves_layers_of_other_methods():
    module = nn.Sequential(nn.Linear(40, 40), nn.GroupNorm(2, 40), nn.InstanceNorm2d(40, affine=True), nn.PReLU())
    initialise(module, 0, "F", std=0.5)
    assert abs(module[0].weight.std() - 0.5) < 0.05 and (module[0].bias == 0).all()
    assert (module[1].weight != 1).all() and (module[2].weight != 1).all() and module[3].weight == 0.25
