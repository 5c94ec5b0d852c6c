"""Pixel formats and compression by the headers of image files; what decoding would change silently is refused.

What is read: grey and palettes of 1 to 8 bits, unsigned 16-bit grey, 8-bit RGB, YCbCr and CMYK, and 8-bit grey, palette
or RGB with one band that the file declares to be transparency.
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

PNG_MAGIC, NPY_MAGIC = b"\x89PNG\r\n\x1a\n", b"\x93NUMPY"
TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_BITS = 24  # place of the bit depth in a PNG file; the colour type follows
PNG_DEEP_COLOURS = (2, 4, 6)  # RGB, grey with alpha, RGB with alpha
PNG_ALPHA = (4, 6)
LATE_METADATA = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")  # PNG chunks that may follow the pixels and tell the orientation
PHOTOMETRIC, BITS, SAMPLES, EXTRA_SAMPLES, SAMPLE_FORMAT = 262, 258, 277, 338, 339  # TIFF tags
WHITE_IS_ZERO, LAB = 0, 8  # values of PHOTOMETRIC
COLOUR_BANDS = {2: 3, 5: 4, 6: 3, LAB: 3}  # by PHOTOMETRIC: RGB, CMYK, YCbCr, L*a*b*; any other is one band
ALPHA = (1, 2, 999)  # values of EXTRA_SAMPLES: premultiplied, as it is, and Corel Draw's
SIGNED, UNSIGNED = 2, (1, 4)  # values of SAMPLE_FORMAT: 4 is undefined, which readers take as unsigned
# libjpeg's quantisation table of luminance at quality 50: the sum of its entries, and of its ten smallest
LUMINANCE_SUM, SMALLEST_TEN_SUM = 3688, 132
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of a JPEG frame header

FLOAT = "its pixels are floating-point numbers, whose range is not stated: store 8 or 16 bits"
DEEP_COLOUR = "its colours have {} bits per band, of which 8 would be kept: store 8 bits per band"
TRANSPARENT_LEVEL = "16-bit grey with a transparent level: save it without transparency"
DEEP_TRANSPARENCY = "transparency beside 16-bit numbers, which are read as they are: save it without transparency"


def refusal(image: Image.Image) -> str:
    """Return why the pixels of an open file cannot be read as they are and what to do, or "" where they can."""
    if isinstance(image, TiffImageFile):
        return _tiff_refusal(image.tag_v2)
    if isinstance(image, PngImageFile):
        bits, colour = _png_bits(image.fp)
        if bits > 8 and colour in PNG_DEEP_COLOURS:
            return DEEP_COLOUR.format(bits)
        if bits > 8 and "transparency" in image.info:
            return TRANSPARENT_LEVEL
    return ""


def refusal_of_numbers(image: Image.Image) -> str:
    """Return why the numbers of an open PNG file of 16 bits cannot be read as they are and what to do, or ""."""
    if "transparency" in image.info:
        return TRANSPARENT_LEVEL
    return DEEP_TRANSPARENCY if _png_bits(image.fp)[1] in PNG_ALPHA else ""


def refusal_of_unknown(path: Path) -> str:
    """Return what `refusal` does for a file that Pillow cannot open: "" unless its pixel format is the reason."""
    with path.open("rb") as file:
        start = file.read(16)
        if start[:2] == b"\xff\xd8":
            bits = _jpeg_bits(file)
            return f"JPEG of {bits} bits per band is not read: store 8 bits, or 16-bit grey as PNG" if bits > 8 else ""
        return _tiff_refusal(_tiff_tags(file, start)) if start[:4] in TIFF_MAGICS else ""


def holds_picture(file: IO[bytes]) -> bool:
    """Return whether an open file is read as a picture: all but arrays of numbers, PNG of 16 bits, and TIFF whose
    numbers `decoding.read_image` would refuse or reduce. Raises one of `IMAGE_ERRORS` where a header is damaged."""
    start = file.read(PNG_BITS + 2)
    if start.startswith(PNG_MAGIC):
        return start[PNG_BITS] <= 8
    if start[:4] in TIFF_MAGICS:
        tags = _tiff_tags(file, start[:16])
        return not _tiff_refusal(tags) and max(tags.get(BITS, (1,))) <= 8
    return not start.startswith(NPY_MAGIC)


def _tiff_tags(file: IO[bytes], start: bytes) -> ImageFileDirectory_v2:
    """Return the tags of the first page of an open TIFF file that begins with these 16 bytes."""
    tags = ImageFileDirectory_v2(start if start[2] == 43 or start[3] == 43 else start[:8])
    file.seek(tags.next)
    tags.load(file)
    return tags


def alters_ids(image: Image.Image, path: Path) -> str:
    """Return why decoding would change the class ids that a grey label map stores, or "" where it keeps them: grey of
    fewer than 8 bits is spread over 0 to 255, and grey whose 0 is white is inverted."""
    bits, inverted = 8, False
    if isinstance(image, TiffImageFile):
        bits = max(image.tag_v2.get(BITS, (1,)))
        inverted = image.tag_v2.get(PHOTOMETRIC, WHITE_IS_ZERO) == WHITE_IS_ZERO
    elif isinstance(image, PngImageFile):
        with path.open("rb") as file:
            bits, _ = _png_bits(file)
    if image.mode != "L" or (bits == 8 and not inverted):
        return ""
    return "grey whose 0 is white" if inverted else f"{bits}-bit grey"


def jpeg_compression(image: Image.Image) -> tuple[int, str]:
    """Return the quality, 1 to 100, at which libjpeg would use the file's first quantisation table, and the chroma
    subsampling; (0, "") for other formats.

    libjpeg scales the entries of its table for quality 50, whose sum is 3688, by 50 / q below that quality and by
    2 - q / 50 above it; other encoders have other tables, whose quality is that of the same sum. Entries end at 255:
    where one does, the smallest are compared.
    """
    if not isinstance(image, JpegImageFile) or 0 not in image.quantization:
        return 0, ""
    table = sorted(image.quantization[0])
    scale = sum(table[:10]) / SMALLEST_TEN_SUM if table[-1] == 255 else sum(table) / LUMINANCE_SUM
    quality = 100 - 50 * scale if scale < 1 else 50 / scale
    subsampling = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}.get(get_sampling(image), "") if image.layers == 3 else ""
    return max(1, min(100, round(quality))), subsampling


def is_lossy(image: Image.Image, path: Path) -> bool:
    """Return whether an open file holds lossily compressed pixels: JPEG, lossy WebP, or TIFF with either inside."""
    if isinstance(image, TiffImageFile):
        return image.info.get("compression") in ("jpeg", "tiff_jpeg", "webp")
    return isinstance(image, JpegImageFile) or (image.format == "WEBP" and not _holds_lossless_webp(path))


def _holds_lossless_webp(path: Path) -> bool:
    """Return whether the first frame of a WebP file is lossless, by the names of its chunks."""
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name in (b"VP8L", b"VP8 "):
                return name == b"VP8L"
            file.seek(16 if name == b"ANMF" else length + length % 2, 1)  # a frame's own chunks follow 16 bytes
    return False


def late_metadata(file: IO[bytes]) -> tuple[bytes, ...]:
    """Return the names of the chunks of a PNG file that follow its pixels and may tell its orientation. Pixels are
    skipped; the place in the file stays."""
    place, found, pixels = file.tell(), [], False
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        pixels = pixels or name == b"IDAT"
        if pixels and name in LATE_METADATA:
            found.append(name)
        file.seek(length + 4, 1)
    file.seek(place)
    return tuple(found)


def _tiff_refusal(tags: Mapping[int, Any]) -> str:
    photometric, bits = tags.get(PHOTOMETRIC, WHITE_IS_ZERO), max(tags.get(BITS, (1,)))
    samples, formats = tags.get(SAMPLES, 1), set(tags.get(SAMPLE_FORMAT, (1,)))
    colours = COLOUR_BANDS.get(photometric, 1)
    read = colours + sum(extra in ALPHA for extra in tags.get(EXTRA_SAMPLES, ())[:1])
    if formats - {SIGNED, *UNSIGNED}:
        return FLOAT
    if SIGNED in formats:
        return (
            f"its pixels are signed {bits}-bit integers, whose range is not stated (CT in Hounsfield units?): "
            "spread the range that matters over 0 to 65535 and store unsigned 16-bit grey"
        )
    if samples > read:
        kept = "one is grey" if colours == 1 else f"{colours} are colours"
        return (
            f"it has {samples} bands, of which {kept} and the others would be lost or taken as transparency: store the "
            "bands that matter as grey or RGB"
        )
    if bits > 8 and samples > 1:
        return DEEP_COLOUR.format(bits)
    if bits > 16:
        return f"its pixels are {bits}-bit integers, whose range is not stated: store 8 or 16 bits"
    if bits not in (1, 2, 4, 8, 16):
        return f"its grey has {bits} bits, which would arrive as a part of 16: spread it over 0 to 65535 in 16 bits"
    if bits == 16 and photometric == WHITE_IS_ZERO:
        return "16-bit grey whose 0 is white, which would arrive inverted: store it with 0 as black"
    return "its colours are L*a*b*: convert it to RGB" if photometric == LAB else ""


def _png_bits(file: IO[bytes]) -> tuple[int, int]:
    """Return the bits per band and the colour type of an open PNG file; the place in the file stays."""
    place = file.tell()
    file.seek(PNG_BITS)
    bits, colour = file.read(2)
    file.seek(place)
    return bits, colour


def _jpeg_bits(file: IO[bytes]) -> int:
    """Return the bits per band by the first frame header of an open JPEG file, 0 where there is none."""
    file.seek(2)
    while len(head := file.read(4)) == 4 and head[0] == 0xFF:
        if head[1] in JPEG_FRAMES:
            return (file.read(1) or b"\0")[0]
        file.seek(struct.unpack(">H", head[2:])[0] - 2, 1)
    return 0
