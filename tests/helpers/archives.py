"""Archives of tiny data sets, made in memory."""

import io
import zipfile

import numpy as np
from PIL import Image

COUNTS = {"trainA": 3, "trainB": 2, "testA": 1, "testB": 2}


def picture(number):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def good_members(name="tiny"):
    number = iter(range(100))
    return {f"{name}/{folder}/{k}.png": picture(next(number)) for folder, count in COUNTS.items() for k in range(count)}


GOOD = zipped(good_members())
