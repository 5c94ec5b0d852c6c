"""The grid as one picture: the first rows of the page's grid, for a README, a paper or a slide."""

import base64
import io

from PIL import Image, ImageDraw, ImageFont

from cgbench.reports.sections.image_grid import Gallery, Picture

CELL = 128  # side of a picture in pixels
HEAD = 26
GAP = 4
ROWS = 4


def image_grid_png(grid: Gallery, rows: int = ROWS) -> bytes:
    """Return a PNG of at most `rows` evenly chosen rows of a grid, with the first seed's pictures and column titles."""
    count = min(rows, len(grid.keys))
    chosen = [round(place * (len(grid.keys) - 1) / max(1, count - 1)) for place in range(count)]
    wide = len(grid.columns) * (CELL + GAP) + GAP
    page = Image.new("RGB", (wide, HEAD + count * (CELL + GAP)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for place, column in enumerate(grid.columns):
        left = GAP + place * (CELL + GAP)
        pen.text((left + CELL / 2, HEAD / 2), column.label, fill="black", font=font, anchor="mm")
        for line, row in enumerate(chosen):
            top = HEAD + line * (CELL + GAP)
            pictures = grid.cells[row][place]
            _paste(page, pictures[0] if pictures else None, left, top, font)
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def _paste(page: Image.Image, picture: Picture | None, left: int, top: int, font: ImageFont.FreeTypeFont) -> None:
    """Put a picture in its cell, or its status where there is none."""
    if picture is None or not picture.uri:
        text = picture.status if picture else "none"
        pen = ImageDraw.Draw(page)
        pen.rectangle((left, top, left + CELL, top + CELL), outline="grey")
        pen.text((left + CELL / 2, top + CELL / 2), text, fill="grey", font=font, anchor="mm")
        return
    content = base64.b64decode(picture.uri.split(",", 1)[1])
    with Image.open(io.BytesIO(content)) as image:
        # Whole multiples keep pixels sharp; anything else is resized smoothly.
        sharp = CELL % image.width == 0
        resized = image.convert("RGB").resize(
            (CELL, CELL), Image.Resampling.NEAREST if sharp else Image.Resampling.LANCZOS
        )
    page.paste(resized, (left, top))
