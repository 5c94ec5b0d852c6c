"""Materials of the phantoms: their tissue class, CT number and MR signal.

CT numbers are typical ones of an abdominal CT in the portal venous phase, in Hounsfield units: air -1000, fat -120 to
-90, water 0, simple fluid 0 to 20, muscle 50 to 70, enhanced liver and spleen 100 to 130, kidney 160 to 200, blood 140
to 170, a metastasis that takes up little contrast 30 to 70, trabecular bone 150 to 300, cortical bone 500 to 1900. They
are common knowledge of radiology, not measurements of one scanner. Without contrast medium muscle and liver would be 10
HU apart, less than the noise of a pixel.

MR signals are in arbitrary units, in the order of a T2-weighted spin-echo image without fat suppression: fluid and fat
are bright, muscle is dark, cortical bone gives almost no signal and neither does flowing blood.
"""

from dataclasses import dataclass

from cgbench.api.dataset import SemanticClass

PALETTE = (
    SemanticClass("air", (0, 0, 0)),
    SemanticClass("fat", (240, 210, 90)),
    SemanticClass("muscle", (170, 60, 50)),
    SemanticClass("bone", (245, 245, 235)),
    SemanticClass("organ", (120, 70, 150)),
    SemanticClass("fluid", (60, 140, 220)),
    SemanticClass("vessel", (235, 40, 130)),
    SemanticClass("lesion", (80, 200, 90)),
)


@dataclass(frozen=True)
class Material:
    """What an ellipsoid is made of: its class in `PALETTE`, CT number in HU, and MR signal in arbitrary units."""

    tissue: str
    hu: float
    signal: float


MATERIALS = {
    "air": Material("air", -1000, 0),
    "fat": Material("fat", -100, 900),
    "muscle": Material("muscle", 60, 220),
    "cortical bone": Material("bone", 900, 40),
    "trabecular bone": Material("bone", 250, 520),
    "liver": Material("organ", 110, 380),
    "spleen": Material("organ", 125, 640),
    "kidney": Material("organ", 180, 740),
    "fluid": Material("fluid", 10, 1400),
    "blood": Material("vessel", 155, 100),
    "lesion": Material("lesion", 45, 820),
}
NUMBERS = {name: number for number, name in enumerate(MATERIALS)}  # of materials in a drawn slice; 0 is air
_CLASSES = [tissue.name for tissue in PALETTE]
TISSUE_OF = [_CLASSES.index(material.tissue) for material in MATERIALS.values()]
