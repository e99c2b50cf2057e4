"""`recourse remedy`: from settings to what is printed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from confluent_kafka import Message
from rich.console import Console
from rich.live import Live

from schemas.errors import DecodeError, RegistryUnavailableError
from schemas.records import Detector, RemedyReported
from schemas.remedy_whole import Whole, wholes
from schemas.vocabulary import RemedyEventKind, RemedySteer
from topology.engine.errors import Misconfigured
from topology.registry import open_codec
from topology.remedies import commands, show
from topology.remedies.commands import Command
from topology.remedies.sender import count_partitions, send
from topology.reversals.command import Heard
from topology.settings import Settings
from topology.topic_reader import TopicReader
from topology.topic_tail import TopicTail
from topology.topics import Register

EVENTS = "remedy.events"
_LOOK_S = 1.0


class Desk:
    """Where one operator reads reports and writes commands."""

    def __init__(self, settings: Settings, console: Console, register: Register | None = None) -> None:
        """`register` other than the packaged one, with the settings' prefix.

        Raises:
            Misconfigured: this installation has no topics for remedies.
        """
        self._settings = settings
        self._console = console
        self._register = register or settings.register_of_topics()
        self._codec = open_codec(settings)
        self._partitions = count_partitions(settings, self._register)
        self._name = f"{settings.group}-remedies"

    def propose(
        self,
        detector: Detector,
        *,
        policy: str | None,
        issued_from: str,
        issued_until: str,
        per_second: int,
        actor: str,
        reason: str,
        remedy_id: str | None = None,
        wait_s: float = 10.0,
    ) -> Heard:
        """Have every partition make a dry run.

        Raises:
            Misconfigured: the cohort is none, or it could not be written.
        """
        copies = commands.proposed(
            detector=detector,
            policy=policy,
            issued_from=issued_from,
            issued_until=issued_until,
            per_second=per_second,
            actor=actor,
            reason=reason,
            remedy_id=remedy_id,
            partitions=self._partitions,
            now_ms=_now_ms(),
        )
        with self._tail() as tail:
            known = self._all().get(copies[0].remedy_id)
            return self._write(copies, tail, known, wait_s)

    def approve(
        self, remedy_id: str, *, actor: str, confirm: Callable[[str], bool], wait_s: float = 10.0
    ) -> Heard | None:
        """Show the dry run, ask, and agree with it.

        Returns:
            None: whoever was asked said no, and nothing was written.

        Raises:
            Misconfigured: it cannot be approved, or not by them, or it could not be written.
        """
        with self._tail() as tail:
            whole = self._one(remedy_id)
            self._console.print(show.told(whole))
            copies = commands.approved(whole, actor=actor, partitions=self._partitions, now_ms=_now_ms())
            if not confirm(f"Approve the reversal of {copies[0].enforcements} enforcements as {actor}?"):
                show.say(self._console, "not approved; nothing was written")
                return None
            return self._write(copies, tail, whole, wait_s)

    def steer(self, remedy_id: str, steer: RemedySteer, *, actor: str, reason: str, wait_s: float = 10.0) -> Heard:
        """Pause, resume or stop.

        Raises:
            Misconfigured: there is no such remedy, or it could not be written.
        """
        with self._tail() as tail:
            whole = self._one(remedy_id)
            copies = commands.steered(
                whole, steer, actor=actor, reason=reason, partitions=self._partitions, now_ms=_now_ms()
            )
            return self._write(copies, tail, whole, wait_s)

    def list_(self) -> None:
        """Print all remedies."""
        show.show_list(self._all().values(), self._console)

    def show(self, remedy_id: str, *, watch: bool) -> None:
        """Print one remedy; with `watch` again and again until it is over.

        Raises:
            Misconfigured: there is no such remedy.
        """
        with self._tail() as tail:
            whole = self._one(remedy_id)
            if not watch:
                self._console.print(show.told(whole))
                return
            with Live(show.told(whole), console=self._console, auto_refresh=False) as live:
                while not whole.over:
                    for report in self._follow(tail, _LOOK_S):
                        if report.remedy_id == remedy_id:
                            whole.take(report)
                    live.update(show.told(whole), refresh=True)

    def _write(self, copies: Sequence[Command], tail: TopicTail, known: Whole | None, wait_s: float) -> Heard:
        command = copies[0]
        answers = dict({} if known is None else known.answers.get(command.event_id, {}))
        if len(answers) == len(copies):
            show.say(self._console, f"the same command was answered before: {command.event_id}")
            return self._tell(answers, len(copies))
        send(self._settings, self._register, self._codec, copies)
        what = f"{type(command).__name__} {command.event_id}"
        show.say(self._console, f"written  {what} to all {len(copies)} partitions")
        show.say(self._console, f"remedy   {command.remedy_id}")
        show.say(self._console, f"see      recourse remedy show {command.remedy_id} --watch")
        if wait_s <= 0:
            return Heard.ACCEPTED
        for report in self._follow(tail, wait_s):
            if report.cause_id == command.event_id:
                answers.setdefault(report.partition, report)
                if len(answers) == len(copies):
                    break
        return self._tell(answers, len(copies))

    def _tell(self, answers: dict[int, RemedyReported], partitions: int) -> Heard:
        show.tell_answers(answers, partitions, self._console)
        if len(answers) < partitions:
            missing = sorted(set(range(partitions)) - answers.keys())
            show.say(
                self._console,
                f"no answer yet from partitions {', '.join(map(str, missing))}: do workers run? The command stays "
                "written and is judged when its turn comes.",
            )
        if any(report.kind is RemedyEventKind.REFUSED for report in answers.values()):
            return Heard.REJECTED
        return Heard.ACCEPTED if len(answers) == partitions else Heard.NOTHING_YET

    def _one(self, remedy_id: str) -> Whole:
        found = self._all().get(remedy_id)
        if found is None:
            raise Misconfigured(
                f"no partition has reported about a remedy {remedy_id}. `recourse remedy list` shows which there are."
            )
        return found

    def _all(self) -> dict[str, Whole]:
        with TopicReader(self._settings.kafka_config(), self._register, name=self._name) as reader:
            reports = (self._report(message) for message in reader.read(EVENTS))
            return wholes(report for report in reports if report is not None)

    def _tail(self) -> TopicTail:
        """To be made before anything is read or written: then nothing falls in between."""
        return TopicTail(self._settings.kafka_config(), self._register, EVENTS, name=self._name)

    def _follow(self, tail: TopicTail, seconds: float) -> Iterator[RemedyReported]:
        for message in tail.follow(seconds):
            report = self._report(message)
            if report is not None:
                yield report

    def _report(self, message: Message) -> RemedyReported | None:
        try:
            record = self._codec.decode(message.value() or b"", self._register.by_name[EVENTS].allowed)
        except DecodeError:
            return None
        except RegistryUnavailableError as exc:
            raise Misconfigured(f"schema registry: {exc}") from exc
        return record if isinstance(record, RemedyReported) else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
