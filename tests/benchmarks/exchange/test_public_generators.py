"""Public generators: recognised from names and shapes, and the same outputs as the public layout of layers gives."""

import pytest
import torch
from safetensors.torch import save_file

from cgbench.benchmarks.exchange.external_generators import build, load_generator, random_style
from cgbench.benchmarks.exchange.public_names import from_public, to_public
from cgbench.benchmarks.exchange.public_networks import PublicNetwork, recognise
from cgbench.config import TrialConfig
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.model import Model
from cgbench.methods.munit import munit
from helpers.public_generators import Autoencoder, Resnet, Unet, with_weights

TOLERANCE = 1e-5
RESNETS = [
    (6, "instance", False, False), (9, "instance", False, False), (9, "instance", True, False),
    (9, "batch", False, False), (6, "batch", True, False), (4, "instance", False, False),
    (9, "instance", False, True), (6, "batch", True, True),
]  # fmt: skip


def saved(path, content):
    torch.save(content, path)
    return path


def images(channels=3, side=32):
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert expected.std() > 0.05  # outputs that say something about the weights
    assert (found - expected).abs().max() < TOLERANCE


@pytest.mark.parametrize(("blocks", "norm", "dropout", "antialias"), RESNETS)
@pytest.mark.parametrize(("channels_in", "channels_out", "ngf"), [(3, 1, 4), (1, 3, 6)])
def test_a_resnet_is_recognised_and_gives_the_public_outputs(
    tmp_path, blocks, norm, dropout, antialias, channels_in, channels_out, ngf
):
    public = with_weights(Resnet(channels_in, channels_out, ngf, blocks, norm, dropout, antialias))
    state = public.state_dict()
    expected = PublicNetwork("resnet", channels_in, channels_out, ngf, blocks, norm, dropout, antialias)
    assert recognise(state) == expected
    loaded = load_generator(saved(tmp_path / "latest_net_G_A.pth", state), "AtoB")
    assert str(expected) in loaded.origin
    with torch.no_grad():
        assert_same(loaded.translate(images(channels_in)), public(images(channels_in)))


@pytest.mark.parametrize(("halvings", "side"), [(7, 128), (8, 256), (5, 32)])
@pytest.mark.parametrize(("norm", "dropout"), [("instance", False), ("batch", True), ("batch", False)])
def test_a_unet_is_recognised_and_gives_the_public_outputs(tmp_path, halvings, side, norm, dropout):
    public = with_weights(Unet(3, 1, 2, halvings, norm, dropout))
    assert recognise(public.state_dict()) == PublicNetwork("unet", 3, 1, 2, halvings, norm)
    loaded = load_generator(saved(tmp_path / "net.pth", public.state_dict()), "AtoB")
    assert (loaded.size_multiple, loaded.strict_size) == (2**halvings, True)
    with torch.no_grad():
        assert_same(loaded.translate(images(side=side)), public(images(side=side)))


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
@pytest.mark.parametrize(("blocks", "ngf", "tracked"), [(4, 4, False), (2, 6, True)])
def test_unit_translates_by_the_encoder_of_one_domain_and_the_decoder_of_the_other(
    tmp_path, direction, blocks, ngf, tracked
):
    pair = {"a": Autoencoder(3, ngf, blocks), "b": Autoencoder(1, ngf, blocks)}
    pair = {domain: with_weights(module, ord(domain)) for domain, module in pair.items()}
    states = {domain: module.state_dict() for domain, module in pair.items()}
    if tracked:  # as files of an old version have them
        states["a"]["enc.model.0.norm.running_mean"] = torch.ones(ngf)
    source, target = direction.lower().split("to")
    loaded = load_generator(saved(tmp_path / "gen_00000000.pt", states), direction)
    assert f"; UNIT {direction}, {blocks} + {blocks} residual blocks" in loaded.origin
    inputs = images(loaded.channels_in)
    with torch.no_grad():
        assert_same(loaded.translate(inputs), pair[target].decode(pair[source].encode(inputs)))


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
@pytest.mark.parametrize(("blocks", "ngf", "style", "halvings"), [(4, 4, 8, 4), (2, 6, 3, 3)])
def test_munit_translates_in_a_given_style(tmp_path, direction, blocks, ngf, style, halvings):
    pair = {domain: with_weights(Autoencoder(3, ngf, blocks, style, halvings), ord(domain)) for domain in "ab"}
    states = {domain: module.state_dict() for domain, module in pair.items()}
    expected = PublicNetwork("munit", 3, 3, ngf, blocks, style=style, style_halvings=halvings)
    assert recognise(states["a"]) == expected
    loaded = load_generator(saved(tmp_path / "gen_00000000.pt", states), direction)
    styles = torch.randn(2, style, generator=torch.Generator().manual_seed(5))
    source, target = direction.lower().split("to")
    with torch.no_grad():
        assert_same(loaded.translate(images(), styles), pair[target].decode(pair[source].encode(images()), styles))


def test_published_networks_have_the_published_numbers_of_weights():
    def count(network, part=""):
        with torch.device("meta"):
            return sum(weight.numel() for name, weight in build(network).named_parameters() if name.startswith(part))

    assert count(PublicNetwork("resnet", 3, 3, 64, 9, antialias=True)) == 11_378_179
    assert count(PublicNetwork("unit", 3, 3, 64, 4)) == 11_140_483
    munit_network = PublicNetwork("munit", 3, 3, 64, 4, style=8, style_halvings=4)
    assert count(munit_network) == 15_026_187
    assert count(munit_network, "style") == 2_764_936


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_a_test_image_has_the_style_that_our_munit_draws_for_it(direction):
    model = Model(munit(), TrialConfig(crop_size=32, ngf=4, blocks=2, ndf=4), seed=3)
    model.train(False)
    name = f"random_{direction[-1].lower()}"
    model.first_image, model.style_index = 2, 0
    styles = model.draw(name, [images()], 0)
    assert torch.equal(styles, torch.cat([random_style(3, direction, index, 8) for index in (2, 3)]))


@pytest.mark.parametrize("network", [
    PublicNetwork("resnet", 3, 1, 4, 6), PublicNetwork("resnet", 1, 3, 4, 9, "batch", True),
    PublicNetwork("resnet", 3, 3, 4, 9, antialias=True), PublicNetwork("resnet", 3, 3, 4, 6, "batch", antialias=True),
    PublicNetwork("unet", 3, 1, 2, 7), PublicNetwork("unet", 3, 1, 2, 8, "batch"),
    PublicNetwork("unit", 3, 3, 4, 4), PublicNetwork("munit", 1, 1, 4, 3, style=8, style_halvings=4),
], ids=str)  # fmt: skip
def test_names_lead_there_and_back_and_the_public_layout_loads_them(network):
    state = with_weights(build(network)).state_dict()
    public = to_public(state, network)
    reference = {
        "resnet": lambda: Resnet(network.channels_in, network.channels_out, network.ngf, network.blocks, network.norm,
                                 network.dropout, network.antialias),
        "unet": lambda: Unet(network.channels_in, network.channels_out, network.ngf, network.blocks, network.norm),
        "unit": lambda: Autoencoder(network.channels_in, network.ngf, network.blocks),
        "munit": lambda: Autoencoder(network.channels_in, network.ngf, network.blocks, 8, 4),
    }[network.family]()  # fmt: skip
    reference.load_state_dict(public)  # strict: every name and shape
    assert recognise(public) == network
    back = from_public(public, network)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_old_files_have_statistics_of_instance_norm_that_no_translation_reads(tmp_path):
    public = with_weights(Resnet(blocks=6))
    old = with_weights(Resnet(blocks=6, tracked=True)).state_dict()
    assert len(old) > len(public.state_dict())
    old |= public.state_dict()
    loaded = load_generator(saved(tmp_path / "net.pth", old), "AtoB")
    with torch.no_grad():
        assert_same(loaded.translate(images()), public(images()))


def test_batch_norm_without_counters_as_before_torch_0_4_1(tmp_path):
    state = with_weights(Resnet(blocks=6, kind="batch")).state_dict()
    old = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    assert load_generator(saved(tmp_path / "net.pth", old), "AtoB").channels_in == 3


@pytest.mark.parametrize("wrap", [
    lambda state: {"epoch": 3, "state_dict": state}, lambda state: {"model": {"netG": state}},
    lambda state: {"generator": state}, lambda state: {f"module.{name}": it for name, it in state.items()},
    lambda state: {"model": {f"module._orig_mod.{name}": it for name, it in state.items()}},
])  # fmt: skip
def test_wrappers_and_prefixes_are_understood(tmp_path, wrap):
    public = with_weights(Resnet(blocks=6))
    loaded = load_generator(saved(tmp_path / "net.pth", wrap(public.state_dict())), "AtoB")
    with torch.no_grad():
        assert_same(loaded.translate(images()), public(images()))


def test_safetensors_half_precision_and_both_domains_in_one_file(tmp_path):
    pair = {domain: with_weights(Autoencoder(blocks=2), ord(domain)).half().float() for domain in "ab"}
    tensors = {f"{domain}.{name}": tensor.half() for domain, module in pair.items()
               for name, tensor in module.state_dict().items()}  # fmt: skip
    save_file(tensors, tmp_path / "gen.safetensors")
    loaded = load_generator(tmp_path / "gen.safetensors", "AtoB")
    assert "converted from float16" in loaded.origin
    with torch.no_grad():
        assert_same(loaded.translate(images()), pair["b"].decode(pair["a"].encode(images())))


def without(*names, **more):
    state = with_weights(Resnet(blocks=6)).state_dict()
    return {name: tensor for name, tensor in state.items() if name not in names} | more


def half_antialiased():
    state = with_weights(Resnet(blocks=6, antialias=True)).state_dict()
    del state["model.18.filt"]
    return state


def other_filter():
    state = with_weights(Resnet(blocks=6, antialias=True)).state_dict()
    return state | {"model.7.filt": torch.ones(8, 1, 3, 3)}


@pytest.mark.parametrize(("state", "message"), [
    (without("model.10.conv_block.1.bias", "model.4.weight"),
     "lacks 2 tensors (model.10.conv_block.1.bias, model.4.weight)"),
    (without(extra=torch.zeros(2)), "has 1 tensor (extra) that the network has not"),
    (without(**{f"more.{number}": torch.zeros(1) for number in range(9)}), "has 9 tensors (more.0, more.1, more.2, …)"),
    (without(**{"model.4.weight": torch.zeros(9, 4, 3, 3)}), "'model.4.weight' has the shape (9, 4, 3, 3)"),
    (without(**{"model.1.weight": torch.zeros(100_000, 3, 7, 7)}), "has the shape"),
    (without("model.1.bias"), "without normalisation"),
    (without(**{"model.2.weight": torch.ones(4)}), "with a normalisation that has weights"),
    (without(**{"model.9999.conv_block.1.weight": torch.zeros(1)}), "lacks 9983 residual blocks: 'model.16."),
    (without("model.12.conv_block.1.weight"), "'model.12.conv_block.1.weight' is missing"),
    (without(**{f"model.{'9' * 5000}.conv_block.1.weight": torch.zeros(1)}), "that the network has not"),
    (half_antialiased(), "antialiased in one half alone"),
    (other_filter(), "no filter of CUT's code"),
    ({"encoder.convs.0.0.weight": torch.zeros(4, 3, 1, 1), "decoder.convs.0.activate.bias": torch.zeros(4)},
     "a StyleGAN2 generator"),
    ({"model.0.weight": torch.zeros(4, 3, 4, 4), "model.0.bias": torch.zeros(4)}, "this is a discriminator"),
    ({"fc.weight": torch.zeros(4, 3)}, "no generator that is known here has these tensors: 'fc.weight'"),
    (Autoencoder(blocks=2).state_dict(), "one domain of UNIT"),
])  # fmt: skip
def test_a_generator_that_does_not_fit_is_refused_by_name_in_one_line(tmp_path, state, message):
    path = saved(tmp_path / "net.pth", state)
    with pytest.raises(CgbenchError) as caught:
        load_generator(path, "AtoB")
    assert caught.value.exit_code == 2
    assert message in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_munit_with_another_mlp_and_domains_that_do_not_belong_together_are_refused(tmp_path):
    states = {domain: Autoencoder(blocks=2, style=8).state_dict() for domain in "ab"}
    wide = states["a"] | {"mlp.model.0.fc.weight": torch.zeros(99, 8)}
    with pytest.raises(CgbenchError, match="mlp_dim"):
        load_generator(saved(tmp_path / "gen.pt", {"a": wide, "b": states["b"]}), "AtoB")
    with pytest.raises(CgbenchError, match="different networks"):
        other = Autoencoder(blocks=2, ngf=6, style=8).state_dict()
        load_generator(saved(tmp_path / "gen.pt", {"a": states["a"], "b": other}), "AtoB")
