"""Dossiers to bytes and back: one format byte, then msgpack.

The format byte goes up only when old bytes could be misread; a new field with a default does not need it. A reader
keeps a decoder for every format that may still be stored, and always writes the newest.
"""

from collections.abc import Callable

import msgspec

from processors.dossier import Dossier
from processors.errors import DossierUnreadableError
from processors.remedy_state import Remedy
from schemas.vocabulary import DirectiveState

FORMAT = 2

_PREFIX = bytes([FORMAT])
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Dossier)

_REVERSALS, _ORDERS, _DONE, _FAILED = "r", "d", 6, 7


def _decode_1(data: memoryview) -> Dossier:
    """Format 1 kept two booleans where a directive now has its state."""
    plain = msgspec.msgpack.decode(data)
    for reversal in plain.get(_REVERSALS, {}).values():
        for order in reversal[_ORDERS]:
            done, failed = order[_DONE], order[_FAILED]
            state = (
                DirectiveState.APPLIED if done else DirectiveState.FAILED_PERMANENT if failed else DirectiveState.SENT
            )
            order[_DONE : _FAILED + 1] = [state.value]
    return _decoder.decode(_encoder.encode(plain)) if _REVERSALS in plain else _decoder.decode(data)


_DECODERS: dict[int, Callable[[memoryview], Dossier]] = {1: _decode_1, 2: _decoder.decode}


def encode_dossier(dossier: Dossier) -> bytes:
    """The bytes to store. Equal dossiers with equal histories give equal bytes."""
    return _PREFIX + _encoder.encode(dossier)


def decode_dossier(data: bytes) -> Dossier:
    """The dossier that was stored; `DossierUnreadableError` if the format or the content is not known."""
    decode = _DECODERS.get(data[0]) if data else None
    if decode is None:
        raise DossierUnreadableError(f"dossier format {data[:1].hex() or 'missing'}; this version reads {[*_DECODERS]}")
    try:
        return decode(memoryview(data)[1:])
    except msgspec.MsgspecError as error:
        raise DossierUnreadableError(f"dossier of format {data[0]}: {error}") from error


REMEDY_FORMAT = b"\x81"
"""What stored remedies, which lie beside the dossiers, begin with; no dossier has a format from 0x80 on."""

_remedy_decoder = msgspec.msgpack.Decoder(Remedy)


def encode_remedy(remedy: Remedy) -> bytes:
    """The bytes to store."""
    return REMEDY_FORMAT + _encoder.encode(remedy)


def decode_remedy(data: bytes) -> Remedy:
    """The remedy that was stored; `DossierUnreadableError` if the format or the content is not known."""
    if data[:1] != REMEDY_FORMAT:
        raise DossierUnreadableError(f"remedy of format {data[:1].hex() or 'missing'}; this version reads 81")
    try:
        return _remedy_decoder.decode(memoryview(data)[1:])
    except msgspec.MsgspecError as error:
        raise DossierUnreadableError(f"remedy: {error}") from error
