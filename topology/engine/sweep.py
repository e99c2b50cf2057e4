"""How a state under a prefix finds users: pages of the index, read in step 2, exact when its timer fires in step 3.

A page read from the store is as old as the store: the batch in flight may be in it or not, the running one is not.
Both say in absolute terms what they put in and took out, so their changes over the page give what the index is at
that moment of the fold, whatever the store had seen. So by the stream clock the same records find the same terms
whatever the batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from topology.engine.definition import FoldApp, Scan
from topology.engine.state import DUE_BYTES, Entry


class NotRead(Exception):  # noqa: N818 - no error: a turn that comes later
    """A timer is due whose page this batch has not read, or not far enough: its turn is the next batch."""


class Page:
    """What is known of the index for one scan: all terms of the range from its start to some point."""

    __slots__ = ("_scan", "_terms", "_until", "terms")

    def __init__(self, scan: Scan, read: list[bytes], asked: int, flying: Mapping[bytes, bool]) -> None:
        """`read` are the first `asked` terms of the range in the store, `flying` the changes of the batch in flight."""
        self._scan = scan
        self._until = read[-1] if len(read) >= asked else None
        """The last term of what is known; None: the whole range is."""
        self._terms = self._changed(set(read), flying)
        self.terms = sorted(self._terms)
        """What is in the index, the running batch apart."""

    def at(self, scan: Scan, changes: Mapping[bytes, bool]) -> tuple[bytes, ...]:
        """What the scan finds after the running batch's changes.

        Raises:
            NotRead: it is another scan, or so much was taken out that the page is not full and not at the end.
        """
        if scan != self._scan:
            raise NotRead
        terms = sorted(self._changed(self._terms, changes)) if changes else self.terms
        if len(terms) < scan.limit and self._until is not None:
            raise NotRead
        return tuple(terms[: scan.limit])

    def _changed(self, terms: set[bytes], changes: Mapping[bytes, bool]) -> set[bytes]:
        low, high, until = self._scan.low, self._scan.high, self._until
        here = {t: present for t, present in changes.items() if low < t < high and (until is None or t <= until)}
        gone = {term for term, present in here.items() if not present}
        return (terms | here.keys()) - gone


def to_ask(scan: Scan, flying: Mapping[bytes, bool]) -> int:
    """How many terms to read, so that the page is full even if the batch in flight takes out some of them."""
    return scan.limit + sum(not present and scan.low < term < scan.high for term, present in flying.items())


def state_of(app: FoldApp[Any], entry: Entry) -> Any:  # noqa: ANN401 - the application's own type
    """The entry's state, decoded or made when it is first asked for."""
    if entry.state is None:
        entry.state = load(app, entry)
    return entry.state


def load(app: FoldApp[Any], entry: Entry) -> Any:  # noqa: ANN401 - the application's own type
    """The state as it was at the start of the batch."""
    raw = entry.raw
    return app.new_state(entry.name) if raw is None else app.decode_state(raw[DUE_BYTES:])


class Owners(Mapping[str, Any]):
    """The states of found owners by key, each decoded when it is first looked at; None for one that is not there."""

    def __init__(self, entries: Iterable[Entry], state: Callable[[Entry], Any]) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._state = state

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - the application's own type
        entry = self._entries[key]
        return self._state(entry) if entry.exists else None

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def find(
    app: FoldApp[Any], entry: Entry, page: Page | None, changes: Mapping[bytes, bool], overlay: Mapping[bytes, Entry]
) -> tuple[tuple[bytes, ...], Owners] | None:
    """What a due state's scan finds at this moment of the fold, and the owners; None if it does not scan.

    Raises:
        NotRead: this batch does not know.
    """
    scan = app.scan(state_of(app, entry)) if app.scan is not None else None
    if scan is None or app.owner is None:
        return None
    if page is None:
        raise NotRead
    found = page.at(scan, changes)
    owners: list[Entry] = []
    for term in found:
        owner = overlay.get(app.owner(term))
        if owner is not None:
            owners.append(owner)
        elif term in page.terms:
            raise AssertionError(f"the term {term!r} is about {app.owner(term)!r}, which is no key of a state")
        else:
            raise NotRead  # put in by this batch, whose events were all about others
    return found, Owners(owners, lambda one: state_of(app, one))
