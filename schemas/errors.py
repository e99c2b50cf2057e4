"""What can go wrong with a record, on one page: one tree of errors and a closed list of reasons.

The texts name field, bound and value. The value is a number, a length or a symbol, never a text: error texts
travel in headers and logs, where no personal data belongs.
"""

from enum import StrEnum


class DecodeReason(StrEnum):
    """Why a record was not accepted; the label of metrics and of dead-letter headers."""

    UNDECODABLE = "undecodable"
    """The bytes are not what their writer schema says."""
    UNKNOWN_SCHEMA = "unknown_schema"
    """Nobody knows the schema that the bytes name, or no reader of ours can resolve it."""
    RECORD_TYPE_NOT_ALLOWED = "record_type_not_allowed"
    """A good schema, but of a record that does not belong on this topic."""
    BOUND_EXCEEDED = "bound_exceeded"
    """More bytes, items, characters or digits than the contract allows."""
    UNKNOWN_SYMBOL = "unknown_symbol"
    """A symbol newer than this program, where a decision would rest on it: replay after an upgrade."""
    IMPLAUSIBLE_TIME = "implausible_time"
    """A time outside of this century: most often seconds or microseconds sent as milliseconds."""
    INVALID_RECORD = "invalid_record"
    """Well-formed, but a field breaks a rule of its type."""


class RecordError(Exception):
    """Root of the tree: a record, a schema or the registry is not as it must be."""


class DecodeError(RecordError):
    """These bytes are no record for us, today and on every retry: material for the dead-letter queue."""

    def __init__(self, reason: DecodeReason, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text


class EncodeError(RecordError):
    """A record that its own readers would have to refuse: the fault is the writer's, so nothing is written."""


class JsonError(RecordError):
    """A JSON text that is not the record it claims to be."""


class SchemaError(RecordError):
    """A schema file or a registered schema that breaks the contract's rules."""


class SchemaNotFoundError(RecordError):
    """The registry answers that it does not know this id, or this schema under this subject."""


class RegistryUnavailableError(RecordError):
    """The registry gives no answer. Says nothing about the record: try again, never dead-letter."""


class NotGenuineError(RecordError):
    """It is no sealed text, or not the one of this user and record: altered, or put in another's place."""


class NoWrappingKeyError(RecordError):
    """A wrapping key that no key-encryption key at hand has wrapped: what it wraps cannot be read here."""

    def __init__(self, wrapping_id: str, kek_id: str, held: list[str]) -> None:
        """`kek_id` is the one that is needed, `held` those at hand, by name."""
        self.wrapping_id = wrapping_id
        self.kek_id = kek_id
        self.held = held
        about = f"the wrapping key {wrapping_id} is wrapped by the key-encryption key {kek_id}, "
        super().__init__(about + ("which is another one under this name here" if self.other else "which is not here"))

    @property
    def other(self) -> bool:
        """Whether there is one of that name at hand, which is another key."""
        return self.kek_id in self.held


class KeyEncryptionKeysError(RecordError):
    """Key-encryption keys that are not written as they must be; `faults` has a line each, and nothing of a key."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class NoCipherError(RecordError):
    """The library that seals and opens is not installed."""
