"""The codec of a process: with a schema registry when one is set, without one otherwise."""

from __future__ import annotations

from schemas.codec import Codec
from schemas.errors import RegistryUnavailableError, SchemaNotFoundError
from schemas.registry import ConfluentRegistry
from topology.engine.errors import Misconfigured
from topology.settings import Settings


def open_codec(settings: Settings) -> Codec:
    """A codec as the settings say. Nothing is fetched before the first record needs it.

    Raises:
        Misconfigured: a registry is set, but its client is not installed.
    """
    return Codec(open_registry(settings))


def open_registry(settings: Settings) -> ConfluentRegistry | None:
    """The schema registry that is set, if any.

    Raises:
        Misconfigured: its client is not installed.
    """
    return None if settings.registry is None else _registry(settings)


def probe_registry(settings: Settings) -> str:
    """Ask the registry something harmless; returns what to tell the operator.

    Raises:
        Misconfigured: it does not answer.
    """
    if settings.registry is None:
        return "none set: records are written with Avro single-object encoding"
    try:
        _registry(settings).schema_by_id(1)
    except SchemaNotFoundError:
        pass  # an empty registry answers so: it is there
    except RegistryUnavailableError as exc:
        raise Misconfigured(f"{exc}; is RECOURSE_REGISTRY right?") from exc
    return f"answers at {settings.registry}"


def _registry(settings: Settings) -> ConfluentRegistry:
    try:
        return ConfluentRegistry(settings.registry_config())
    except RegistryUnavailableError as exc:
        raise Misconfigured(str(exc)) from exc
    except (OSError, ValueError) as exc:  # of the certificates
        raise Misconfigured(f"the registry's client cannot be made ({exc}): see RECOURSE_REGISTRY_*") from exc
