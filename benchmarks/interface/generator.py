"""A trained translation as a module, with what comes before it and after it."""

import numpy as np
import torch
from torch import Tensor, nn

from cgbench.benchmarks.data.conversion import signed_batch, to_stored
from cgbench.benchmarks.exchange.translate_files import Size, Translator, choose_trial, open_translator, translations
from cgbench.errors import CgbenchError
from cgbench.results.run_folder import TrialFolder


class Generator(nn.Module):
    """The translation of a trial in one direction, in evaluation mode and without gradients.

    `source` and `target` are the formats of its images (`PixelFormat`), `step` the training step of its weights.
    """

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self._translator = translator
        self.networks = nn.ModuleDict(translator.model.networks)
        self.direction, self.step = translator.direction, translator.step
        self.source, self.target = translator.source, translator.target

    def forward(self, images: Tensor, first_image: int = 0) -> Tensor:
        """Return the translations of images (N, C, H, W) in [-1, 1], in the same range.

        Sides must be multiples of what the network needs; `translate` takes any. They have the random numbers of test
        images `first_image` and following, where the method draws any.
        """
        return self._translator.model.translate(images, self.direction, first_image)

    def preprocess(self, image: np.ndarray) -> Tensor:
        """Return an image of the source's format, (H, W, C) in stored numbers, as a tensor (1, C, H, W) in [-1, 1]."""
        self._ensure_format(image)
        return signed_batch(image[None], self.source, self._translator.model.device)

    def postprocess(self, output: Tensor) -> np.ndarray:
        """Return an output (1, C, H, W) in [-1, 1] as an image (H, W, C) in the target's stored numbers."""
        return to_stored(output, self.target)[0]

    def translate(self, image: np.ndarray) -> np.ndarray:
        """Return the translation (H, W, D) of an image (H, W, C) of any size, both in stored numbers, as
        `cgbench translate` makes it of the first file."""
        self._ensure_format(image)
        return next(translations([image], self._translator, Size()))[0]

    def _ensure_format(self, image: np.ndarray) -> None:
        """Raise `CgbenchError` where an image is not of the source's format."""
        expected = f"(H, W, {self.source.channels}) of {self.source.dtype}"
        if image.ndim != 3 or image.shape[2] != self.source.channels or image.dtype.name != self.source.dtype:
            raise CgbenchError(f"the image is {image.shape} of {image.dtype}: it must be {expected}")


def open_generator(folder: TrialFolder, direction: str | None, checkpoint: str, device: str) -> Generator:
    """Return the generator of a finished trial; one that is not, or trains nothing, raises `CgbenchError`."""
    stored = choose_trial([folder], {})
    with torch.no_grad():
        return Generator(open_translator(stored, direction, checkpoint, device))
