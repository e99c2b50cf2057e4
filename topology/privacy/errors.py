"""What can be wrong with something sealed, and what the engine calls it when `schemas` finds it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from schemas.errors import NoCipherError, NotGenuineError, NoWrappingKeyError
from topology.engine.errors import EngineError, Misconfigured


class Erased(EngineError):  # noqa: N818 - a state, not an accident
    """The key is gone, so nobody can ever read this again."""


class NotGenuine(EngineError):  # noqa: N818
    """It is no sealed text, or not the one of this user and record: altered, or put in another's place."""


@contextmanager
def as_ours() -> Generator[None]:
    """Around whatever seals, opens, wraps or unwraps.

    Raises:
        NotGenuine: what was to be opened is not what it should be.
        Misconfigured: a key-encryption key is missing or another one, or the library that seals is.
    """
    try:
        yield
    except NotGenuineError as exc:
        raise NotGenuine(str(exc)) from exc
    except NoWrappingKeyError as exc:
        raise Misconfigured(_missing(exc)) from exc
    except NoCipherError as exc:
        raise Misconfigured(str(exc)) from exc


def _missing(error: NoWrappingKeyError) -> str:
    if error.other:
        return (
            f"the key-encryption key {error.kek_id} of RECOURSE_KEK is not the one that wrapped the wrapping key "
            f"{error.wrapping_id}: same name, other key?"
        )
    return (
        f"the wrapping key {error.wrapping_id} is wrapped by the key-encryption key {error.kek_id}, which "
        f"RECOURSE_KEK does not hold (it holds {', '.join(error.held) or 'none'}). Add it, or run `recourse privacy "
        "rotate` where both are at hand"
    )
