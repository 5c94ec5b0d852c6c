"""The history of generated images that a discriminator is shown (Shrivastava et al. 2017; CycleGAN §4, 50 images)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cgbench import seeds
from cgbench.errors import CgbenchError


class ImagePool:
    """Up to `size` earlier images of one domain. Size 0 keeps none.

    What happens to the images of step t is drawn from the stream `(seed, "pool", name, t)` alone: a resumed trial needs
    no generator state, and two methods with one seed decide alike.
    """

    def __init__(self, size: int, seed: int, name: str) -> None:
        self.size = size
        self.seed = seed
        self.name = name
        self.count = 0
        self.stored: Tensor | None = None  # (size, C, H, W), the first `count` of them in use

    def query(self, images: Tensor, step: int) -> Tensor:
        """Return as many images as given, detached: `images` (N, C, H, W) of step `step`, or earlier ones.

        One image after the other: while the pool is not full, the image is kept and returned. Then, with probability
        one half, it takes the place of a random image of the pool, which is returned; else it is returned and not kept.
        """
        images = images.detach()
        if self.size == 0:
            return images
        stored = self._room(images)
        stream = seeds.generator(self.seed, "pool", self.name, step)
        # drawn on the host as plain numbers, so that no decision waits for the device
        swaps = (stream.random(len(images)) < 0.5).tolist()
        slots = stream.integers(self.size, size=len(images)).tolist()
        answer = images.clone()
        for place, (swap, slot) in enumerate(zip(swaps, slots, strict=True)):
            if self.count < self.size:
                stored[self.count] = images[place]
                self.count += 1
            elif swap:
                answer[place] = stored[slot]
                stored[slot] = images[place]
        return answer

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
            self.stored = torch.empty((self.size, *images.shape[1:]), dtype=images.dtype, device=images.device)
        elif self.stored.device != images.device:
            self.stored = self.stored.to(images.device)
        return self.stored
