"""The triage step for the Python peers: fastavro and nothing of ours, for it runs in their environments.

The same as in `bench.triage`, field by field; a test compares the bytes. Peers import it as `step`, from this folder
on `PYTHONPATH`.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro

_AVRO = Path(__file__).parent / "avro"
APPEAL = fastavro.parse_schema(json.loads((_AVRO / "SmallAppeal.avsc").read_text()))
TRIAGED = fastavro.parse_schema(json.loads((_AVRO / "Triaged.avsc").read_text()))
_SEVERITY = {"warning": 1, "content_removal": 3, "payout_hold": 6, "suspension": 7, "ban": 9}
_POD = {"payout_hold": "payments", "suspension": "accounts", "ban": "accounts"}


def decode(value: bytes) -> dict[str, Any]:
    """Avro bytes to an appeal."""
    appeal: dict[str, Any] = fastavro.schemaless_reader(BytesIO(value), APPEAL, None)
    return appeal


def encode(case: dict[str, Any]) -> bytes:
    """A triaged case to Avro bytes."""
    out = BytesIO()
    fastavro.schemaless_writer(out, TRIAGED, case)
    return out.getvalue()


def triage(before: int, appeal: dict[str, Any]) -> dict[str, Any]:
    """The case of an appeal of somebody who handed in `before` others: score (0 to 1,000), pod, rank (UTC ms)."""
    action = appeal["action"]
    impact = min(300, appeal["amount_cents"] // 1_000)
    score = max(0, min(1_000, 60 * _SEVERITY[action] + impact - min(100, 5 * before)))
    return {
        "appeal_id": appeal["appeal_id"],
        "user_id": appeal["user_id"],
        "score": score,
        "pod": _POD.get(action, "general"),
        "rank_at": appeal["submitted_at"] + (1_000 - score) * 60_000,
        "appeals_before": before,
        "statement_ref": appeal["statement_ref"],
    }
