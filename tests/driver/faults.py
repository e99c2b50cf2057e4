"""Errors to order: the next call of a name fails, before it takes effect or after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException

from topology.engine.errors import StoreDown


@dataclass
class _Fault:
    make: Callable[[], BaseException | None]
    times: int
    lost_answer: bool
    by: str | None


class Faults:
    """Calls are named as in `topology.engine.ports`; those of the store begin with `store.`."""

    def __init__(self) -> None:
        self._orders: dict[str, list[_Fault]] = {}

    def fail(
        self,
        call: str,
        make: Callable[[], BaseException | None],
        *,
        times: int = 1,
        lost_answer: bool = False,
        by: str | None = None,
    ) -> None:
        """The next `times` calls raise what `make` gives (None: nothing, `make` only watches).

        With `lost_answer` the call takes effect and its answer is lost. `by` limits it to one transactional id or
        member name.
        """
        self._orders.setdefault(call, []).append(_Fault(make, times, lost_answer, by))

    @contextmanager
    def around(self, call: str, by: str = "") -> Iterator[None]:
        """Wrap one call."""
        fault = self._take(call, by)
        if fault is not None and not fault.lost_answer:
            _raise(fault)
        yield
        if fault is not None and fault.lost_answer:
            _raise(fault)

    def _take(self, call: str, by: str) -> _Fault | None:
        orders = self._orders.get(call, [])
        for fault in orders:
            if fault.by is None or fault.by == by:
                fault.times -= 1
                if fault.times == 0:
                    orders.remove(fault)
                return fault
        return None


def _raise(fault: _Fault) -> None:
    error = fault.make()
    if error is not None:
        raise error


def kafka(
    code: int, text: str = "", *, fatal: bool = False, retriable: bool = False, abort: bool = False
) -> KafkaException:
    """A client's error with its three classes."""
    return KafkaException(KafkaError(code, text or "injected", fatal, retriable, abort))


def timed_out() -> KafkaException:
    """A call that gives no answer in time; calling it again is allowed."""
    return kafka(KafkaError._TIMED_OUT, "no answer in time", retriable=True)


def abortable() -> KafkaException:
    """The transaction must be aborted, the producer lives on."""
    return kafka(KafkaError.COORDINATOR_NOT_AVAILABLE, "the transaction cannot go on", abort=True)


def refused() -> KafkaException:
    """Neither retriable nor abortable nor fatal."""
    return kafka(KafkaError._STATE, "refused")


def fenced() -> KafkaException:
    """A newer producer has the transactional id."""
    return kafka(KafkaError._FENCED, "fenced by a newer instance", fatal=True)


def overtaken() -> KafkaException:
    """A broker knows a newer epoch of the producer, and the client thinks that an abort helps."""
    return kafka(KafkaError.INVALID_PRODUCER_EPOCH, "attempted with an old epoch", abort=True)


def not_allowed() -> KafkaException:
    """A right to write to a topic is missing."""
    return kafka(KafkaError.TOPIC_AUTHORIZATION_FAILED, "topic authorization failed", abort=True)


def fenced_in_callback() -> SystemError:
    """What a fenced producer's `flush` can raise when a delivery callback ran under the error."""
    error = SystemError("returned a result with an exception set")
    error.__cause__ = fenced()
    return error


def store_down() -> StoreDown:
    """Redis does not answer."""
    return StoreDown("injected")
