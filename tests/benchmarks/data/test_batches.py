"""Batches: crops are read from images in place, bit for bit equal to cropping a copy of the whole set."""

import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cgbench.benchmarks.data.batches import (
    BatchSampler,
    ImageSet,
    batch_indices,
    copy_crops,
    crops,
    fits_on_device,
    gather_crops,
)
from cgbench.benchmarks.data.conversion import to_signed
from helpers.tiny_models import noise_set, tiny_config


def by_copy(a, b, config, seed, paired, step):
    """The batch by definition: the set as (N, 3, S, S), cropped image by image, mirrored, then converted to float."""
    batch = {}
    for domain, images in (("a", a), ("b", b)):
        stream = "pairs" if paired else domain
        chosen = batch_indices(seed, stream, step, config.batch_size, len(images))
        corners, mirrored = crops(seed, stream, step, config)
        arrays = {"real": torch.from_numpy(np.array(images.images)).permute(0, 3, 1, 2).contiguous()}
        if a.labels is not None and b.labels is not None:
            arrays["labels"] = torch.from_numpy(np.array(images.labels))
        for name, array in arrays.items():
            parts = []
            for index, (y, x), mirror in zip(chosen.tolist(), corners, mirrored, strict=True):
                part = array[index, ..., y : y + config.crop_size, x : x + config.crop_size]
                parts.append(part.flip(-1) if mirror else part)
            cut = torch.stack(parts)
            batch[f"{name}_{domain}"] = cut.float() / 127.5 - 1 if name == "real" else cut.long()
    return batch


def mapped(images, folder):
    """The same set as files that are mapped into memory, read-only."""
    arrays = {}
    for name in ("images", "labels"):
        if (array := getattr(images, name)) is not None:
            np.save(folder / f"{images.keys[0]}-{name}.npy", array)
            arrays[name] = np.load(folder / f"{images.keys[0]}-{name}.npy", mmap_mode="r")
    return replace(images, **arrays)


@pytest.mark.parametrize("files", [False, True])
@pytest.mark.parametrize("flip", ["true", "false"])
@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("paired", [False, True])
def test_batches_have_the_bits_of_the_definition(tmp_path, paired, labels, flip, files):
    config = tiny_config(batch_size=3, horizontal_flip=flip)
    sets = [noise_set(name, count=6 if paired else count) for name, count in (("a", 5), ("b", 7))]
    if labels:
        sets = [replace(images, labels=images.images[..., 1].copy()) for images in sets]
    if files:
        sets = [mapped(images, tmp_path) for images in sets]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler = BatchSampler(*sets, config, seed=4, paired=paired)
        for step in range(9):
            batch, expected = sampler.batch(step), by_copy(*sets, config, 4, paired, step)
            assert batch.keys() == expected.keys() and len(batch) == (4 if labels else 2)
            for name, tensor in expected.items():
                assert torch.equal(batch[name], tensor) and batch[name].dtype == tensor.dtype
                assert batch[name].is_contiguous()  # other strides would select other kernels


def test_one_labelled_set_alone_gives_no_labels():
    a, b = noise_set("a"), noise_set("b")
    assert set(BatchSampler(replace(a, labels=a.images[..., 0]), b, tiny_config(), 0).batch(0)) == {"real_a", "real_b"}


def test_a_sampler_on_the_host_copies_nothing(tmp_path):
    for images in (noise_set("a"), mapped(noise_set("b"), tmp_path)):
        sampler = BatchSampler(images, images, tiny_config(), 0)
        assert np.shares_memory(sampler.domains["a"].numpy(), images.images)


@pytest.mark.parametrize("shape", [(5, 3, 9, 9), (5, 9, 9)])
def test_gathering_crops_gives_what_copying_gives(shape):
    random = np.random.default_rng(3)
    images = torch.from_numpy(random.integers(0, 256, shape, dtype=np.uint8))
    chosen, corners, mirrored = random.integers(0, 5, 40), random.integers(0, 5, (40, 2)), random.random(40) < 0.5
    places = torch.from_numpy(np.column_stack([chosen, corners, mirrored]).astype(np.int64))
    copied, gathered = copy_crops(images, chosen, corners, mirrored, (5, 4)), gather_crops(images, places, (5, 4))
    assert (
        torch.equal(copied, gathered)
        and copied.stride() == gathered.stride()
        and gathered.shape == (40, *shape[1:-2], 5, 4)
    )


def test_images_lie_on_the_device_where_they_leave_room_for_the_rest():
    assert fits_on_device(0, 0) and fits_on_device(40 * 10**9, 80 * 10**9)
    assert not fits_on_device(40 * 10**9 + 1, 80 * 10**9) and not fits_on_device(1, 0)


def test_making_signed_leaves_the_given_images_alone():
    images = torch.arange(3.0)
    assert to_signed(images)[0] == -1 and images.tolist() == [0, 1, 2]


def test_what_looks_at_mapped_images_says_nothing_of_it(tmp_path):
    """torch warns once per process about arrays that are not writable; nothing here writes to them."""
    code = (
        "import sys, warnings\nimport numpy as np\nwarnings.simplefilter('error')\n"
        "from cgbench.benchmarks.evaluation.feature_extractors import scorer_features\n"
        "from cgbench.benchmarks.evaluation.scorer import Scorer, build_network\n"
        "from cgbench.benchmarks.data.image_set import ImageSet\n"
        "from cgbench.benchmarks.evaluation.inference import translation_rate\n"
        "from cgbench.methods.cyclegan import cyclegan\nfrom helpers.tiny_models import tiny_config, tiny_model\n"
        "images = np.load(sys.argv[1], mmap_mode='r')\n"
        "scorer = Scorer(build_network(3, 4), {})\n"
        "[scorer.predict(images), scorer_features(scorer)(images)] if sys.argv[2] == 'scorer' else "
        "translation_rate(tiny_model(cyclegan(), tiny_config()), ImageSet(('key',) * len(images), images), 'AtoB')\n"
    )
    np.save(tmp_path / "images.npy", noise_set("a", shape=(16, 16)).images)
    for user in ("scorer", "model"):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", code, str(tmp_path / "images.npy"), user]
        process = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        assert process.returncode == 0, process.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("room", [True, False])
def test_batches_on_a_gpu_have_the_bits_of_the_host(monkeypatch, room):
    monkeypatch.setattr("cgbench.benchmarks.data.batches.fits_on_device", lambda needed, free: room)
    sets = [replace(noise_set(name), labels=noise_set(name).images[..., 0]) for name in "ab"]
    config = tiny_config(batch_size=3)
    on_gpu, on_host = BatchSampler(*sets, config, 1, "cuda"), BatchSampler(*sets, config, 1)
    assert on_gpu.resident is room
    for step in range(5):
        for name, tensor in on_gpu.batch(step).items():
            assert tensor.is_cuda and torch.equal(tensor.cpu(), on_host.batch(step)[name])


def test_a_batch_reads_only_what_it_shows(tmp_path):
    """A set of a gigabyte in a sparse file: copying or reading it all would take long."""
    count, side = 10**6, 18
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(count * side * side * 3)
    images = np.memmap(tmp_path / "sparse", np.uint8, "r", shape=(count, side, side, 3))
    many = ImageSet(("one key will do",) * count, images)
    batch = BatchSampler(many, many, tiny_config(load_size=18), 0).batch(3)
    assert batch["real_a"].shape == (2, 3, 16, 16) and bool((batch["real_b"] == -1).all())
