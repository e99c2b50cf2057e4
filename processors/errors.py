"""What the decision logic raises: only defects and inputs that no decision can rest on, never a refusal."""


class ProcessorError(Exception):
    """Base of all. The engine restores the dossier, drops the emissions and makes the record a dead letter."""


class UnknownRecordError(ProcessorError):
    """No handler is registered for this type of event: the caller let in what the topics do not allow."""


class UnknownSymbolError(ProcessorError):
    """A decision would rest on a symbol that this version does not know; replay the record after an upgrade."""


class ImpossibleInputError(ProcessorError):
    """The record contradicts itself, e.g. money taken with a negative amount."""


class ImpossibleMoveError(ProcessorError):
    """The logic asked for a move that the table of states does not have: a defect."""


class DossierUnreadableError(ProcessorError):
    """Stored bytes are not a dossier of a format that this version reads."""
