"""The engine doing the step as the peers do it: decoding all of an appeal and encoding all of a case with fastavro.

It shows what of the engine's figure comes from `schemas.projection` and what from the engine:
`python -m bench.peers.ours NAME KAFKA REDIS PREFIX EVENTS`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from bench import contenders, triage
from bench.contenders import History
from bench.measure import report
from topology.engine.definition import FoldApp


def fastavro_app(prefix: str) -> FoldApp[History]:
    """`contenders.triage_app` with other codecs."""

    def handle(history: History, appeal: dict[str, Any], ctx: Any) -> None:
        history.appeals, history.cents, case = triage.triage(history.appeals, history.cents, appeal)
        ctx.emit("cases", appeal["user_id"], case)

    return replace(
        contenders.triage_app(prefix),
        name=f"{prefix}engine-fastavro",
        changelog=f"{prefix}engine-fastavro-changelog",
        decode=lambda _topic, _key, value: triage.decode(value),
        handle=handle,
        encode=lambda _topic, case: (f"{prefix}engine-fastavro-cases", triage.encode(case)),
    )


def main() -> None:
    """Run it and report on standard output."""
    name, kafka, redis, prefix, events = sys.argv[1:]
    settings = contenders._settings(kafka, redis, prefix).model_copy(update={"group": f"{prefix}{name}"})  # noqa: SLF001
    report(contenders._run(name, fastavro_app(prefix), settings, int(events)))  # noqa: SLF001


if __name__ == "__main__":
    main()
