"""The live screen: what comes in, where it waits and why, what is undone, what was refused. It reads a `Scene` only."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.records import Case, Component
from schemas.vocabulary import Band, CaseEventKind, Outcome
from topology.demo import rates
from topology.demo.scene import Scene
from topology.demo.workers import FIRST_WAIT

WIDE = (96, 40)
"""Columns and lines from which on the large picture fits."""
SMALL = (72, 20)
"""Below this there are lines instead of a picture."""

_COMPRESSED = f"time is compressed: review takes a second, and a directive that failed is sent again after {FIRST_WAIT}"
_BANDS = [band for band in Band if band is not Band.UNKNOWN]
_COLOURS = {"P0": "bold red", "P1": "dark_orange", "P2": "yellow", "P3": "green", "P4": "cyan"}
_SPARKS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"


class Screen:
    """Draws the scene in whatever space there is."""

    def __init__(self, scene: Scene, pods: tuple[str, ...]) -> None:
        self._scene = scene
        self._pods = pods

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The large picture where it fits, else the small one."""
        width, height = console.size
        yield self._wide() if width >= WIDE[0] and height >= WIDE[1] else self._small(width)

    def _wide(self) -> Layout:
        scene, whole = self._scene, Layout()
        numbers, middle, bottom = Layout(size=5), Layout(size=len(self._pods) + 4), Layout(size=9)
        whole.split_column(
            Layout(self._head(), size=2),
            numbers,
            middle,
            Layout(
                Panel(
                    Group(self._explained(scene.case()), self._others(scene.case())),
                    title="newest case, explained",
                    border_style="dim",
                )
            ),
            bottom,
            Layout(self._foot(), size=2),
        )
        numbers.split_row(
            Layout(_box("in", self._incoming()), ratio=3),
            Layout(_box("appeal → case on its pod", self._latency()), ratio=3),
            Layout(_box("appeals", self._appeals()), ratio=4),
        )
        middle.split_row(
            Layout(Panel(self._queue(), title="queue by pod", border_style="dim"), ratio=31),
            Layout(_box("reversals and review", self._reversals()), ratio=19),
        )
        bottom.split_row(
            Layout(_box("refused, and what changed nothing", self._refused()), ratio=4),
            Layout(_box("dead letters", self._letters()), ratio=4),
            Layout(_box("misfires suspected", self._misfires()), ratio=3),
        )
        return whole

    def _small(self, width: int) -> Group:
        totals = self._scene.view.totals
        lines = [
            Text.assemble(self._incoming(short=True), "  ", self._latency(short=True)),
            self._appeals(short=True),
            self._reversals(short=True),
            Text(f"refused    {_listed(totals.refused)}"),
            Text(f"dead       {_listed(totals.letters)}"),
            Text(f"misfire    {'; '.join(map(str, totals.misfires.values()))}", style="bold red")
            if totals.misfires
            else Text(f"data       {self._scene.folder}"),
        ]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return Group(self._head(short=True), self._queue(), self._explained(self._scene.case()), *lines)

    # --- parts ------------------------------------------------------------------------------------------------

    def _head(self, *, short: bool = False) -> Text:
        scene, plan = self._scene, self._scene.plan
        clock = f"{min(scene.elapsed_s, plan.seconds):.0f} of {plan.seconds:.0f} s"
        if short:
            times = f"appeals {plan.appeal_times:g} times the published rate"
            return Text.assemble(("Recourse", "bold"), f"  {scene.phase}, {clock}  ", (times, "dim"), no_wrap=True)
        return Text.assemble(
            ("Recourse", "bold"),
            f"  {scene.phase}, {clock}   {scene.workers} workers, {scene.specialists} specialists, seed {plan.seed}\n",
            (f"appeals {plan.appeal_times:g} times the published rate ({rates.SOURCE})", "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )

    def _foot(self) -> Text:
        scene = self._scene
        return Text.assemble(
            *([("desk  ", "dim"), (scene.desk, "bold"), ("   ", "dim")] if scene.desk else []),
            ("data  ", "dim"),
            str(scene.folder),
            ("   on  ", "dim"),
            scene.servers,
            (f"\n{_COMPRESSED}", "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )

    def _incoming(self, *, short: bool = False) -> Text:
        scene = self._scene
        rate, total = f"{scene.rate():,.0f}", f"{scene.outbox.ledger.records:,}"
        if short:
            return Text.assemble("in         ", (rate, "bold"), f" events/s, {total} in all, {scene.unread:,} unread")
        history = Text(_spark(scene.history(), 24), style="green")
        return Text.assemble(
            (rate, "bold"), " events/s, 4 topics\n", history, f"\n{total} in all, {scene.unread:,} unread"
        )

    def _latency(self, *, short: bool = False) -> Text:
        measured = self._scene.view.latency_ms()
        if measured is None:
            return Text("none yet", style="dim")
        p50, p99 = (f"{ms:,.0f} ms" for ms in measured)
        if short:
            return Text.assemble("p50 ", (p50, "bold"), "  p99 ", (p99, "bold"))
        return Text.assemble("p50 ", (p50, "bold"), "\np99 ", (p99, "bold"), ("\nlast 10 s, end to end", "dim"))

    def _appeals(self, *, short: bool = False) -> Text:
        totals = self._scene.view.totals
        outcomes = totals.outcomes
        upheld, overturned = outcomes[Outcome.UPHELD], outcomes[Outcome.OVERTURNED]
        ended = f"{upheld:,} upheld, {overturned:,} overturned, {sum(outcomes.values()) - upheld - overturned:,} else"
        refused = f"{sum(totals.refused.values()):,} refused, {totals.lines[CaseEventKind.APPEAL_PARKED]:,} waited"
        if short:
            return Text(f"appeals    {totals.opened:,} cases, {refused}; {ended}")
        return Text.assemble((f"{totals.opened:,}", "bold"), f" cases\n{refused}\n{ended}")

    def _queue(self) -> Table:
        table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim")
        table.add_column("pod", no_wrap=True)
        for band in _BANDS:
            table.add_column(band, justify="right", min_width=3)
        for name in ("open", "held", "done"):
            table.add_column(name, justify="right", min_width=4)
        queue, decided = self._scene.queue(), self._scene.view.totals.decided_by_pod
        for pod in self._pods:
            row = queue.get(pod, {})
            counts = [_count(row.get(band, 0), _COLOURS[band]) for band in _BANDS]
            waiting = sum(row.get(band, 0) for band in _BANDS)
            held = row.get("claimed", 0)
            table.add_row(pod, *counts, _count(waiting, "bold"), _count(held, ""), _count(decided[pod], ""))
        return table

    def _explained(self, case: Case | None) -> Text | Group:
        if case is None:
            return Text("none yet", style="dim")
        what = case.enforcement
        title = Text.assemble(
            (f"{case.band} ", _COLOURS.get(case.band, "")),
            (f"{case.score} ", "bold"),
            f"{what.action} for {what.policy}, {case.language}-{case.region} → ",
            (case.pod, "bold"),
            (f"\n{case.routing.rule}: {case.routing.because}", "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )
        table = Table(box=None, show_header=False, expand=True, padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, width=12)
        table.add_column(no_wrap=True, justify="right", width=5)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for part in case.components:
            table.add_row(part.name, _bar(part, 12), f"{part.contribution:.0f}", Text(part.because, style="dim"))
        return Group(title, table)

    def _others(self, shown: Case | None) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        for case in reversed(self._scene.view.newest.copy()):
            if case is not shown:
                text.append("   " if text else " also new  ", style="dim")
                text.append(f"{case.band} {case.score} ", style=_COLOURS.get(case.band, ""))
                text.append(case.enforcement.action, style="dim")
        return text

    def _reversals(self, *, short: bool = False) -> Text:
        totals, systems = self._scene.view.totals, self._scene.systems
        ordered, confirmed = len(totals.reversals), len(totals.confirmed)
        if short:
            under_way = f"{ordered - confirmed:,} under way"
            return Text(f"reversals  {ordered:,} ordered, {under_way}, {confirmed:,} confirmed")
        applied = totals.lines[CaseEventKind.DIRECTIVE_APPLIED]
        failed = totals.lines[CaseEventKind.DIRECTIVE_FAILED]
        return _rows(
            ("reversals ordered", ordered, ""),
            ("under way", ordered - confirmed, "yellow"),
            ("confirmed", confirmed, "green"),
            ("directives ordered", len(totals.directives), ""),
            ("in the systems' hands", len(systems.in_hand), "yellow"),
            ("applied", applied, "green"),
            ("failed at first", failed, ""),
            ("orders sent again", totals.resent, ""),
            ("second looks at decisions", totals.lines[CaseEventKind.DECISION_PROPOSED], ""),
            ("requests for evidence", totals.lines[CaseEventKind.EVIDENCE_REQUESTED], ""),
        )

    def _refused(self) -> Text:
        totals = self._scene.view.totals
        rows = [(reason, n, "") for reason, n in totals.refused.most_common(4)]
        rows += [(f"review: {reason}", n, "") for reason, n in totals.rejected.most_common(2)]
        ignored = totals.lines[CaseEventKind.ACK_IGNORED]
        return _rows(*rows, ("answers ignored", ignored, "")) if rows or ignored else Text("none yet", style="dim")

    def _letters(self) -> Text:
        letter, counts = self._scene.view.letter, self._scene.view.totals.letters
        if letter is None:
            return Text("none yet", style="dim")
        return Text.assemble(
            _listed(counts),
            ("\n\nnewest  ", "dim"),
            (letter.reason, "bold"),
            f" {letter.origin.partition('.')[2]}\n",
            (letter.text, "dim"),
        )

    def _misfires(self) -> Text:
        found = list(self._scene.view.totals.misfires.values())
        if not found:
            return Text("none", style="dim")
        return Text("\n".join(map(str, found)), style="bold red")


def line(scene: Scene) -> str:
    """The scene in one line, for logs and terminals without a picture."""
    totals = scene.view.totals
    measured = scene.view.latency_ms()
    latency = "p50 -  p99 -" if measured is None else f"p50 {measured[0]:.0f} ms p99 {measured[1]:.0f} ms"
    waiting = len(scene.view.open)
    return (
        f"{scene.elapsed_s:5.1f} s  {scene.phase:<8}  {scene.rate():5.0f} events/s  {scene.outbox.ledger.records:>6} in"
        f"  {scene.unread:>4} unread  {latency}  cases {totals.opened} ({waiting} open)"
        f"  refused {sum(totals.refused.values())}  reversals {len(totals.reversals)} ordered"
        f" {len(totals.confirmed)} confirmed  dead letters {sum(totals.letters.values())}"
        f"  misfires {', '.join(sorted({m.alert.detector.version for m in totals.misfires.values()})) or 'none'}"
    )


def _box(title: str, content: Text) -> Panel:
    return Panel(content, title=title, border_style="dim")


def _rows(*rows: tuple[str, int, str]) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for name, count, style in rows:
        text.append("\n" if text else "")
        text.append(f"{count:>6,} ", style=style or "bold")
        text.append(name)
    return text


def _count(number: int, style: str) -> Text:
    return Text(f"{number:,}", style=style) if number else Text("·", style="dim")


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items(), key=lambda item: -item[1])) or "none"


def _bar(part: Component, width: int) -> Text:
    filled = int(min(1.0, max(0.0, part.value)) * width * 8)
    full, rest = divmod(filled, 8)
    bar = "█" * full + (_EIGHTHS[rest] if rest else "")
    return Text.assemble((bar, "cyan"), ("·" * (width - len(bar)), "dim"))


def _spark(values: list[float], width: int) -> str:
    shown = values[-width:]
    top = max(shown, default=0) or 1
    return "".join(_SPARKS[min(7, int(value / top * 7.99))] for value in shown)
