"""What can go wrong between a reviewer tool and the engine, on one page."""


class DeskError(Exception):
    """Root of the tree. The text says what, where and what to do."""


class Misconfigured(DeskError):  # noqa: N818 - named for what happened
    """Something outside must be changed before this can work."""


class NotWritten(DeskError):  # noqa: N818
    """Kafka did not take the event: nothing has happened, and nothing will. Do it again."""


class NoAnswer(DeskError):  # noqa: N818
    """The event is written, and the engine has not answered in time.

    It counts as soon as the engine reads it. The same event written again is safe: its id is derived from its content.
    """
