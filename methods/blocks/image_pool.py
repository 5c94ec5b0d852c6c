"""The history of generated images that a discriminator is shown (Shrivastava et al. 2017; CycleGAN §4, 50 images)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cgbench import seeds
from cgbench.errors import CgbenchError


class ImageBuffer:
    """Up to `size` earlier images of one domain. Size 0 keeps none.

    What happens to the images of step t is drawn from the stream `(seed, "pool", name, t)` alone: a resumed trial needs
    no generator state, and two methods with one seed decide alike.
    """

    def __init__(self, size: int, seed: int, name: str) -> None:
        self.size = size
        self.seed = seed
        self.name = name
        self.count = 0
        # (size + 1, C, H, W): the first `count` are in use, the last one is where images go that are not kept
        self.stored: Tensor | None = None

    def decide(self, count: int, step: int) -> Tensor:
        """Return what becomes of the `count` images of a step: int64 (2, count) on the host, for `exchange`.

        One image after the other: while the pool is not full, the image is kept and returned. Then, with probability
        one half, it takes the place of a random image of the pool, which is returned; else it is returned and not kept.
        Row 0 says which image is returned: one of the pool, or `size + 1 + k` for the step's own image k. Row 1 says
        where each of the step's images is kept, `size` for nowhere.
        """
        own = list(range(self.size + 1, self.size + 1 + count))
        returned, kept = list(own), [self.size] * count
        if self.size:
            stream = seeds.generator(self.seed, "pool", self.name, step)
            swaps = (stream.random(count) < 0.5).tolist()
            slots = stream.integers(self.size, size=count).tolist()
            holders: dict[int, int] = {}  # of the slots that this step filled: the last image that went there
            for image, (swap, slot) in enumerate(zip(swaps, slots, strict=True)):
                if self.count < self.size:
                    holders[self.count] = image
                    self.count += 1
                elif swap:
                    returned[image] = own[holders[slot]] if slot in holders else slot
                    holders[slot] = image
            for slot, image in holders.items():
                kept[image] = slot
        return torch.tensor([returned, kept])

    def exchange(self, images: Tensor, decided: Tensor) -> Tensor:
        """Return the images (N, C, H, W) that `decided` names, and keep of `images` what it says: all on their device,
        with no number that the host knows, so that a recorded step can be replayed with other decisions."""
        images = images.detach()
        if self.size == 0:
            return images
        stored = self._room(images)
        returned, kept = decided.unbind()
        own = returned - (self.size + 1)
        earlier = stored.index_select(0, returned.clamp(max=self.size))
        present = images.index_select(0, own.clamp(min=0))
        stored.index_copy_(0, kept, images)
        return torch.where((own >= 0).view(-1, 1, 1, 1), present, earlier)

    def state(self) -> dict[str, Tensor]:
        """Return a copy of the images kept, `{"images": (count, C, H, W)}`; nothing if there are none."""
        return {} if self.stored is None else {"images": self.stored[: self.count].clone()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over a state; one with more images than `size` raises `CgbenchError`."""
        self.count, self.stored = 0, None
        if "images" in state:
            images = state["images"]
            if len(images) > self.size:
                raise CgbenchError(
                    f"image pool '{self.name}': the checkpoint holds {len(images)} images, pool_size is {self.size}: "
                    "resume with the pool_size that the trial began with"
                )
            self.count = len(images)
            self._room(images)[: self.count] = images

    def _room(self, images: Tensor) -> Tensor:
        """Return the storage, made or moved to suit `images`."""
        if self.stored is None:
            self.stored = torch.empty((self.size + 1, *images.shape[1:]), dtype=images.dtype, device=images.device)
        elif self.stored.device != images.device:
            self.stored = self.stored.to(images.device)
        return self.stored
