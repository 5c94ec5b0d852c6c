"""Tables of the speed benchmark for the terminal."""

from collections.abc import Sequence

from rich.table import Table

from cgbench.benchmarks.speed.measurements import LeftOut, Measurement
from cgbench.benchmarks.speed.timing import Summary

TITLES = {
    "peak": "The machine at its best",
    "step": "Training step",
    "table": "One step of each of the five ablations",
    "data": "Reading images",
    "translation": "Translation",
    "features": "What metrics look through",
    "run": "A whole small run",
    "start": "Start of commands",
}
DETAILS = {
    "share_of_float32_peak": ("of float32 peak", lambda value: f"{value:.0%}"),
    "share_of_bf16_peak": ("of bf16 peak", lambda value: f"{value:.0%}"),
    "flop_per_second": ("FLOP/s", lambda value: number(value)),
    "memory_bytes": ("memory", lambda value: f"{number(value)}B"),
}
PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))


def tables(entries: Sequence[Measurement]) -> list[Table]:
    """Return one table per part that has entries, in the order of measurement."""
    parts = dict.fromkeys(entry.part for entry in entries)
    return [_table(TITLES[part], [entry for entry in entries if entry.part == part]) for part in parts]


def _table(title: str, entries: Sequence[Measurement]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    details = [key for key in DETAILS if any(key in entry.details for entry in entries)]
    for text in ("what", "size", "arm"):
        table.add_column(text, no_wrap=True)
    table.add_column("median", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for text in ("quartiles", "n", "times as fast", *(DETAILS[key][0] for key in details)):
        table.add_column(text, justify="right", no_wrap=True)
    for entry in entries:
        table.add_row(*_cells(entry), *(_detail(entry, key) for key in details))
    return table


def _cells(entry: Measurement) -> list[str]:
    value = entry.value
    format_value = _percent if entry.unit.startswith("of ") else number
    spread = f"{format_value(value.lower)} – {format_value(value.upper)}" if value.n > 1 else ""
    return [entry.name, entry.size, entry.variant, format_value(value.median), entry.unit, spread, str(value.n),
            _ratio(entry.ratio)]  # fmt: skip


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _ratio(ratio: Summary | None) -> str:
    return f"{ratio.median:.2f} ({ratio.lower:.2f} – {ratio.upper:.2f})" if ratio else ""


def _detail(entry: Measurement, key: str) -> str:
    return DETAILS[key][1](entry.details[key]) if key in entry.details else ""


def number(value: float) -> str:
    """Return three significant digits and the SI prefix of the unit that follows: `12.3 m`, `4.56`, `1.07 G`."""
    if value == 0:
        return "0"
    factor, prefix = next(((power, name) for power, name in PREFIXES if abs(value) >= 0.9995 * power), PREFIXES[-1])
    scaled = value / factor
    digits = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
    return f"{scaled:.{digits}f} {prefix}".rstrip()


def left_out_lines(left_out: Sequence[LeftOut]) -> list[str]:
    """Return one line for each measurement that was left out."""
    return [
        f"{'failed' if entry.failed else 'left out'}: {entry.part}, {entry.name}, {entry.size} pixels: {entry.reason}"
        for entry in left_out
    ]
