"""Closed lists of the reasons that a remedy's reports carry."""

from enum import StrEnum


class RemedyRefusal(StrEnum):
    """Why a command changed nothing (kind ``refused``)."""

    UNKNOWN_REMEDY = "unknown_remedy"
    """It was never proposed here, or its proposal was refused."""
    PROPOSED_ALREADY = "proposed_already"
    """The same content under the same id."""
    PROPOSED_DIFFERENTLY = "proposed_differently"
    """Another content under the same id: nobody can say which of the two was approved, so the remedy is stopped."""
    EMPTY_RANGE = "empty_range"
    FROM_AFTER_UNTIL = "from_after_until"
    OTHER_PARTITION = "other_partition"
    """A copy for another partition, or for another number of partitions."""
    OWN_PROPOSAL = "own_proposal"
    APPROVED_ALREADY = "approved_already"
    """By the same person."""
    APPROVED_ENOUGH = "approved_enough"
    """By more people than anybody needs to know."""
    OVERTAKEN = "overtaken"
    """A pause or a resumption that happened later is known already."""
    ALREADY_STOPPED = "already_stopped"
    ALREADY_DONE = "already_done"


class Spared(StrEnum):
    """Why an enforcement that the index names is not reversed."""

    NOT_ON_FILE = "not_on_file"
    NOT_IN_COHORT = "not_in_cohort"
    """Another time, another rule, or by now another detector or version."""
    FILED_AWAY = "filed_away"
    """Past appeal, and kept only in its short form."""
    ALREADY_REVERSED = "already_reversed"
    NOTHING_LEFT = "nothing_left"
    """Lifted or ended, and neither a strike nor money counts any more."""
