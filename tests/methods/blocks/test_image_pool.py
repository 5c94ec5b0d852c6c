"""Image pool against a plain reference; swap rate, reproducibility and resumption."""

import pytest
import torch

from cgbench import seeds
from cgbench.errors import CgbenchError
from cgbench.methods.blocks.image_pool import ImageBuffer
from cgbench.methods.functional.tensors import to_device


def _images(first: int, count: int = 1, side: int = 2) -> torch.Tensor:
    """Return constant images (count, 3, side, side), numbered from `first`."""
    numbers = torch.arange(first, first + count, dtype=torch.float32)
    return numbers.view(-1, 1, 1, 1).expand(-1, 3, side, side).clone()


def _numbers(images: torch.Tensor) -> list[int]:
    assert (images == images[:, :1, :1, :1]).all()
    return [int(number) for number in images[:, 0, 0, 0]]


def _run(pool: ImageBuffer, steps: range, batch: int = 1) -> list[int]:
    """Feed images numbered 0, 1, 2, ... and return the numbers that come out."""
    return [number for step in steps for number in _numbers(query(pool, _images(step * batch, batch), step))]


def query(pool: ImageBuffer, images: torch.Tensor, step: int) -> torch.Tensor:
    """Return the images that the pool returns for those of a step."""
    return pool.exchange(images, to_device(pool.decide(len(images), step), images.device))


class _ReferencePool:
    """The pool of the papers, on a list of numbers."""

    def __init__(self, size, seed, name):
        self.size, self.seed, self.name, self.stored = size, seed, name, []

    def query(self, numbers, step):
        stream = seeds.generator(self.seed, "pool", self.name, step)
        coins, slots = stream.random(len(numbers)), stream.integers(self.size, size=len(numbers))
        result = []
        for number, coin, slot in zip(numbers, coins, slots, strict=True):
            if len(self.stored) < self.size:
                self.stored.append(number)
                result.append(number)
            elif coin < 0.5:
                result.append(self.stored[slot])
                self.stored[slot] = number
            else:
                result.append(number)
        return result


@pytest.mark.parametrize(("size", "batch"), [(1, 1), (3, 1), (3, 4), (5, 2), (50, 4)])
def test_equal_to_the_plain_pool(size, batch):
    pool, reference = ImageBuffer(size, 7, "pool_b"), _ReferencePool(size, 7, "pool_b")
    for step in range(60):
        first = step * batch
        assert _numbers(query(pool, _images(first, batch), step)) == reference.query(range(first, first + batch), step)
    assert _numbers(pool.state()["images"]) == reference.stored


def test_fills_before_it_swaps():
    assert _run(ImageBuffer(6, 0, "pool_a"), range(6)) == [0, 1, 2, 3, 4, 5]
    assert _run(ImageBuffer(6, 0, "pool_a"), range(3), batch=2) == [0, 1, 2, 3, 4, 5]


def test_about_half_are_earlier_images():
    out = _run(ImageBuffer(50, 3, "pool_a"), range(500), batch=4)
    earlier = [place != number for place, number in enumerate(out)][50:]
    assert abs(sum(earlier) / len(earlier) - 0.5) < 0.04  # 3.5 standard deviations of 1950 coins


def test_swapped_slots_are_uniform():
    """An image stays for a geometric number of swaps: 2 · size queries on average, 100 here."""
    out = _run(ImageBuffer(50, 5, "pool_a"), range(1000), batch=4)
    ages = [place - number for place, number in enumerate(out) if place != number]
    assert 85 < sum(ages) / len(ages) < 115
    assert max(ages) > 300


def test_every_image_comes_out_once_at_most_as_an_earlier_one():
    out = _run(ImageBuffer(4, 1, "pool_a"), range(200))
    earlier = [number for place, number in enumerate(out) if place != number]
    assert len(earlier) == len(set(earlier)) and all(
        number < place for place, number in enumerate(out) if place != number
    )


def test_size_zero_keeps_nothing():
    pool = ImageBuffer(0, 0, "pool_a")
    assert _run(pool, range(20), batch=3) == list(range(60))
    assert pool.state() == {}


def test_same_seed_same_bits_other_seed_or_name_not():
    out = [
        _run(ImageBuffer(5, *key), range(100)) for key in [(0, "pool_a"), (0, "pool_a"), (1, "pool_a"), (0, "pool_b")]
    ]
    assert out[0] == out[1]
    assert out[0] != out[2] and out[0] != out[3] and out[2] != out[3]


def test_decisions_belong_to_the_step():
    """A pool that began later makes the same swaps at the same step, once both are full."""
    early, late = ImageBuffer(4, 0, "pool_a"), ImageBuffer(4, 0, "pool_a")
    first, second = _run(early, range(60)), _run(late, range(20, 60))
    swapped = [place != number for place, number in enumerate(first)]
    assert swapped[24:] == [place != number for place, number in enumerate(second, 20)][4:]


@pytest.mark.parametrize("stop", [0, 3, 5, 30])
def test_resumes_where_it_stopped(stop):
    uninterrupted, stopped, resumed = (ImageBuffer(5, 2, "pool_a") for _ in range(3))
    expected = _run(uninterrupted, range(80))
    _run(stopped, range(stop))
    _run(resumed, range(40, 60))  # loading replaces its contents
    resumed.load(stopped.state())
    assert _run(resumed, range(stop, 80)) == expected[stop:]


def test_state_is_a_copy():
    pool = ImageBuffer(2, 0, "pool_a")
    _run(pool, range(2))
    state = pool.state()
    _run(pool, range(2, 30))
    assert _numbers(state["images"]) == [0, 1]
    loaded = ImageBuffer(2, 0, "pool_a")
    loaded.load(state)
    _run(loaded, range(2, 30))
    assert _numbers(state["images"]) == [0, 1]


def test_too_large_a_state_is_refused():
    pool = ImageBuffer(4, 0, "pool_a")
    _run(pool, range(4))
    with pytest.raises(CgbenchError, match=r"'pool_a'.*4 images.*pool_size is 3"):
        ImageBuffer(3, 0, "pool_a").load(pool.state())


def test_passes_no_gradient_and_shares_no_memory():
    pool = ImageBuffer(2, 0, "pool_a")
    images = _images(0, 2).requires_grad_()
    out = query(pool, images, 0)
    assert not out.requires_grad and not pool.state()["images"].requires_grad
    with torch.no_grad():
        images.fill_(9)
        out.fill_(9)
    assert _numbers(pool.state()["images"]) == [0, 1]


def test_waits_for_no_value():
    """Meta tensors have no values: reading one would raise."""
    pool = ImageBuffer(2, 0, "pool_a")
    for step in range(10):
        assert query(pool, torch.empty(3, 3, 4, 4, device="meta"), step).shape == (3, 3, 4, 4)


@pytest.mark.gpu
def test_does_not_synchronise_with_the_gpu():
    pool = ImageBuffer(2, 0, "pool_a")
    images = _images(0, 4).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(10):
            query(pool, images, step)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert pool.state()["images"].is_cuda
