"""Dossiers to bytes and back: one format byte, then msgpack.

The format byte goes up only when old bytes could be misread; a new field with a default does not need it. A reader
keeps a decoder for every format that may still be stored, and always writes the newest.
"""

from collections.abc import Callable

import msgspec

from processors.dossier import Dossier
from processors.errors import DossierUnreadableError

FORMAT = 1

_PREFIX = bytes([FORMAT])
_encoder = msgspec.msgpack.Encoder()
_decoder_1 = msgspec.msgpack.Decoder(Dossier)

_DECODERS: dict[int, Callable[[memoryview], Dossier]] = {1: _decoder_1.decode}


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
