"""Another key-encryption key: the wrapping keys are wrapped anew. No user's key is touched, so none can come back."""

from __future__ import annotations

from collections.abc import Mapping

from schemas import wrapped
from schemas.records import Millis, WrappingKey
from topology.engine.errors import Misconfigured
from topology.privacy.errors import as_ours
from topology.privacy.ports import Log
from topology.privacy.subject_keys import now_ms


def rotate(log: Log, keks: Mapping[str, bytes], *, renew: bool = False) -> tuple[int, int]:
    """Wrap with the first of the key-encryption keys what is not; given again, it does what is left.

    Args:
        log: the topics of keys.
        keks: the new one first, then the old.
        renew: also make a wrapping key that wraps users' keys from then on.

    Returns:
        How many were wrapped anew, and how many wrapping keys there are.

    Raises:
        Misconfigured: none is set, or one that is needed to unwrap is not there; then nothing was written.
    """
    if not keks:
        raise Misconfigured("no key-encryption key is set: see RECOURSE_KEK")
    kek_id, kek = next(iter(keks.items()))
    records = log.wrapping_keys()
    made: list[WrappingKey] = []
    with as_ours():
        anew = [
            wrapped.wrap_wrapping(wrapped.unwrap_wrapping(record, keks), kek_id, kek, record.created_at)
            for record in records
            if record.kek_id != kek_id
        ]
        if renew or not records:
            newest = max((record.created_at for record in records), default=0)
            at = Millis(max(now_ms(), newest + 1))
            made = [wrapped.wrap_wrapping(wrapped.new_key(), kek_id, kek, at)]
    if anew or made:
        log.write_wrapping([*anew, *made])
    return len(anew), len(records) + len(made)
