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
    return Codec() if settings.registry is None else Codec(_registry(settings.registry))


def probe_registry(settings: Settings) -> str:
    """Ask the registry something harmless; returns what to tell the operator.

    Raises:
        Misconfigured: it does not answer.
    """
    if settings.registry is None:
        return "none set: records are written with Avro single-object encoding"
    try:
        _registry(settings.registry).schema_by_id(1)
    except SchemaNotFoundError:
        pass  # an empty registry answers so: it is there
    except RegistryUnavailableError as exc:
        raise Misconfigured(f"{exc}; is RECOURSE_REGISTRY right?") from exc
    return f"answers at {settings.registry}"


def _registry(url: str) -> ConfluentRegistry:
    try:
        return ConfluentRegistry({"url": url})
    except RegistryUnavailableError as exc:
        raise Misconfigured(str(exc)) from exc
