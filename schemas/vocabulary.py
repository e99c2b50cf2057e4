"""Closed lists of the field: one enumeration each, with ``UNKNOWN`` first so that a reader survives a new symbol.

A symbol that this version does not know is read as ``UNKNOWN`` (Avro enum default). Where a decision would rest
on it, the record goes to the dead-letter queue and can be replayed after an upgrade; elsewhere it is carried on.
Codes with the prefixes ``STATEMENT_CATEGORY_``, ``DECISION_GROUND_``, ``AUTOMATED_DECISION_`` and ``SOURCE_`` are
those of the DSA Transparency Database.
"""

from enum import StrEnum


class Action(StrEnum):
    """What was done, mildest to hardest."""

    UNKNOWN = "UNKNOWN"
    WARNING = "warning"
    REDUCED_DISCOVERABILITY = "reduced_discoverability"
    CONTENT_LABEL = "content_label"
    CONTENT_REMOVAL = "content_removal"
    LIVESTREAM_ENDED = "livestream_ended"
    FEATURE_RESTRICTION = "feature_restriction"
    COMMISSION_INCREASE = "commission_increase"
    FEE = "fee"
    PAYOUT_HOLD = "payout_hold"
    PAYOUT_LOSS = "payout_loss"
    SUSPENSION = "suspension"
    INTERIM_SUSPENSION = "interim_suspension"
    SELLING_REVOKED = "selling_revoked"
    BAN = "ban"


class TargetKind(StrEnum):
    """What an enforcement can hit."""

    UNKNOWN = "UNKNOWN"
    ACCOUNT = "account"
    LISTING = "listing"
    LIVESTREAM = "livestream"
    MESSAGE = "message"
    PAYOUT = "payout"
    REVIEW = "review"


class Ground(StrEnum):
    """Legal or contractual ground (DSA Art. 17(3)(d), (e))."""

    UNKNOWN = "UNKNOWN"
    DECISION_GROUND_ILLEGAL_CONTENT = "DECISION_GROUND_ILLEGAL_CONTENT"
    DECISION_GROUND_INCOMPATIBLE_CONTENT = "DECISION_GROUND_INCOMPATIBLE_CONTENT"


class Category(StrEnum):
    """DSA Transparency Database category of the statement of reasons."""

    UNKNOWN = "UNKNOWN"
    STATEMENT_CATEGORY_ANIMAL_WELFARE = "STATEMENT_CATEGORY_ANIMAL_WELFARE"
    STATEMENT_CATEGORY_CONSUMER_INFORMATION = "STATEMENT_CATEGORY_CONSUMER_INFORMATION"
    STATEMENT_CATEGORY_CYBER_VIOLENCE = "STATEMENT_CATEGORY_CYBER_VIOLENCE"
    STATEMENT_CATEGORY_CYBER_VIOLENCE_AGAINST_WOMEN = "STATEMENT_CATEGORY_CYBER_VIOLENCE_AGAINST_WOMEN"
    STATEMENT_CATEGORY_DATA_PROTECTION_AND_PRIVACY_VIOLATIONS = (
        "STATEMENT_CATEGORY_DATA_PROTECTION_AND_PRIVACY_VIOLATIONS"
    )
    STATEMENT_CATEGORY_ILLEGAL_OR_HARMFUL_SPEECH = "STATEMENT_CATEGORY_ILLEGAL_OR_HARMFUL_SPEECH"
    STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS = "STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS"
    STATEMENT_CATEGORY_NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS = (
        "STATEMENT_CATEGORY_NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS"
    )
    STATEMENT_CATEGORY_NON_CONSENSUAL_BEHAVIOUR = "STATEMENT_CATEGORY_NON_CONSENSUAL_BEHAVIOUR"
    STATEMENT_CATEGORY_NOT_SPECIFIED_NOTICE = "STATEMENT_CATEGORY_NOT_SPECIFIED_NOTICE"
    STATEMENT_CATEGORY_OTHER_VIOLATION_TC = "STATEMENT_CATEGORY_OTHER_VIOLATION_TC"
    STATEMENT_CATEGORY_PORNOGRAPHY_OR_SEXUALIZED_CONTENT = "STATEMENT_CATEGORY_PORNOGRAPHY_OR_SEXUALIZED_CONTENT"
    STATEMENT_CATEGORY_PROTECTION_OF_MINORS = "STATEMENT_CATEGORY_PROTECTION_OF_MINORS"
    STATEMENT_CATEGORY_RISK_FOR_PUBLIC_SECURITY = "STATEMENT_CATEGORY_RISK_FOR_PUBLIC_SECURITY"
    STATEMENT_CATEGORY_SCAMS_AND_FRAUD = "STATEMENT_CATEGORY_SCAMS_AND_FRAUD"
    STATEMENT_CATEGORY_SCOPE_OF_PLATFORM_SERVICE = "STATEMENT_CATEGORY_SCOPE_OF_PLATFORM_SERVICE"
    STATEMENT_CATEGORY_SELF_HARM = "STATEMENT_CATEGORY_SELF_HARM"
    STATEMENT_CATEGORY_UNSAFE_AND_ILLEGAL_PRODUCTS = "STATEMENT_CATEGORY_UNSAFE_AND_ILLEGAL_PRODUCTS"
    STATEMENT_CATEGORY_UNSAFE_AND_PROHIBITED_PRODUCTS = "STATEMENT_CATEGORY_UNSAFE_AND_PROHIBITED_PRODUCTS"
    STATEMENT_CATEGORY_VIOLENCE = "STATEMENT_CATEGORY_VIOLENCE"


class Source(StrEnum):
    """What set the enforcement off (DSA Art. 17(3)(b))."""

    UNKNOWN = "UNKNOWN"
    SOURCE_ARTICLE_16 = "SOURCE_ARTICLE_16"
    SOURCE_TRUSTED_FLAGGER = "SOURCE_TRUSTED_FLAGGER"
    SOURCE_TYPE_OTHER_NOTIFICATION = "SOURCE_TYPE_OTHER_NOTIFICATION"
    SOURCE_VOLUNTARY = "SOURCE_VOLUNTARY"


class Automation(StrEnum):
    """How far the decision was automated (DSA Art. 17(3)(c))."""

    UNKNOWN = "UNKNOWN"
    AUTOMATED_DECISION_FULLY = "AUTOMATED_DECISION_FULLY"
    AUTOMATED_DECISION_PARTIALLY = "AUTOMATED_DECISION_PARTIALLY"
    AUTOMATED_DECISION_NOT_AUTOMATED = "AUTOMATED_DECISION_NOT_AUTOMATED"


class EffectKind(StrEnum):
    """What was really done in a system; `processors/reversal.py` maps each to the operation that undoes it."""

    UNKNOWN = "UNKNOWN"
    ACCOUNT_STATUS = "account_status"
    SELLING_STATUS = "selling_status"
    FEATURE_STATUS = "feature_status"
    VISIBILITY = "visibility"
    CONTENT_STATUS = "content_status"
    LIVESTREAM_STATUS = "livestream_status"
    PAYOUT_STATUS = "payout_status"
    MONEY_TAKEN = "money_taken"
    COMMISSION_RATE = "commission_rate"
    STRIKES = "strikes"
    LABEL = "label"


class Operation(StrEnum):
    """What a directive asks of a system."""

    UNKNOWN = "UNKNOWN"
    RESTORE = "restore"
    """Make the target's state what the surviving enforcements alone make it."""
    RELEASE = "release"
    """Release held money."""
    REPAY = "repay"
    """Pay back money that was taken."""
    EXPUNGE = "expunge"
    """Take strikes off the record."""


class EvidenceKind(StrEnum):
    """Kinds of evidence that a standard can ask for."""

    UNKNOWN = "UNKNOWN"
    SCREENSHOT = "screenshot"
    VIDEO = "video"
    TRANSCRIPT = "transcript"
    TRANSACTION_RECORD = "transaction_record"
    IDENTITY_DOCUMENT = "identity_document"
    LICENCE = "licence"
    NOTICE = "notice"
    COUNTER_NOTICE = "counter_notice"
    COURT_ORDER = "court_order"
    MODEL_SIGNAL = "model_signal"
    OTHER = "other"


class EvidenceSupplier(StrEnum):
    """Who put a piece of evidence on a case, or is asked for it."""

    UNKNOWN = "UNKNOWN"
    ENFORCEMENT = "enforcement"
    APPELLANT = "appellant"
    SPECIALIST = "specialist"


class ReferralReason(StrEnum):
    """Why a case goes to another pod."""

    UNKNOWN = "UNKNOWN"
    LEGAL = "legal"
    EXPERTISE = "expertise"
    LANGUAGE = "language"
    CONFLICT_OF_INTEREST = "conflict_of_interest"
    WORKLOAD = "workload"
    OTHER = "other"


class HoldReason(StrEnum):
    """Why a case must wait for something outside."""

    UNKNOWN = "UNKNOWN"
    LEGAL_PROCEEDINGS = "legal_proceedings"
    INVESTIGATION = "investigation"
    THIRD_PARTY = "third_party"
    TECHNICAL = "technical"
    OTHER = "other"


class DismissalReason(StrEnum):
    """Why an appeal is dismissed without judging the enforcement."""

    UNKNOWN = "UNKNOWN"
    MANIFESTLY_UNFOUNDED = "manifestly_unfounded"
    ABUSIVE = "abusive"
    UNINTELLIGIBLE = "unintelligible"
    OUT_OF_SCOPE = "out_of_scope"


class SellerTier(StrEnum):
    """The marketplace's own grading of sellers."""

    UNKNOWN = "UNKNOWN"
    BUYER = "buyer"
    NEW_SELLER = "new_seller"
    SELLER = "seller"
    TOP_SELLER = "top_seller"


class LiftReason(StrEnum):
    """Why the enforcing side lifted."""

    UNKNOWN = "UNKNOWN"
    ERROR = "error"
    RETRACTED = "retracted"
    EXPIRED = "expired"
    SETTLED = "settled"
    LEGAL = "legal"


class AppealGround(StrEnum):
    """What the appellant says is wrong."""

    UNKNOWN = "UNKNOWN"
    FACTS_WRONG = "facts_wrong"
    RULE_MISAPPLIED = "rule_misapplied"
    DISPROPORTIONATE = "disproportionate"
    AUTHORISED = "authorised"
    NOT_MINE = "not_mine"
    CORRECTED = "corrected"
    OTHER = "other"


class AppealFlag(StrEnum):
    """What intake knows and triage must heed."""

    UNKNOWN = "UNKNOWN"
    LEGAL_ORDER = "legal_order"
    CHILD_SAFETY = "child_safety"
    MINOR = "minor"
    PERSONAL_SAFETY = "personal_safety"
    AGAINST_IMMUNITY = "against_immunity"
    """The engine's own: the enforcement strikes what was struck wrongly before. A sender's is not looked at."""


class Band(StrEnum):
    """Priority bands, highest first; each promises a handling time."""

    UNKNOWN = "UNKNOWN"
    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"


class CaseState(StrEnum):
    """Life of a case."""

    UNKNOWN = "UNKNOWN"
    QUEUED = "queued"
    CLAIMED = "claimed"
    AWAITING_EVIDENCE = "awaiting_evidence"
    ON_HOLD = "on_hold"
    SECOND_REVIEW = "second_review"
    DECIDED = "decided"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How a case ends; exactly one for each case."""

    UNKNOWN = "UNKNOWN"
    UPHELD = "upheld"
    OVERTURNED = "overturned"
    MODIFIED = "modified"
    UPHELD_GROUND_CHANGED = "upheld_ground_changed"
    REMANDED = "remanded"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"
    MOOT = "moot"


class AckStatus(StrEnum):
    """How a system answers a directive."""

    UNKNOWN = "UNKNOWN"
    APPLIED = "applied"
    ALREADY_APPLIED = "already_applied"
    FAILED_RETRYABLE = "failed_retryable"
    FAILED_PERMANENT = "failed_permanent"


class RefusalReason(StrEnum):
    """Why an appeal is not taken on."""

    UNKNOWN = "UNKNOWN"
    NO_ENFORCEMENT_ON_FILE = "no_enforcement_on_file"
    NOT_THE_SUBJECT = "not_the_subject"
    NOT_APPEALABLE = "not_appealable"
    UNTIMELY = "untimely"
    DUPLICATE = "duplicate"
    APPEAL_TO_APPEAL = "appeal_to_appeal"
    INSUFFICIENT_INFORMATION = "insufficient_information"
    ALREADY_REVERSED = "already_reversed"


class NoticeKind(StrEnum):
    """What an appellant is told."""

    UNKNOWN = "UNKNOWN"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    STATEMENT_ADDED = "statement_added"
    ENFORCEMENT_CHANGED = "enforcement_changed"
    DECIDED = "decided"
    REVERSAL_CONFIRMED = "reversal_confirmed"
    EVIDENCE_REQUESTED = "evidence_requested"
    EVIDENCE_RECEIVED = "evidence_received"
    DELAYED = "delayed"
    """The regulatory due time has passed without a decision."""
    REVERSED = "reversed"
    """An enforcement is being undone that the user had not appealed against, or not successfully."""
    REEXAMINED = "reexamined"
    """An enforcement is looked at again without an appeal, as what it rests on was overturned or sent back."""


class Redress(StrEnum):
    """What the user can still do (DSA Art. 17(3)(f), 20, 21)."""

    UNKNOWN = "UNKNOWN"
    APPEAL_AGAIN = "appeal_again"
    """Send the appeal again, corrected or complete."""
    OPEN_CASE = "open_case"
    """A case is open already; this text was added to it."""
    OUT_OF_COURT_SETTLEMENT = "out_of_court_settlement"
    COURT = "court"


class CaseEventKind(StrEnum):
    """Kinds of lines in the audit."""

    UNKNOWN = "UNKNOWN"
    APPEAL_PARKED = "AppealParked"
    APPEAL_REFUSED = "AppealRefused"
    APPEAL_WITHDRAWN_UNOPENED = "AppealWithdrawnUnopened"
    CASE_OPENED = "CaseOpened"
    STATEMENT_ADDED = "StatementAdded"
    CASE_REROUTED = "CaseRerouted"
    ENFORCEMENT_CHANGED = "EnforcementChanged"
    CASE_CLAIMED = "CaseClaimed"
    CLAIM_RENEWED = "ClaimRenewed"
    CASE_RELEASED = "CaseReleased"
    CLAIM_EXPIRED = "ClaimExpired"
    REVIEW_REJECTED = "ReviewRejected"
    CASE_DECIDED = "CaseDecided"
    REVERSAL_ORDERED = "ReversalOrdered"
    DIRECTIVE_APPLIED = "DirectiveApplied"
    DIRECTIVE_FAILED = "DirectiveFailed"
    ACK_IGNORED = "AckIgnored"
    REVERSAL_STALLED = "ReversalStalled"
    REVERSAL_CONFIRMED = "ReversalConfirmed"
    DEADLINE_MISSED = "DeadlineMissed"
    EVIDENCE_REQUESTED = "EvidenceRequested"
    EVIDENCE_SUPPLIED = "EvidenceSupplied"
    EVIDENCE_OVERDUE = "EvidenceOverdue"
    """It was asked for and did not come in time: the case goes on without it."""
    CASE_REFERRED = "CaseReferred"
    CASE_HELD = "CaseHeld"
    CASE_RESUMED = "CaseResumed"
    PAUSE_CAPPED = "PauseCapped"
    """The case has waited as long as all its waiting together may take."""
    DECISION_PROPOSED = "DecisionProposed"
    """A first decision that a second person must look at."""
    DECISION_RETURNED = "DecisionReturned"
    DECISION_DISPUTED = "DecisionDisputed"
    """Two reviewers do not agree: the lead pod decides."""
    BAND_RAISED = "BandRaised"
    PROMISE_MISSED = "PromiseMissed"
    """The handling time of the band has passed."""
    CASE_ESCALATED = "CaseEscalated"
    CASE_CLOSED = "CaseClosed"
    """Decided, and what had to be undone is undone."""
    GRANT_WITHHELD = "GrantWithheld"
    """A rule would have granted the appeal; its cap or its audit share sent it to people."""
    DIRECTIVE_SUPERSEDED = "DirectiveSuperseded"
    """What survives has changed since it was sent: another directive takes its place."""
    DIRECTIVE_RESOLVED = "DirectiveResolved"
    """An operator vouches that what it asks for is true."""
    REVERSAL_RETRIED = "ReversalRetried"
    CONSEQUENCE_JUDGED = "ConsequenceJudged"
    """An enforcement that rested on an overturned one was judged again."""
    INTERNAL_CASE_OPENED = "InternalCaseOpened"
    """A case without an appeal: people must look at an enforcement again."""
    IMMUNITY_GRANTED = "ImmunityGranted"
    IMMUNITY_BREACHED = "ImmunityBreached"
    """A new enforcement strikes what is immune."""
    ENFORCEMENT_REMANDED = "EnforcementRemanded"
    REMAND_ANSWERED = "RemandAnswered"
    REMAND_OVERDUE = "RemandOverdue"
    ERASURE_HELD = "ErasureHeld"
    """A request to erase the user waits until no legal hold is on them."""
    ERASURE_BEGUN = "ErasureBegun"
    """The key is shredded and all is erased but what running reversals need."""
    SUBJECT_ERASED = "SubjectErased"
    """Nothing is left of the user but counts, the head of this chain, and that they were erased."""
    ERASURE_REPEATED = "ErasureRepeated"
    """Asked for again; the reason says what had become of it."""
    LEGAL_HOLD_PLACED = "LegalHoldPlaced"
    LEGAL_HOLD_RELEASED = "LegalHoldReleased"
    INPUT_IGNORED = "InputIgnored"
    """It is about what was erased: nothing of it is kept."""


class DirectiveState(StrEnum):
    """How far one directive of a reversal is."""

    UNKNOWN = "UNKNOWN"
    ORDERED = "ordered"
    SENT = "sent"
    APPLIED = "applied"
    FAILED_RETRYABLE = "failed_retryable"
    FAILED_PERMANENT = "failed_permanent"
    SUPERSEDED = "superseded"


class ReversalCause(StrEnum):
    """What a reversal came about by."""

    UNKNOWN = "UNKNOWN"
    DECISION = "decision"
    CASCADE = "cascade"
    """What it rested on was overturned."""
    REMEDY = "remedy"
    """A whole cohort is reversed because its detector misfired."""


class CaseOrigin(StrEnum):
    """What a case came about by."""

    UNKNOWN = "UNKNOWN"
    APPEAL = "appeal"
    CASCADE = "cascade"
    """What the enforcement rests on was overturned, and no rule says what follows."""
    REMAND = "remand"
    """The enforcing side did not answer in time."""


class RemedyState(StrEnum):
    """Where a remedy stands in one partition."""

    UNKNOWN = "UNKNOWN"
    PREVIEWING = "previewing"
    """The dry run counts."""
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    """For good; what was reversed stays reversed."""
    DONE = "done"


class RemedyEventKind(StrEnum):
    """What a partition reports about a remedy."""

    UNKNOWN = "UNKNOWN"
    PROPOSED = "proposed"
    PREVIEWED = "previewed"
    APPROVED = "approved"
    STARTED = "started"
    PROGRESSED = "progressed"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"
    DONE = "done"
    REFUSED = "refused"
    """A command changed nothing; the reason says why."""


class RemedySteer(StrEnum):
    """What an operator does with a remedy."""

    UNKNOWN = "UNKNOWN"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


class DeadLetterAction(StrEnum):
    """What an operator did with a dead letter."""

    UNKNOWN = "UNKNOWN"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class Dimension(StrEnum):
    """What insights are counted by."""

    UNKNOWN = "UNKNOWN"
    OVERALL = "overall"
    DETECTOR = "detector"
    """Policy, detector, its version and automation together: what an enforcement knows of itself."""
    DETECTOR_VERSION = "detector_version"
    POLICY = "policy"
    DECIDER = "decider"
    """Who decided the enforcement that was appealed against, if a person did."""
    REVIEWER = "reviewer"
    """Who decided the appeal first."""
    LANGUAGE = "language"
    REGION = "region"


class MisfireKind(StrEnum):
    """What about a detector version has risen."""

    UNKNOWN = "UNKNOWN"
    OVERTURN_RATE = "overturn_rate"
    APPEAL_RATE = "appeal_rate"


class MisfireBaseline(StrEnum):
    """What a detector version is compared with."""

    UNKNOWN = "UNKNOWN"
    OWN = "own"
    """What it did before."""
    PREDECESSOR = "predecessor"
    """What the version before it did."""
    ASSUMED = "assumed"
    """Neither is known: what the settings assume."""


class ReviewSample(StrEnum):
    """Which second looks at decisions are compared."""

    UNKNOWN = "UNKNOWN"
    ALL = "all"
    QUALITY_SAMPLE = "quality_sample"
    """Drawn at random: the only ones that tell of all decisions."""
    BLIND_SAMPLE = "blind_sample"
    """The second reviewer did not see the first decision."""
