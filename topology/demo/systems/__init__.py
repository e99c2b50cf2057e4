"""The enforcing side of the demo: the systems outside of the engine, what they really do, and a check that it is right.

It shares the records of the contract with the engine and nothing else, so it is a second opinion on what must hold:
`state` does what it is told, `truth` knows without being told what should have come of it.
"""

from topology.demo.systems.actor import RESOLUTIONS, EnforcementSystems
from topology.demo.systems.manners import Deed, Manner, Manners, Shares
from topology.demo.systems.state import SystemsState
from topology.demo.systems.truth import Verdict, truth, verdict_of, verdicts_of, woven
from topology.demo.systems.user import Answer
from topology.demo.systems.view import View

__all__ = [
    "RESOLUTIONS",
    "Answer",
    "Deed",
    "EnforcementSystems",
    "Manner",
    "Manners",
    "Shares",
    "SystemsState",
    "Verdict",
    "View",
    "truth",
    "verdict_of",
    "verdicts_of",
    "woven",
]
