"""The table of metrics as a page of the docs."""

from __future__ import annotations

from topology.metrics.row import OTHER, Label, Row, Set
from topology.metrics.table import GROUPS, PREFIX

_HEAD = f"""Every figure is a row of `topology/metrics/table.py`.
Prometheus objects, this page, dashboards and alerts are made from it.

Each worker and each process of the insights answers on a port of its own (`RECOURSE_METRICS_PORT`).
`recourse run --workers N` counts up from it, so a sum over instances counts nothing twice.

Labels take values from closed sets.
A value outside of one is a defect, counted in `{PREFIX}label_values_refused_total` and shown as `{OTHER}`.

Rows marked *live* are worked out at the scrape, so they go on when the loop that they are about has stopped.
`process_*` and `python_*` are the client library's own.
"""


def markdown() -> str:
    """All groups, a table each."""
    parts = [_HEAD]
    for title, rows in GROUPS.items():
        lines = [f"## {title}", "", "| metric | kind | unit | labels | meaning |", "| --- | --- | --- | --- | --- |"]
        lines += [_line(row) for row in rows]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts).rstrip()


def _line(row: Row) -> str:
    labels = "<br>".join(_label(label) for label in row.labels)
    live = " *live*" if row.live else ""
    name = f"{PREFIX}{row.name}" + ("_info" if row.kind == "info" else "")
    buckets = f" Buckets up to {', '.join(f'{bound:g}' for bound in row.buckets)}." if row.buckets else ""
    return f"| `{name}` | {row.kind}{live} | {row.unit} | {labels} | {row.help}{buckets} |"


def _label(label: Label) -> str:
    match label.of:
        case Set.LISTED:
            shown = [f"`{value}`" for value in label.values] + ([f"`{OTHER}`"] if label.rest else [])
            return f"{label.name}: {' '.join(shown)}"
        case Set.BUSIEST:
            return f"{label.name}: at most {label.limit} names, and `{OTHER}`"
        case Set.PROCESS:
            return f"{label.name}: one a process"
        case _:
            return f"{label.name}: {_OF[label.of]}"


_OF = {
    Set.PODS: "the pods",
    Set.INPUTS: "the input topics",
    Set.REFERENCES: "the reference topics",
    Set.PARTITIONS: "numbers from 0",
    Set.ROWS: "the metrics",
}
