"""The image grid as one PNG file, for a README, a paper or a slide."""

import base64
import io

from PIL import Image, ImageDraw, ImageFont

from cgbench.reports.galleries.image_grid import GridImage, ImageGrid
from cgbench.selection import evenly_spaced

CELL = 128  # side of an image in pixels
HEAD = 26
GAP = 4
ROWS = 4

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def image_grid_png(grid: ImageGrid, rows: int = ROWS) -> bytes:
    """Return a PNG of at most `rows` evenly spaced rows of a grid: images of the first seed, and column titles."""
    chosen = evenly_spaced(len(grid.keys), rows)
    wide = len(grid.columns) * (CELL + GAP) + GAP
    page = Image.new("RGB", (wide, HEAD + len(chosen) * (CELL + GAP)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(13)
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
        integer_scale = CELL % image.width == 0
        resized = image.convert("RGB").resize(
            (CELL, CELL), Image.Resampling.NEAREST if integer_scale else Image.Resampling.LANCZOS
        )
    page.paste(resized, (left, top))
