"""Common random numbers: order, crops and initial weights depend on the seed and the purpose alone."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cgbench.benchmarks.data.batches import batch_indices, crops
from cgbench.benchmarks.data.conversion import to_bytes, to_signed
from cgbench.methods.blocks.model import Model
from cgbench.methods.cyclegan import cycle_only, cyclegan, cyclegan_identity, gan_only
from cgbench.seeds import derive, generator
from helpers.tiny_models import tiny_config, tiny_sampler


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 40), batch=st.integers(1, 7), seed=st.integers(0, 9))
def test_every_image_comes_once_per_epoch(count, batch, seed):
    order = np.concatenate([batch_indices(seed, "a", step, batch, count) for step in range(count)])
    for epoch in range(batch):
        assert sorted(order[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_the_domains_are_shuffled_apart():
    steps = range(30)
    a = [tuple(batch_indices(0, "a", step, 2, 30)) for step in steps]
    assert a == [tuple(batch_indices(0, "a", step, 2, 30)) for step in steps]
    assert a != [tuple(batch_indices(0, "b", step, 2, 30)) for step in steps]
    assert a != [tuple(batch_indices(1, "a", step, 2, 30)) for step in steps]


def test_crops_stay_inside_and_reach_every_corner():
    config = tiny_config(batch_size=8)
    corners = np.concatenate([crops(0, "a", step, config)[0] for step in range(60)])
    assert corners.min() == 0 and corners.max() == config.load_size - config.crop_size
    mirrored = np.concatenate([crops(0, "a", step, config)[1] for step in range(60)])
    assert 0.4 < mirrored.mean() < 0.6
    assert not crops(0, "a", 0, tiny_config(horizontal_flip="false"))[1].any()


def test_a_batch_is_what_the_streams_say():
    config = tiny_config(batch_size=3)
    sampler = tiny_sampler(config, seed=5)
    batch = sampler.batch(2)["real_b"]
    chosen = batch_indices(5, "b", 2, 3, 6)
    corners, mirrored = crops(5, "b", 2, config)
    for row, (index, (y, x), mirror) in enumerate(zip(chosen, corners, mirrored, strict=True)):
        expected = sampler.domains["b"][index][:, y : y + 16, x : x + 16].float() / 127.5 - 1
        assert torch.equal(batch[row], expected.flip(-1) if mirror else expected)
    assert batch.min() >= -1 and batch.max() <= 1


def test_bytes_survive_the_way_to_floats_and_back():
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert (to_bytes(to_signed(levels)) == levels.permute(0, 2, 3, 1).numpy()).all()


def test_methods_with_one_seed_start_from_the_same_weights():
    config = tiny_config()
    models = [Model(method, config, seed=3) for method in (cyclegan(), gan_only(), cycle_only(), cyclegan_identity())]
    first = models[0].state()
    for model in models[1:]:
        state = model.state()
        shared = [name for name in state if name.startswith("network.")]
        assert any("G_ab" in name for name in shared)
        assert all(torch.equal(first[name], state[name]) for name in shared)
    other_seed = Model(cyclegan(), config, seed=4).state()
    name = "network.G_ab." + next(iter(models[0].networks["G_ab"].state_dict()))
    assert not torch.equal(first[name], other_seed[name])


def test_two_networks_of_one_shape_start_differently():
    state = Model(cyclegan(), tiny_config(), seed=0).state()
    pairs = [
        (name, name.replace("G_ab", "G_ba")) for name in state if name.startswith("network.G_ab") and "weight" in name
    ]
    assert pairs and all(not torch.equal(state[p], state[q]) for p, q in pairs)


def test_a_stream_is_named_by_its_purpose():
    assert derive(0, "init", "G_ab") == derive(0, "init", "G_ab")
    names = [
        derive(0, "init", "G_ab"),
        derive(0, "init", "G_ba"),
        derive(1, "init", "G_ab"),
        derive(0, "init/G_ab", "x"),
    ]
    assert len(set(names)) == 4 and all(0 <= value < 2**63 for value in names)
    assert generator(0, "x").random() == generator(0, "x").random()
