"""Who somebody is, and what they may do: a person's id, roles and pods, from whoever is trusted to say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Final

from starlette.requests import HTTPConnection

from desk.settings import Settings

_LONGEST: Final = 256
"""Characters of an id (schemas/records: `Name`)."""
SESSION_PERSON: Final = "person"


class Role(StrEnum):
    """What somebody may do."""

    SPECIALIST = "specialist"
    """Work on the cases of their pods."""
    SECOND_REVIEWER = "second_reviewer"
    """Look at proposed decisions a second time."""
    LEAD = "lead"
    """See every pod, move cases, propose and approve remedies; and work on cases."""
    AUDITOR = "auditor"
    """Read any case's life, and change nothing."""


_ROLES: Final = {role.value: role for role in Role}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at the desk."""

    name: str
    """The `actor` of what they do."""
    roles: frozenset[Role]
    pods: frozenset[str]
    """Whose cases they work on; a lead sees all."""

    def may(self, *roles: Role) -> bool:
        """Whether they have one of these roles."""
        return not self.roles.isdisjoint(roles)

    def works_at(self, pod: str) -> bool:
        """Whether the pod's cases are theirs."""
        return pod in self.pods or Role.LEAD in self.roles


class Untrusted(Exception):  # noqa: N818 - what happened, not a fault of the program
    """Nobody who may has said who this is. The text is for the log and for whoever sets the proxy up."""


def meaning(groups: Iterable[str], told: Mapping[str, str]) -> tuple[frozenset[Role], frozenset[str]]:
    """Roles and pods that groups stand for."""
    roles: set[Role] = set()
    pods: set[str] = set()
    for group in groups:
        name = told.get(group)
        if name is None and not told and group.startswith("recourse-"):
            name = group.removeprefix("recourse-").replace("pod-", "pod:", 1)
        if name is None:
            continue
        name = name.replace("-", "_") if not name.startswith("pod:") else name
        if name.startswith("pod:"):
            pods.add(name.removeprefix("pod:"))
        elif name in _ROLES:
            roles.add(_ROLES[name])
    return frozenset(roles), frozenset(pods)


def from_headers(connection: HTTPConnection, settings: Settings) -> Person:
    """The person that a trusted proxy names.

    Raises:
        Untrusted: it was somebody else who said so, or nobody is named.
    """
    peer = connection.client.host if connection.client is not None else ""
    try:
        trusted = any(ip_address(peer) in network for network in settings.proxies)
    except ValueError:
        trusted = False
    if not trusted:
        raise Untrusted(f"{peer or 'a peer without address'} is none of RECOURSE_DESK_TRUSTED_PROXIES")
    named = connection.headers.getlist(settings.user_header)
    if len(named) != 1:
        raise Untrusted(f"the proxy sent {len(named)} headers {settings.user_header}, one is wanted")
    groups = [
        group.strip() for header in connection.headers.getlist(settings.groups_header) for group in header.split(",")
    ]
    return person(named[0], groups, settings.groups)


def person(name: str, groups: Iterable[str], told: Mapping[str, str]) -> Person:
    """A person by name and groups.

    Raises:
        Untrusted: the name cannot be that of an actor.
    """
    if not name or len(name) > _LONGEST or not name.isprintable() or name != name.strip():
        raise Untrusted("the person's id is empty, longer than 256 characters, or has characters that cannot be seen")
    roles, pods = meaning(groups, told)
    return Person(name, roles, pods)


def from_session(connection: HTTPConnection) -> Person | None:
    """Whoever has signed in; None: nobody."""
    kept = connection.session.get(SESSION_PERSON)
    if not isinstance(kept, dict):
        return None
    roles = frozenset(_ROLES[role] for role in kept["roles"] if role in _ROLES)
    return Person(str(kept["name"]), roles, frozenset(map(str, kept["pods"])))


def keep_in_session(connection: HTTPConnection, who: Person) -> None:
    """Sign somebody in; whatever the session held of somebody before is gone."""
    language = connection.session.get("language")
    connection.session.clear()
    if language is not None:
        connection.session["language"] = language
    connection.session[SESSION_PERSON] = {
        "name": who.name,
        "roles": sorted(who.roles),
        "pods": sorted(who.pods),
    }
