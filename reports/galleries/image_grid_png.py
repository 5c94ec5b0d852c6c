"""The image grid as one PNG file, for a README, a paper or a slide."""

import base64
import io

from PIL import Image, ImageDraw, ImageFont

from cgbench.reports.galleries.image_grid import GridImage, ImageGrid
from cgbench.selection import evenly_spaced

CELL = 128  # side of an image in pixels
HEAD = 26
GAP = 4
LINE = 18
ROWS = 4

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def image_grid_png(grid: ImageGrid, rows: int = ROWS, legend: str = "") -> bytes:
    """Return a PNG of at most `rows` evenly spaced rows of a grid: images of the first seed, column titles, and below
    the `legend` where there is one, such as what pictures show of their numbers."""
    chosen = evenly_spaced(len(grid.keys), rows)
    wide = len(grid.columns) * (CELL + GAP) + GAP
    font, foot = ImageFont.load_default(13), ImageFont.load_default(11)
    lines = _wrapped(legend, foot, wide - 2 * GAP)
    bottom = HEAD + len(chosen) * (CELL + GAP)
    page = Image.new("RGB", (wide, bottom + len(lines) * LINE), "white")
    pen = ImageDraw.Draw(page)
    for place, text in enumerate(lines):
        pen.text((GAP, bottom + (place + 0.5) * LINE), text, fill="black", font=foot, anchor="lm")
    for place, column in enumerate(grid.columns):
        left = GAP + place * (CELL + GAP)
        pen.text((left + CELL / 2, HEAD / 2), column.label, fill="black", font=font, anchor="mm")
        for line, row in enumerate(chosen):
            top = HEAD + line * (CELL + GAP)
            images = grid.cells[row][place]
            _paste(page, images[0] if images else None, left, top, font)
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def _paste(page: Image.Image, source: GridImage | None, left: int, top: int, font: Font) -> None:
    """Paste an image into its cell, or draw its status where there is none."""
    if source is None or not source.uri:
        text = source.status if source else "none"
        pen = ImageDraw.Draw(page)
        pen.rectangle((left, top, left + CELL, top + CELL), outline="grey")
        pen.text((left + CELL / 2, top + CELL / 2), text, fill="grey", font=font, anchor="mm")
        return
    content = base64.b64decode(source.uri.split(",", 1)[1])
    with Image.open(io.BytesIO(content)) as image:
        # An integer scale keeps pixels sharp; any other one needs interpolation.
        longest = max(image.size)
        width, height = (max(1, round(CELL * side / longest)) for side in image.size)
        integer_scale = CELL % longest == 0
        resized = image.convert("RGB").resize(
            (width, height), Image.Resampling.NEAREST if integer_scale else Image.Resampling.LANCZOS
        )
    page.paste(resized, (left + (CELL - width) // 2, top + (CELL - height) // 2))


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    """Return a text as lines that are at most `width` pixels wide, if words allow it."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
