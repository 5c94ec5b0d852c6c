"""Images for the tests of datasets: scenes that all differ, and folders of them."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

RNG_SEED = 7
FOUR = ("trainA", "trainB", "testA", "testB")


def scene(number: int, warm: bool = True, size: tuple[int, int] = (96, 96)) -> Image.Image:
    """An image of a smooth ground and sharp shapes, another one for every number; `warm` changes its colours only."""
    rng = np.random.default_rng([RNG_SEED, number])
    ground = Image.fromarray(rng.integers(60, 200, (5, 5), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(ground)
    for _ in range(9):
        x, y = rng.integers(0, size[0]), rng.integers(0, size[1])
        w, h = rng.integers(6, 40, 2)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((int(x), int(y), int(x + w), int(y + h)), fill=int(rng.integers(0, 256)))
    grey = np.asarray(ground, np.float32)
    noise = rng.normal(0, 4, (*grey.shape, 3))
    tint = (1.0, 0.75, 0.5) if warm else (0.5, 0.75, 1.0)
    return Image.fromarray((grey[..., None] * tint + noise).clip(0, 255).astype(np.uint8))


def healthy(root: Path, train: int = 12, test: int = 6) -> Path:
    """A folder of four sets without a fault: every image another scene, A warm and B cold."""
    number = 0
    for split, count in (("train", train), ("test", test)):
        for domain in "AB":
            folder = root / f"{split}{domain}"
            folder.mkdir(parents=True)
            for _ in range(count):
                scene(number, domain == "A").save(folder / f"{domain.lower()}{number:03d}.png")
                number += 1
    return root


def put(root, folders, images=2):
    """Put images of one level into folders; the level says which folder, and the name is that of the number."""
    for level, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(images):
            Image.new("RGB", (8, 6), (10 * (level + 1), number, 0)).save(root / folder / f"{number}.png")
    return root


def files_of(report, check_name):
    """The files that a dataset check reports."""
    return {file for issue in report.issues if issue.check == check_name for file in issue.files}
