"""`recourse dlq`: look into the dead-letter topics, and settle what lies there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from topology.cli.common import console, settings_or_exit
from topology.engine.errors import Misconfigured

if TYPE_CHECKING:
    from schemas.vocabulary import DeadLetterAction
    from topology.dlq.choosing import Wanted

app = typer.Typer(
    help="Look into the dead-letter topics; replay or discard what lies there.",
    no_args_is_help=True,
)

Topic = Annotated[str | None, typer.Option(help="Only those of this input topic.")]
Code = Annotated[list[str] | None, typer.Option(help="Only those with this reason, as `list` shows it; repeatable.")]
Key = Annotated[str | None, typer.Option(help="Only those of this key.")]
Since = Annotated[str | None, typer.Option(help="Only those set aside from then on (ISO 8601, UTC).")]
Until = Annotated[str | None, typer.Option(help="Only those set aside before then (ISO 8601, UTC).")]
Places = Annotated[list[str] | None, typer.Argument(metavar="[WHERE]...", help="As listed: topic[partition]@offset")]
All = Annotated[bool, typer.Option("--all", help="All that are pending, of all inputs.")]
Actor = Annotated[str, typer.Option(help="Who you are: the audit names you.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit; no personal data.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done; nothing is written.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many, the oldest first.")]


@app.command("list")
def list_letters(
    topic: Topic = None,
    code: Code = None,
    key: Key = None,
    since: Since = None,
    until: Until = None,
    state: Annotated[str, typer.Option(help="pending, replayed, discarded or all.")] = "pending",
    limit: Annotated[int, typer.Option(min=1, help="At most so many lines.")] = 50,
) -> None:
    """List dead letters with their reasons and what was done with them, and count them by reason."""
    from topology.dlq.choosing import State  # noqa: PLC0415 - `--help` must not wait for Kafka's library
    from topology.dlq.command import Desk  # noqa: PLC0415

    if state not in (*State, "all"):
        raise Misconfigured(f"--state {state}: write {', '.join(State)} or all")
    only = None if state == "all" else State(state)
    wanted = _wanted(None, code, key, since, until)
    Desk(settings_or_exit(), console).list_(wanted, topic=topic, state=only, limit=limit)


@app.command("show")
def show(
    where: Annotated[str, typer.Argument(metavar="WHERE", help="As listed: topic[partition]@offset")],
) -> None:
    """Show one dead letter whole: what was done with it, headers, what can be read of the record, its bytes."""
    from topology.dlq.command import Desk  # noqa: PLC0415

    Desk(settings_or_exit(), console).show(where)


@app.command()
def replay(
    actor: Actor,
    reason: Reason,
    where: Places = None,
    topic: Topic = None,
    code: Code = None,
    key: Key = None,
    since: Since = None,
    until: Until = None,
    all_: All = False,
    limit: Limit = None,
    new_time: Annotated[
        bool, typer.Option("--new-time", help="With the time of now as timestamp: where the old one was the fault.")
    ] = False,
    dry_run: Dry = False,
) -> None:
    """Send the original records to their input topics again, each exactly once, whatever is killed and run again.

    A record never overtakes an older pending one of its key: it is held back, and the text says what it waits for.

    Exit codes: 0 all settled; 1 some were not, each is named; 2 refused.
    """
    from schemas.vocabulary import DeadLetterAction  # noqa: PLC0415

    chosen = _chosen(where, topic, code, key, since, until, all_=all_)
    _settle(
        DeadLetterAction.REPLAYED,
        chosen,
        topic=topic,
        actor=actor,
        reason=reason,
        dry_run=dry_run,
        limit=limit,
        new_time=new_time,
    )


@app.command()
def discard(
    actor: Actor,
    reason: Reason,
    where: Places = None,
    topic: Topic = None,
    code: Code = None,
    key: Key = None,
    since: Since = None,
    until: Until = None,
    all_: All = False,
    limit: Limit = None,
    dry_run: Dry = False,
) -> None:
    """Settle letters for good without sending anything; they cannot be replayed afterwards.

    Exit codes: 0 all settled; 1 some were not, each is named; 2 refused.
    """
    from schemas.vocabulary import DeadLetterAction  # noqa: PLC0415

    chosen = _chosen(where, topic, code, key, since, until, all_=all_)
    _settle(DeadLetterAction.DISCARDED, chosen, topic=topic, actor=actor, reason=reason, dry_run=dry_run, limit=limit)


def _settle(
    action: DeadLetterAction,
    wanted: Wanted,
    *,
    topic: str | None,
    actor: str,
    reason: str,
    dry_run: bool,
    limit: int | None,
    new_time: bool = False,
) -> None:
    from topology.dlq.command import Desk  # noqa: PLC0415

    done = Desk(settings_or_exit(), console).settle(
        wanted, action, topic=topic, actor=actor, reason=reason, dry_run=dry_run, limit=limit, new_time=new_time
    )
    raise typer.Exit(done)


def _chosen(
    where: list[str] | None,
    topic: str | None,
    code: list[str] | None,
    key: str | None,
    since: str | None,
    until: str | None,
    *,
    all_: bool,
) -> Wanted:
    """What an order is about; an order about everything must say so.

    Raises:
        Misconfigured: it says nothing, or both.
    """
    if where and (topic or code or key or since or until or all_):
        raise Misconfigured("name places, or say which with options; not both")
    narrowed = bool(where or topic or code or key or since or until)
    if not narrowed and not all_:
        raise Misconfigured("which letters? Name places as `recourse dlq list` shows them, or use options, or --all")
    return _wanted(where, code, key, since, until)


def _wanted(
    where: list[str] | None, code: list[str] | None, key: str | None, since: str | None, until: str | None
) -> Wanted:
    from topology.dlq.choosing import Wanted  # noqa: PLC0415
    from topology.dlq.letters import parse_place  # noqa: PLC0415

    for each in where or ():
        parse_place(each)
    return Wanted(
        places=frozenset(where or ()),
        codes=frozenset(code or ()),
        key=None if key is None else key.encode(),
        since_ms=_ms("--since", since),
        until_ms=_ms("--until", until),
    )


def _ms(option: str, text: str | None) -> int | None:
    from topology.replay.times import parse_ms  # noqa: PLC0415

    at = None if text is None else parse_ms(text)
    if text is not None and at is None:
        raise Misconfigured(f"{option} {text}: no time; write ISO 8601, e.g. 2025-03-01T12:00:00+00:00")
    return at
