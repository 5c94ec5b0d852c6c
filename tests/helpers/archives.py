"""Archives of tiny datasets, made in memory."""

import io
import zipfile

import numpy as np
from PIL import Image

COUNTS = {"trainA": 3, "trainB": 2, "testA": 1, "testB": 2}


def png_image(number):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def zip_archive(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def good_members(name="tiny"):
    number = iter(range(100))
    return {
        f"{name}/{folder}/{k}.png": png_image(next(number)) for folder, count in COUNTS.items() for k in range(count)
    }


GOOD = zip_archive(good_members())
