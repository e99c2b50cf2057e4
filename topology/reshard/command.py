"""`recourse reshard`: from settings to what is printed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from rich.console import Console
from rich.text import Text

from topology.cluster import Cluster
from topology.engine.errors import Misconfigured
from topology.engine.position import Known
from topology.registry import open_codec
from topology.reshard import comparing, shared
from topology.reshard.carrier import Carrier, Moment, Probe, no_probe
from topology.reshard.carrying import Carrying
from topology.reshard.merging import Reader
from topology.reshard.moving import Moving
from topology.reshard.seals import GroupOffsets, Seal, held, members, positions, resealed
from topology.reshard.sides import Move, progress_of
from topology.reshard.stage import Stage, Standing, look, sides
from topology.reshard.verifying import Report
from topology.settings import Settings
from topology.topics import Topic


class Done(IntEnum):
    """What became of it, as exit code."""

    ALL = 0
    DIFFERS = 1
    """What lies there is not what lay here; nobody can work there."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the operator asks for."""

    partitions: int
    to: str
    wait_s: float = 0
    """For the members of the group to be gone."""
    replication: int = -1
    readers: tuple[str, ...] = ()
    """Groups that read the audit and are to go on in the new one."""


class Resharding:
    """One move, by one operator."""

    def __init__(self, settings: Settings, wanted: Wanted, console: Console, probe: Probe = no_probe) -> None:
        self._settings = settings
        self._wanted = wanted
        self._console = console
        self._probe = probe
        self._kafka = settings.kafka_config()
        self._codec = open_codec(settings)

    def plan(self) -> Done:
        """Say what would be done, and all that keeps it from being done; nothing is written.

        Raises:
            Misconfigured: it could not be done.
        """
        move, standing = self._looked()
        with Reader(self._kafka, name=move.progress) as reader:
            for topic in move.moving:
                self._tell_topic(move, reader, topic, standing)
            found = shared.examined(move, reader)
            faults = self._faults(move, reader, standing, found) if standing.stage is Stage.NEW else []
        for remedy_id in sorted(found.remedies):
            self._say(f"remedy {remedy_id} in {len(found.remedies[remedy_id])} partitions")
        if faults:
            raise Misconfigured("\n".join([*faults, "Nothing was written."]))
        self._say("nothing keeps it from being done; nothing was written")
        return Done.ALL

    def run(self) -> Done:
        """Move everything; what was done before is not done again.

        Raises:
            Misconfigured: something must be changed first, or the broker failed; the same command goes on.
        """
        # In this order: only once older commands are fenced, and what they left is settled, is it known what is done.
        with self._carrier() as carrier:
            move, standing = self._looked()
            with (
                Reader(self._kafka, name=move.progress) as reader,
                GroupOffsets(self._kafka, move.progress) as progress,
            ):
                moving = Moving(Carrying(move, reader, carrier, progress), self._codec, self._say)
                if standing.stage is Stage.NEW:
                    faults = self._faults(move, reader, standing, shared.examined(move, reader))
                    if faults:
                        raise Misconfigured("\n".join([*faults, "Nothing was changed."]))
                    moving.refuse_unread(self._wanted.readers)
                    self._create(move)
                    moving.seal()
                    standing = look(move)
                if standing.stage is Stage.UNDER_WAY:
                    standing = moving.carry(standing)
                    if self._told(moving.compare(standing)) is not Done.ALL:
                        self._say("nobody can work there; --undo gives the old group its partitions back")
                        return Done.DIFFERS
                    moving.open(standing, self._wanted.readers)
                late = moving.rest()
        if late:
            self._say(f"{late} records have come to the old inputs since; they lie behind the others now")
        self._say(
            f"moved: set RECOURSE_PARTITIONING={move.new.name} for workers and commands, and let producers write to "
            f"{move.new.on_cluster(move.new.inputs[0])} and so on. If some have written to the old inputs meanwhile, "
            "give the same command again: it brings what has come since"
        )
        return Done.ALL

    def verify(self) -> Done:
        """Compare both sides again.

        Raises:
            Misconfigured: the move is not through, or workers have gone on since.
        """
        with self._carrier():  # a command that was killed may have left it unsettled whether the move is through
            move, standing = self._looked()
        if standing.stage is not Stage.DONE:
            raise Misconfigured(f"there is nothing to verify, the move is {standing.stage.value}: run it (again)")
        if standing.started:
            raise Misconfigured(
                "workers have gone on since, so the two sides differ as they must. It was verified before they could "
                "start; from now on `recourse case verify` and `recourse case replay` tell"
            )
        with Reader(self._kafka, name=move.progress) as reader:
            return self._told(comparing.compare(move, reader, standing, self._codec))

    def undo(self, *, lose: bool = False) -> Done:
        """Give the old group its partitions back, as if nothing had been; possible until workers have gone on.

        Args:
            lose: also if what producers have written to the new inputs is lost.

        Raises:
            Misconfigured: it is too late, or there is nothing to undo.
        """
        with self._carrier() as carrier:
            move, standing = self._looked()
            if standing.stage is Stage.NEW:
                raise Misconfigured("there is nothing to undo: no move was begun")
            self._undo(move, carrier, lose=lose)
        self._say(
            f'undone: workers go on at the partitioning "{move.old.name}" as before. The topics of "{move.new.name}" '
            "are of no use any more; delete them when you like"
        )
        return Done.ALL

    def _undo(self, move: Move, carrier: Carrier, *, lose: bool) -> None:
        with (
            held(self._kafka, move.new.group, move.new.places()) as proof,
            GroupOffsets(self._kafka, move.old.group) as old,
            Reader(self._kafka, name=move.progress) as reader,
        ):
            standing = look(move)
            if standing.started:
                raise Misconfigured(
                    "workers have gone on at the new place, and the old one is no longer true. To go back to another "
                    f'number of partitions move again, with RECOURSE_PARTITIONING="{move.new.name}"'
                )
            if not lose and comparing.strangers(move, reader).found["doubled"]:
                raise Misconfigured(
                    "producers have written to the new inputs already, and that would be lost. Stop them, send it "
                    "to the old inputs too, and give --undo with --lose-new-inputs; or go on with the move"
                )
            undone = Known(standing.clock_ms, move.new.partitions, Seal.UNDONE.text(move.old.name))
            given_up = positions({place: each.offset for place, each in standing.new.items()}, undone)
            carrier.commit(Moment.UNDO, [], [(old.proof(), resealed(standing.old, "")), (proof, given_up)])

    # --- what keeps it from being done ------------------------------------------------------------------------

    def _faults(self, move: Move, reader: Reader, standing: Standing, found: shared.Found) -> list[str]:
        faults = shared.faults(move, found)
        group = move.old.group
        inside = members(self._kafka, group, wait_s=self._wanted.wait_s)
        if inside:
            faults.append(
                f"the group {group} has members: {', '.join(inside)}. Stop all workers; one with static membership "
                "stays a member for RECOURSE_SESSION_S after it has stopped, which --wait waits for"
            )
        for topic in move.old.inputs:
            name = move.old.on_cluster(topic)
            if not move.by_user(topic) and any(True for _ in reader.read(name, _rest(move, reader, topic, standing))):
                faults.append(
                    f"commands on {name} have not been taken by all partitions yet, and each copy is for one partition "
                    "of now: let the workers run until they are"
                )
        return faults

    def _create(self, move: Move) -> None:
        created, drift = Cluster(self._kafka, move.new.register).create_missing(self._wanted.replication)
        if drift.fatal or drift.missing:
            raise Misconfigured("\n".join([*drift.fatal, *(f"{topic.name} is missing" for topic in drift.missing)]))
        self._say(f"{len(created)} topics created")

    # --- what is said -----------------------------------------------------------------------------------------

    def _carrier(self) -> Carrier:
        """Under the name of the move, whatever its sides turn out to be."""
        new = self._settings.model_copy(update={"partitioning": self._wanted.to})
        return Carrier(self._kafka, progress_of(new), self._probe)

    def _looked(self) -> tuple[Move, Standing]:
        move = sides(self._settings, self._wanted.to, self._wanted.partitions)
        standing = look(move)
        old, new = (f'"{one.name}" ({one.partitions} partitions, group {one.group})' for one in (move.old, move.new))
        self._say(f"from the partitioning {old} to {new}: {standing.stage.value}")
        return move, standing

    def _tell_topic(self, move: Move, reader: Reader, topic: Topic, standing: Standing) -> None:
        """Offsets, not records: control records take some, and compaction leaves gaps."""
        name = move.old.on_cluster(topic)
        offsets = sum(end - start for start, end in reader.bounds(name, move.old.count(topic)).values())
        more = ""
        if topic in move.old.inputs:
            more = f", {sum(end - at for at, end in _rest(move, reader, topic, standing).values())} of them not folded"
        self._say(f"{name} -> {move.new.on_cluster(topic)}: at most {offsets} records{more}")

    def _told(self, report: Report) -> Done:
        for kind, text in report.texts:
            self._say(f"{kind:<11} {text}")
        if report.chains_before:
            self._say(f"the audit had {report.chains_before} faults before: see `recourse case verify`")
        kinds = {"lost": 0, "doubled": 0, "differs": 0} | dict(report.found)
        self._say(
            f"compared {report.users} users, {report.records} inputs, {report.letters} dead letters and "
            f"{report.lines} lines of the audit: {', '.join(f'{kind} {count}' for kind, count in kinds.items())}"
        )
        return Done.DIFFERS if report.found else Done.ALL

    def _say(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


def _rest(move: Move, reader: Reader, topic: Topic, standing: Standing) -> dict[int, tuple[int, int]]:
    """What of an input is not folded."""
    name = move.old.on_cluster(topic)
    found: dict[int, tuple[int, int]] = {}
    for number, (start, end) in reader.bounds(name, move.old.partitions).items():
        committed = standing.old.get((name, number))
        found[number] = (start if committed is None else committed.offset), end
    return found
