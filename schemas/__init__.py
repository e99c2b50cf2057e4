"""What a record is: schemas, typed records, and the codec between them and bytes.

>>> codec = Codec()
>>> data = codec.encode(appeal)
>>> codec.decode(data, frozenset({AppealSubmitted}))
"""

from schemas.catalog import ALL_RECORDS, RECORD_TYPES
from schemas.codec import Codec
from schemas.errors import (
    DecodeError,
    DecodeReason,
    EncodeError,
    JsonError,
    RecordError,
    RegistryUnavailableError,
    SchemaError,
    SchemaNotFoundError,
)
from schemas.json_form import from_json, to_json
from schemas.records import INPUT_RECORDS, OUTPUT_RECORDS, Record
from schemas.registry import ConfluentRegistry, SchemaRegistry
from schemas.rules import CRITICAL_SYMBOLS, MAX_RECORD_BYTES

__all__ = [
    "ALL_RECORDS",
    "CRITICAL_SYMBOLS",
    "INPUT_RECORDS",
    "MAX_RECORD_BYTES",
    "OUTPUT_RECORDS",
    "RECORD_TYPES",
    "Codec",
    "ConfluentRegistry",
    "DecodeError",
    "DecodeReason",
    "EncodeError",
    "JsonError",
    "Record",
    "RecordError",
    "RegistryUnavailableError",
    "SchemaError",
    "SchemaNotFoundError",
    "SchemaRegistry",
    "from_json",
    "to_json",
]
