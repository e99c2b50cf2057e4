"""How the embedded servers tell what they are waiting for."""

import sys
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One thing worth telling.

    Attributes:
        text: What is being done.
        done_bytes: How much of it is done; 0 where it cannot be counted.
        total_bytes: How much there is; 0 where it cannot be counted.
    """

    text: str
    done_bytes: int = 0
    total_bytes: int = 0


Progress = Callable[[Step], None]


def to_stderr(step: Step) -> None:
    """Tell a step as a plain line on stderr."""
    counted = f" ({step.done_bytes / 1e6:.0f} of {step.total_bytes / 1e6:.0f} MB)" if step.total_bytes else ""
    sys.stderr.write(f"{step.text}{counted}\n")
    sys.stderr.flush()


def silent(step: Step) -> None:
    """Tell nothing."""
    del step
