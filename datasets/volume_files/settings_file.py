"""The settings file of a folder of volumes, `cgbench-volumes.toml`: axis, body, splits, and what the domains are."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from cgbench.errors import CgbenchError, did_you_mean
from cgbench.files import read_bytes
from cgbench.pixel_format import PixelFormat

NAME = "cgbench-volumes.toml"
MAX_BYTES = 2**16
CT_WINDOW = (-1000.0, 2000.0)  # HU: air to dense bone
CT_BODY = -500.0  # HU, between air and fat


@dataclass(frozen=True)
class DomainSettings:
    """What a domain is. `file` is the name of its volumes in folders of patients, `modality` decides the defaults of
    `unit`, `window` (LOW, HIGH in stored numbers) and `body` (a threshold, "otsu" or "none"). `dtype` is found in the
    files where it is not given."""

    name: str = ""
    file: str = ""
    modality: Literal["ct", "cbct", "mr", "other"] | None = None
    unit: str | None = None
    window: tuple[float, float] | Literal["measured"] | None = None
    dtype: Literal["int16", "uint16", "float32"] | None = None
    body: float | Literal["otsu", "none"] | None = None


@dataclass(frozen=True)
class VolumeSettings:
    """The settings. Slices of which the body covers less than `min_body` are left out. `test` and `val` are shares of
    the patients, where they lie in folders of their own that no split names."""

    axis: Literal["axial", "coronal", "sagittal"] = "axial"
    min_body: float = 0.01
    test: float = 0.2
    val: float = 0.1
    A: DomainSettings = DomainSettings()
    B: DomainSettings = DomainSettings()


@dataclass(frozen=True)
class Slicing:
    """How the volumes of a domain become slices: along `axis`, without those of which the body covers less than
    `min_body`. `body` is the rule where there is no mask: a threshold in stored units, "otsu", or "none" for all."""

    axis: str = VolumeSettings.axis
    min_body: float = VolumeSettings.min_body
    body: float | str = "otsu"


def recorded_slicing(dataset: Mapping[str, Any], letter: str) -> Slicing | None:
    """Return the slicing of the domain `letter` by the dataset's record in trial.json, None where its images are no
    slices of volumes. Earlier records of `volumes` do not say it: the defaults, with the body rule of the unit."""
    index = "AB".index(letter)
    if record := dataset.get("slicing"):
        return Slicing(record["axis"], record["min_body"], record["body"][index])
    if dataset["name"] != "volumes":
        return None
    unit = (dataset["domains"][index].get("pixels") or {}).get("unit", "")
    return Slicing(body=defaults("ct" if unit == "HU" else "other")[2])


def read_settings(root: Path) -> VolumeSettings:
    """Return the settings of a folder, the defaults where it has no such file; faults raise `CgbenchError`."""
    import msgspec

    path = root / NAME
    if not path.exists():
        return VolumeSettings()
    try:
        values = tomllib.loads(read_bytes(path, MAX_BYTES).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CgbenchError(f"{path}: not readable TOML: {(str(error).splitlines() or [''])[0]}") from None
    for section, kind in (
        (values, VolumeSettings),
        (values.get("A"), DomainSettings),
        (values.get("B"), DomainSettings),
    ):
        _ensure_known(path, section, [field.name for field in fields(kind)])
    try:
        settings = msgspec.convert(values, VolumeSettings)
    except msgspec.ValidationError as error:
        raise CgbenchError(f"{path}: {str(error)[:1].lower()}{str(error)[1:].replace('$.', '')}") from None
    _ensure_bounds(path, settings)
    return settings


def _ensure_known(path: Path, section: Any, known: list[str]) -> None:
    for key in section if isinstance(section, dict) else ():
        if key not in known:
            raise CgbenchError(f"{path}: unknown setting '{key}': {did_you_mean(key, known)}")


def _ensure_bounds(path: Path, settings: VolumeSettings) -> None:
    for domain in (settings.A, settings.B):
        if isinstance(domain.window, tuple):
            try:
                PixelFormat(1, window=domain.window)
            except CgbenchError as error:
                raise CgbenchError(f"{path}: {error}") from None
    if not 0 <= settings.min_body < 1:
        raise CgbenchError(f"{path}: min_body={settings.min_body:g}: it is a share, from 0 to below 1")
    if not (settings.test > 0 and settings.val >= 0 and settings.test + settings.val < 1):
        text = f"test={settings.test:g} and val={settings.val:g}"
        raise CgbenchError(f"{path}: {text}: they are shares, test above 0, and their sum is below 1")


def declared_window(domain: DomainSettings, modality: str) -> tuple[float, float] | None:
    """Return the window of a domain, None where it is measured."""
    if domain.window is None:
        return defaults(modality)[1]
    return domain.window if isinstance(domain.window, tuple) else None


def defaults(modality: str) -> tuple[str, tuple[float, float] | None, float | str]:
    """Return the unit, the window (None: measured) and the body rule of a modality."""
    return ("HU", CT_WINDOW, CT_BODY) if modality in ("ct", "cbct") else ("", None, "otsu")
