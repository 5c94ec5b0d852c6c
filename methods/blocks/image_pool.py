"""Image pool: a buffer of earlier generated images for a discriminator (Shrivastava et al. 2017; CycleGAN §4)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cgbench import seeds
from cgbench.errors import CgbenchError


class ImageBuffer:
    """Up to `size` earlier images of one domain (50 in CycleGAN). Size 0 stores none.

    The swaps of step t are drawn from the stream `(seed, "pool", name, t)` alone: a resumed trial needs no generator
    state, and two methods with one seed swap alike.
    """

    def __init__(self, size: int, seed: int, name: str) -> None:
        self.size = size
        self.seed = seed
        self.name = name
        self.count = 0
        # (size + 1, C, H, W): the first `count` are in use; images that are not stored are written to the last slot
        self.stored: Tensor | None = None

    def decide(self, count: int, step: int) -> Tensor:
        """Return the swaps of the `count` images of a step: int64 (2, count) on the host, for `exchange`.

        Images are processed one by one: while the pool is not full, the image is stored and returned. Then, with
        probability one half, it replaces a random image of the pool, which is returned; else it is returned unstored.
        Row 0 is the index of the returned image: a slot of the pool, or `size + 1 + k` for the step's own image k.
        Row 1 is the slot that each of the step's images is written to, `size` if it is not stored.
        """
        own = list(range(self.size + 1, self.size + 1 + count))
        returned, slots_written = list(own), [self.size] * count
        if self.size:
            stream = seeds.generator(self.seed, "pool", self.name, step)
            swaps = (stream.random(count) < 0.5).tolist()
            slots = stream.integers(self.size, size=count).tolist()
            latest: dict[int, int] = {}  # slot → the step's image that was written to it last
            for image, (swap, slot) in enumerate(zip(swaps, slots, strict=True)):
                if self.count < self.size:
                    latest[self.count] = image
                    self.count += 1
                elif swap:
                    returned[image] = own[latest[slot]] if slot in latest else slot
                    latest[slot] = image
            for slot, image in latest.items():
                slots_written[image] = slot
        return torch.tensor([returned, slots_written])

    def exchange(self, images: Tensor, decisions: Tensor) -> Tensor:
        """Return the images (N, C, H, W) that `decisions` of `decide` select, and store `images` in the slots that they
        name. No value is read by the host, so that a captured step can be replayed with other decisions."""
        images = images.detach()
        if self.size == 0:
            return images
        stored = self._storage(images)
        returned, slots_written = decisions.unbind()
        own = returned - (self.size + 1)
        earlier = stored.index_select(0, returned.clamp(max=self.size))
        present = images.index_select(0, own.clamp(min=0))
        stored.index_copy_(0, slots_written, images)
        return torch.where((own >= 0).view(-1, 1, 1, 1), present, earlier)

    def state(self) -> dict[str, Tensor]:
        """Return a copy of the stored images, `{"images": (count, C, H, W)}`; an empty dict if there are none."""
        return {} if self.stored is None else {"images": self.stored[: self.count].clone()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Replace the stored images by those of a state; more images than `size` raise `CgbenchError`."""
        self.count, self.stored = 0, None
        if "images" in state:
            images = state["images"]
            if len(images) > self.size:
                raise CgbenchError(
                    f"image pool '{self.name}': the checkpoint holds {len(images)} images, pool_size is {self.size}: "
                    "resume with the pool_size that the trial began with"
                )
            self.count = len(images)
            self._storage(images)[: self.count] = images

    def _storage(self, images: Tensor) -> Tensor:
        """Return the storage, allocated or moved to match shape and device of `images`."""
        if self.stored is None:
            self.stored = torch.empty((self.size + 1, *images.shape[1:]), dtype=images.dtype, device=images.device)
        elif self.stored.device != images.device:
            self.stored = self.stored.to(images.device)
        return self.stored
