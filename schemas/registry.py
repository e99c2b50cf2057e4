"""The schema registry as this contract needs it: two questions, and an adapter that asks a real one.

What a release does to its subjects is `ConfluentRegistry`'s alone: records need no more than the two.

Schemas are registered when a release is rolled out, never by a worker that happens to be first: a program that
can register can also put a mistake on the contract. `ConfluentRegistry` therefore only looks up, unless it is
told otherwise for development.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Final, Protocol, TypeVar

from schemas.errors import RegistryUnavailableError, SchemaError, SchemaNotFoundError

NOT_FOUND: Final = frozenset({40401, 40402, 40403})
"""The registry's own codes for a subject, version or schema that it does not have. A bare 404 is not among them:
it comes from a wrong address just as well, and good records would be dead-lettered for it."""
_NO_LEVEL: Final = 40408
"""A subject without a compatibility level of its own."""
_INCOMPATIBLE: Final = frozenset({409, 40901})
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """One version of a subject."""

    number: int
    schema_id: int
    schema: str
    """JSON text."""


class SchemaRegistry(Protocol):
    """Port. Answers may come over a network, so callers keep them: an id never changes its schema.

    Both may raise `SchemaNotFoundError` (the registry says so) and `RegistryUnavailableError` (it says nothing).
    """

    def schema_by_id(self, schema_id: int) -> str:
        """The JSON text of the schema with this id, self-contained."""
        ...

    def id_for(self, subject: str, schema: str) -> int:
        """The id of this schema under this subject."""
        ...


def subject(topic: str, record_name: str) -> str:
    """TopicRecordNameStrategy: each topic may carry several records, each with a history of its own."""
    return f"{topic}-{record_name}"


class ConfluentRegistry:
    """The port on ``confluent_kafka.schema_registry``, which comes with the extra ``registry``.

    Args:
        configuration: As for `SchemaRegistryClient`: ``url``, credentials, time-outs.
        auto_register: Register what is looked up and not found. For development only.
    """

    def __init__(self, configuration: Mapping[str, Any], *, auto_register: bool = False) -> None:
        # Imported by name and late: without the extra this module must still be importable.
        try:
            self._module: Any = import_module("confluent_kafka.schema_registry")
        except ImportError as error:
            raise RegistryUnavailableError(
                "the registry client is not installed: pip install 'recourse[registry]'"
            ) from error
        self._client: Any = self._module.SchemaRegistryClient(dict(configuration))
        self._auto_register = auto_register

    def close(self) -> None:
        """Give its connections back."""
        self._client.close()

    def schema_by_id(self, schema_id: int) -> str:
        """See `SchemaRegistry`."""
        return self._ask(f"schema id {schema_id}", lambda: str(self._client.get_schema(schema_id).schema_str))

    def id_for(self, subject: str, schema: str) -> int:
        """See `SchemaRegistry`. Compared in normal form, so that white space makes no new schema."""
        wanted = self._module.Schema(schema, schema_type="AVRO")
        if self._auto_register:
            return self._ask(
                subject, lambda: int(self._client.register_schema(subject, wanted, normalize_schemas=True))
            )
        return self._ask(
            subject, lambda: int(self._client.lookup_schema(subject, wanted, normalize_schemas=True).schema_id)
        )

    def versions(self, subject: str) -> list[RegisteredVersion]:
        """All versions of a subject, oldest first; none for a subject that is not there.

        Raises:
            RegistryUnavailableError: It says nothing.
        """
        try:
            numbers: list[int] = self._ask(subject, lambda: list(self._client.get_versions(subject)))
        except SchemaNotFoundError:
            return []
        return [self._ask(subject, partial(self._version, subject, number)) for number in sorted(numbers)]

    def _version(self, subject: str, number: int) -> RegisteredVersion:
        found = self._client.get_version(subject, number)
        return RegisteredVersion(number, int(found.schema_id), str(found.schema.schema_str))

    def level(self, subject: str) -> str | None:
        """The subject's own compatibility level, None if the registry's own default counts.

        Raises:
            RegistryUnavailableError: It says nothing.
        """
        try:
            return self._ask(subject, lambda: str(self._client.get_compatibility(subject)))
        except SchemaNotFoundError:
            return None

    def set_level(self, subject: str, level: str) -> None:
        """Give the subject a compatibility level of its own.

        Raises:
            RegistryUnavailableError: It says nothing, or does not allow it.
        """
        self._ask(subject, lambda: self._client.set_compatibility(subject, level))

    def register(self, subject: str, schema: str) -> int:
        """Make this schema the subject's newest version, unless it is one already.

        Returns:
            Its id.

        Raises:
            SchemaError: The registry finds it incompatible with what is registered.
            RegistryUnavailableError: It says nothing, or does not allow it.
        """
        wanted = self._module.Schema(schema, schema_type="AVRO")
        return self._ask(subject, lambda: int(self._client.register_schema(subject, wanted, normalize_schemas=True)))

    def _ask(self, what: str, question: Callable[[], T]) -> T:
        """Ask, and tell "does not exist" from "no answer", which mean a bad record and a bad moment."""
        try:
            return question()
        except self._module.SchemaRegistryError as error:
            if error.error_code in _INCOMPATIBLE:
                raise SchemaError(f"{what}: the registry refuses it as incompatible: {error.error_message}") from error
            if error.error_code in NOT_FOUND or error.error_code == _NO_LEVEL:
                raise SchemaNotFoundError(f"{what}: not in the registry") from error
            raise RegistryUnavailableError(f"{what}: {error}") from error
        except Exception as error:  # the client lets every kind of network error through
            raise RegistryUnavailableError(f"{what}: {error}") from error
