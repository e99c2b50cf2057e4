"""Pictures of the dashboards for the docs: the same queries, answered by a real Prometheus, drawn by matplotlib.

`python -m deploy.dashboards.pictures` (`make dashboard-pictures`) runs a demo for a minute. It is no Grafana that draws
here, so colours and fonts are others; queries, answers, places, titles and units are the dashboards' own.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from deploy.dashboards.build import FOLDER
from deploy.dashboards.scraped_run import Asked, scraped_run
from deploy.dashboards.units import shown
from topology.embedded import to_stderr
from topology.embedded.progress import Step
from topology.embedded.prometheus import Series

IMAGES = Path(__file__).parents[2] / "docs" / "images"
NOTE = (
    "Drawn by matplotlib, not by Grafana: the dashboard's own queries, "
    "answered by a Prometheus that scraped `recourse demo`."
)

_COLUMNS = 24
_WIDTH_IN = 17.0
_UNIT_IN = 0.30
_HEAD_IN = 0.7
_GAP_IN = 0.09
_COLOURS = (
    "#3274d9",
    "#56a64b",
    "#ff780a",
    "#e02f44",
    "#a352cc",
    "#e0b400",
    "#37872d",
    "#1f60c4",
    "#c4162a",
    "#8f3bb8",
    "#fa6400",
    "#5794f2",
)
_GREEN, _RED, _GREY = "#37872d", "#c4162a", "#6e7378"
_PATIENCE_S = 180.0
_WIDE = 0.3
"""Of the page's width; names in a panel that is wider may be longer."""
_SHORT_WIDE, _SHORT_NARROW = 26, 17
_LABEL_WIDE, _LABEL_NARROW = 38, 27
_ROWS_MOST = 6

Answers = Mapping[tuple[str, str], tuple[Asked, Sequence[Series]]]


def draw(page: Mapping[str, Any], answers: Answers, *, start_s: float, end_s: float, path: Path) -> None:
    """Draw a dashboard.

    Args:
        page: Grafana's JSON.
        answers: By title of the panel and letter of the query.
        start_s: The left end of all time axes, in seconds since 1970.
        end_s: The right end.
        path: Of the PNG.
    """
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in page["panels"])
    height_in = _HEAD_IN + rows * _UNIT_IN
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 7.5, "axes.edgecolor": "#c7ccd1"}):
        figure = Figure(figsize=(_WIDTH_IN, height_in), facecolor="#f4f5f5")
        figure.text(0.008, 1 - 0.26 / height_in, page["title"], fontsize=15, weight="bold", va="center")
        figure.text(0.008, 1 - 0.53 / height_in, NOTE, fontsize=8.5, color=_GREY, va="center")
        for panel in page["panels"]:
            box = panel["gridPos"]
            top_in = _HEAD_IN + box["y"] * _UNIT_IN
            if panel["type"] == "row":
                middle = 1 - (top_in + box["h"] * _UNIT_IN / 2) / height_in
                figure.text(0.008, middle, panel["title"], fontsize=10, weight="bold", va="center")
                continue
            left, width = box["x"] / _COLUMNS, box["w"] / _COLUMNS
            gap_x, gap_y = _GAP_IN / _WIDTH_IN, _GAP_IN / height_in
            bottom = 1 - (top_in + box["h"] * _UNIT_IN) / height_in
            whole = (left + gap_x / 2, bottom + gap_y / 2, width - gap_x, box["h"] * _UNIT_IN / height_in - gap_y)
            found = [answers[panel["title"], target["refId"]] for target in panel["targets"]]
            _panel(figure, whole, panel, found, (start_s, end_s))
        figure.savefig(path, dpi=100)


def _panel(
    figure: Figure,
    whole: tuple[float, float, float, float],
    panel: Mapping[str, Any],
    found: Sequence[tuple[Asked, Sequence[Series]]],
    span_s: tuple[float, float],
) -> None:
    frame = figure.add_axes(whole, facecolor="white", xticks=[], yticks=[])
    left, bottom, width, height = whole
    frame.set_title(panel["title"], loc="left", fontsize=8.5, weight="bold", x=0.012, y=1.0, pad=-12)
    if panel["type"] == "stat":
        _stat(frame, panel, found)
    elif panel["type"] == "table":
        _table(frame, panel, found)
    else:
        # The axis's labels to the left, time below, the legend under it; all inside the frame.
        inner = (left + 0.14 * width, bottom + 0.27 * height, 0.83 * width, 0.58 * height)
        axes = figure.add_axes(inner, facecolor="white")
        if panel["type"] == "heatmap":
            _heatmap(axes, found[0], span_s)
        else:
            _lines(axes, frame, panel, found, span_s)


def _stat(frame: Axes, panel: Mapping[str, Any], found: Sequence[tuple[Asked, Sequence[Series]]]) -> None:
    query, series = found[0]
    points = [value for _, value in series[0].points if not math.isnan(value)] if series else []
    value = points[-1] if points else math.nan
    defaults = panel["fieldConfig"]["defaults"]
    colour = _GREEN
    for step in defaults.get("thresholds", {}).get("steps", ()):
        if step["value"] is None or value >= step["value"]:
            colour = _RED if step["color"] == "red" else _GREEN
    text = shown(value, query.unit, defaults.get("decimals"))
    frame.text(
        0.5, 0.4, text, fontsize=21, weight="bold", ha="center", va="center", color=colour, transform=frame.transAxes
    )


def _lines(
    axes: Axes,
    frame: Axes,
    panel: Mapping[str, Any],
    found: Sequence[tuple[Asked, Sequence[Series]]],
    span_s: tuple[float, float],
) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    named = [(query.name(one), one) for query, series in found for one in series]
    named.sort(key=lambda pair: -max((v for _, v in pair[1].points if not math.isnan(v)), default=0.0))
    unit = defaults["unit"]
    stacked = defaults["custom"].get("stacking", {}).get("mode") == "normal"
    band = {override["matcher"]["options"] for override in panel["fieldConfig"].get("overrides", ())}
    base: dict[float, float] = {}
    edges: list[Sequence[tuple[float, float]]] = []
    for number, (name, series) in enumerate(named):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [(at - span_s[0], value) for at, value in series.points]
        if name in band:
            edges.append(points)
            continue
        if stacked:
            lower = [base.get(at, 0.0) for at, _ in points]
            upper = [low + (0.0 if math.isnan(value) else value) for low, (_, value) in zip(lower, points, strict=True)]
            base.update({at: top for (at, _), top in zip(points, upper, strict=True)})
            times = [at for at, _ in points]
            axes.fill_between(times, lower, upper, color=colour, alpha=0.35, linewidth=0)
            axes.plot(times, upper, color=colour, linewidth=1, label=name)
        else:
            axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.1, label=name)
    if len(edges) == 2:  # noqa: PLR2004 - an interval has two ends
        (times, one), (_, other) = (list(zip(*edge, strict=True)) for edge in edges)
        axes.fill_between(times, one, other, color=_COLOURS[0], alpha=0.15, linewidth=0, label="interval")
    for step in defaults.get("thresholds", {}).get("steps", ()):
        if step["value"] is not None and axes.get_ylim()[1] > step["value"]:
            axes.axhline(step["value"], color=_RED, linewidth=0.8, linestyle="--")
    _time(axes, span_s)
    top = defaults.get("max") or (axes.get_ylim()[1] if axes.get_ylim()[1] > 0 else 1.0)
    flat = all(value == 0 or math.isnan(value) for _, series in named for _, value in series.points)
    axes.set_ylim(
        min(0.0, axes.get_ylim()[0] if not flat else 0.0), 1.0 if flat and "max" not in defaults else top * 1.02
    )
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(_with(unit)))
    axes.grid(visible=True, color="#e6e9ec", linewidth=0.6)
    _legend(axes, frame)


def _legend(axes: Axes, frame: Axes) -> None:
    """Under the time axis, in as many columns as its names fit."""
    handles, labels = axes.get_legend_handles_labels()
    wide = frame.get_position().width > _WIDE
    longest = max(map(len, labels), default=0)
    columns = 3 if longest <= (_SHORT_WIDE if wide else _SHORT_NARROW) else 2
    most = 2 * columns
    letters = _LABEL_WIDE if wide else _LABEL_NARROW
    texts = [label if len(label) <= letters else f"{label[: letters - 1]}…" for label in labels[:most]]
    if len(labels) > most:
        texts[-1] += f" (+{len(labels) - most})"
    frame.legend(
        handles[:most], texts, loc="lower left", bbox_to_anchor=(0.005, -0.015), ncols=columns, frameon=False,
        fontsize=6.5, handlelength=1.1, columnspacing=1.0, labelspacing=0.25, borderpad=0.3,
    )  # fmt: skip


def _heatmap(axes: Axes, answer: tuple[Asked, Sequence[Series]], span_s: tuple[float, float]) -> None:
    """Cumulative buckets as what lies between two bounds."""
    query, series = answer
    rows = sorted(((float(one.labels["le"]), dict(one.points)) for one in series), key=lambda row: row[0])
    times = sorted({at for _, points in rows for at in points})
    grid: list[list[float]] = []
    before: dict[float, float] = {}
    for _, points in rows:
        grid.append([max(0.0, points.get(at, 0.0) - before.get(at, 0.0)) for at in times])
        before = points
    used = [number for number, row in enumerate(grid) if any(value > 0 for value in row)] or [0]
    first, last = max(0, used[0] - 1), min(len(grid) - 1, used[-1] + 1)
    shown_rows = [[math.nan if value == 0 else value for value in row] for row in grid[first : last + 1]]
    edges = [at - span_s[0] for at in times] + [times[-1] - span_s[0] + 1] if times else [0, 1]
    axes.pcolormesh(edges, range(last - first + 2), shown_rows, cmap="Oranges", vmin=0)
    bounds = [bound for bound, _ in rows][first : last + 1]
    axes.set_yticks([n + 1 for n, _ in enumerate(bounds)][:: max(1, len(bounds) // 6)])
    axes.set_yticklabels(
        ["more" if math.isinf(b) else shown(b, query.unit) for b in bounds][:: max(1, len(bounds) // 6)]
    )
    _time(axes, span_s)


def _table(frame: Axes, panel: Mapping[str, Any], found: Sequence[tuple[Asked, Sequence[Series]]]) -> None:
    key = next(step["options"]["byField"] for step in panel["transformations"] if step["id"] == "joinByField")
    rows: dict[str, dict[str, str]] = {}
    order: dict[str, float] = {}
    units = {
        override["matcher"]["options"][-1]: next(p["value"] for p in override["properties"] if p["id"] == "unit")
        for override in panel["fieldConfig"]["overrides"]
    }
    for query, series in found:
        for one in series:
            name, value = one.labels.get(key, ""), one.points[-1][1]
            rows.setdefault(name, {})[query.legend] = shown(value, units[query.letter])
            order.setdefault(name, value)
    columns = [query.legend for query, _ in found]
    names = sorted(rows, key=lambda name: -order[name])[:_ROWS_MOST]
    cells = [[name, *(rows[name].get(column, "") for column in columns)] for name in names]
    drawn = frame.table(
        cells or [["", *("" for _ in columns)]],
        colLabels=[key, *columns],
        colWidths=[0.36, *([0.16] * len(columns))],
        cellLoc="left",
        edges="horizontal",
        bbox=Bbox.from_bounds(0.01, 0.86 - 0.105 * (len(cells) + 1), 0.98, 0.105 * (len(cells) + 1)),
    )
    drawn.auto_set_font_size(False)
    for cell in drawn.get_celld().values():
        cell.set_fontsize(7)
        cell.set_edgecolor("#dfe3e6")
    if len(rows) > len(names):
        frame.text(
            0.015, 0.02, f"and {len(rows) - len(names)} more", fontsize=6.5, color=_GREY, transform=frame.transAxes
        )


def _time(axes: Axes, span_s: tuple[float, float]) -> None:
    axes.set_xlim(0, span_s[1] - span_s[0])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(_seconds))
    axes.tick_params(length=2, colors=_GREY, labelsize=6.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _with(unit: str) -> Callable[[float, int | None], str]:
    def label(value: float, _: int | None) -> str:
        return shown(value, unit)

    return label


def _seconds(at: float, _: int | None) -> str:
    return f"{at:.0f} s"


def main() -> None:
    """Run a demo, ask everything, draw."""
    parser = argparse.ArgumentParser(prog="make dashboard-pictures", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long it is watched at least")
    parser.add_argument("--rate", type=float, default=120, help="records a second")
    asked = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    pages = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
    arguments = ["--rate", str(asked.rate), "--appeal-share", "6"]
    longest_s = asked.seconds + _PATIENCE_S
    with (
        tempfile.TemporaryDirectory(prefix="recourse-pictures-") as folder,
        scraped_run(Path(folder), seconds=longest_s, arguments=arguments) as run,
    ):
        to_stderr(Step(f"watching a demo for {asked.seconds:.0f} s, and until every query has had data"))
        answers = run.watch(pages, at_least_s=asked.seconds, at_most_s=longest_s)
    end_s = max(at for _, series in answers.values() for one in series for at, _ in one.points)
    for name, page in pages.items():
        found = {(panel, letter): answer for (of, panel, letter), answer in answers.items() if of == name}
        draw(page, found, start_s=run.start_s, end_s=end_s, path=IMAGES / f"{name}.png")
        to_stderr(Step(f"drew {IMAGES / name}.png"))


if __name__ == "__main__":
    main()
