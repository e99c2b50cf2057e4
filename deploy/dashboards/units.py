"""Values as Grafana writes them, by its names of units."""

from __future__ import annotations

import math

_STEPS = {
    "short": ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")),
    "cps": ((1e6, "M/s"), (1e3, "k/s"), (1, "/s")),
    "bytes": ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B")),
    "Bps": ((1e9, " GB/s"), (1e6, " MB/s"), (1e3, " kB/s"), (1, " B/s")),
    "s": ((86_400, " d"), (3_600, " h"), (60, " min"), (1, " s"), (1e-3, " ms"), (1e-6, " µs")),
    "percentunit": ((0.01, " %"),),
}


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """A value with its unit, in about three digits unless `decimals` says otherwise.

    Raises:
        KeyError: this module does not know the unit.
    """
    if math.isnan(value):
        return "no data"
    steps = _STEPS[unit]
    if value == 0:
        return f"0{next((suffix for size, suffix in steps if size == 1), steps[-1][1])}"
    size, suffix = next(((size, suffix) for size, suffix in steps if abs(value) >= size), steps[-1])
    scaled = value / size
    if decimals is None:
        decimals = 0 if scaled == round(scaled) else max(0, 2 - math.floor(math.log10(abs(scaled))))
        decimals = min(decimals, 2)
    return f"{scaled:.{decimals}f}{suffix}"
