"""The small triage step that the naive loop and the engine both do: the same function, the same bytes in and out."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import fastavro

from bench.workload import SMALL_APPEAL

TRIAGED = fastavro.parse_schema(
    {
        "type": "record",
        "name": "bench.Triaged",
        "fields": [
            {"name": "appeal_id", "type": "string"},
            {"name": "user_id", "type": "string"},
            {"name": "score", "type": "int"},
            {"name": "pod", "type": "string"},
            {"name": "rank_at", "type": "long"},
            {"name": "appeals_before", "type": "long"},
            {"name": "statement_ref", "type": "string"},
        ],
    }
)
_SEVERITY = {"warning": 1, "content_removal": 3, "payout_hold": 6, "suspension": 7, "ban": 9}
_POD = {"payout_hold": "payments", "suspension": "accounts", "ban": "accounts"}


def decode(value: bytes | None) -> dict[str, Any]:
    """Avro bytes to an appeal."""
    appeal = fastavro.schemaless_reader(BytesIO(value or b""), SMALL_APPEAL, None)
    if not isinstance(appeal, dict):
        raise TypeError("an appeal is a record")
    return appeal


def triage(appeals: int, cents: int, appeal: dict[str, Any]) -> tuple[int, int, dict[str, Any]]:
    """Join with the user's history, score, choose a pod.

    Args:
        appeals: how many appeals this user handed in before.
        cents: what was at stake in them.
        appeal: the new one.

    Returns:
        The two counters of the history afterwards, and the triaged case.
    """
    severity = _SEVERITY[appeal["action"]]
    impact = min(300, appeal["amount_cents"] // 1_000)
    score = max(0, min(1_000, 60 * severity + impact - min(100, 5 * appeals)))
    case = {
        "appeal_id": appeal["appeal_id"],
        "user_id": appeal["user_id"],
        "score": score,
        "pod": _POD.get(appeal["action"], "general"),
        "rank_at": appeal["submitted_at"] + (1_000 - score) * 60_000,
        "appeals_before": appeals,
        "statement_ref": appeal["statement_ref"],
    }
    return appeals + 1, cents + appeal["amount_cents"], case


def encode(case: dict[str, Any]) -> bytes:
    """A triaged case to Avro bytes."""
    out = BytesIO()
    fastavro.schemaless_writer(out, TRIAGED, case)
    return out.getvalue()
