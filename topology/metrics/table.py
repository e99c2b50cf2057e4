"""Every metric of Recourse as a row of data: Prometheus objects, docs, dashboards and checks are made from these.

Nothing is imported here but what a row is. `tests/unit/test_metrics.py` compares the listed sets with the enumerations
that the values come from, and the names with those that are used.
"""

from __future__ import annotations

from topology.metrics.row import Label, Row, Set, listed

PREFIX = "recourse_"
PROMISED_S = 30.0
"""The service level: 99.9 % of appeals on their pod's topic within so many seconds of being published."""
PROMISED_SHARE = 0.999

_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_END_TO_END = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 20, PROMISED_S, 45, 60, 120, 300, 900)
_PAUSES = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 120, 300, 600, 1_800)
_LATE = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600)
_SIZES = (1, 10, 50, 100, 500, 1_000, 2_000, 4_000, 8_000, 10_000)

POD = Label("pod", Set.PODS)
INPUT = Label("input", Set.INPUTS)
PARTITION = Label("partition", Set.PARTITIONS)
BAND = listed("band", "P0", "P1", "P2", "P3", "P4", "UNKNOWN")
CASE_STATE = listed("state", "queued", "claimed", "awaiting_evidence", "on_hold", "second_review")
CLIENT = listed("client", "consumer", "producer")
CAUSE = listed("cause", "decision", "cascade", "remedy")
CALL = listed("call", "init_transactions", "send_offsets_to_transaction", "commit_transaction", "abort_transaction")
STEP = listed("step", "take", "read", "fold", "produce", "offsets", "commit", "apply")
FAILURE = listed("kind", "AbortBatch", "Fenced", "FateUnknown", "StateLost", "Retriable", "NotFetched", "StoreDown")
LETTER = listed(
    "reason",
    # The engine's.
    "null_key", "undecodable_key", "null_value", "implausible_time", "handler_raised", "timer_raised", "tell_raised",
    # The decoder's.
    "undecodable", "unknown_schema", "record_type_not_allowed", "bound_exceeded", "unknown_symbol", "invalid_record",
    # The appeals'.
    "key_mismatch", "impossible_input",
)  # fmt: skip
STALL = listed("reason", "failed_permanent", "out_of_tries", "deadline", "money_mismatch", "unknown")
ACTION = listed(
    "action", "warning", "reduced_discoverability", "content_label", "content_removal", "livestream_ended",
    "feature_restriction", "commission_increase", "fee", "payout_hold", "payout_loss", "suspension",
    "interim_suspension", "selling_revoked", "ban", "UNKNOWN",
)  # fmt: skip
SPARED = listed("reason", "not_on_file", "not_in_cohort", "filed_away", "already_reversed", "nothing_left")
CLIENT_ERROR = listed(
    "error", "_TRANSPORT", "_RESOLVE", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_AUTHENTICATION", "_SSL",
    "_MAX_POLL_EXCEEDED", "LEADER_NOT_AVAILABLE", "NOT_LEADER_FOR_PARTITION", "REQUEST_TIMED_OUT",
    "GROUP_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED", rest=True,
)  # fmt: skip

SOURCE = listed("source", "lines", "enforcements")
FATE = listed("fate", "counted", "unaffected", "duplicate", "late", "future", "unreadable")
DIMENSION = listed("dimension", "overall", "detector_version", "policy", "language", "region")
OF = Label("of", Set.BUSIEST, limit=81)
"""`all` of the overall, and of each other dimension the twenty busiest; the rest of each is `other`."""
WINDOW = listed("window_s", "3600", "86400", "2419200")
AGE = listed("age", "1h", "1d", "7d", "older")
"""Up to an hour, a day, a week since it was ordered, and longer."""

_FLOW = (
    Row(
        "appeal_to_case_seconds",
        "histogram",
        "seconds",
        "From the publishing of the record that opens a case (the appeal; its enforcement if that came later) to the "
        "commit that puts the case on its pod's topic.",
        buckets=_END_TO_END,
        native=True,
    ),
    Row(
        "input_behind_seconds",
        "gauge",
        "seconds",
        "Age of the oldest record that is not committed, by when it was published or by when it says that it happened; "
        "while none of those that wait has come, since that is known; 0 where none waits.",
        (INPUT, PARTITION, listed("time", "event", "publish")),
        live=True,
    ),
    Row(
        "input_behind_records",
        "gauge",
        "records",
        "Offsets of an input partition that are not committed yet.",
        (INPUT, PARTITION),
        live=True,
    ),
    Row("records_folded_total", "counter", "records", "Input records folded and committed."),
    Row("records_produced_total", "counter", "records", "Records published, dead letters included."),
    Row(
        "dead_letters_total",
        "counter",
        "records",
        "Records that could not be judged, committed to a dead-letter topic.",
        (INPUT, LETTER),
    ),
    Row("told_events_total", "counter", "", "Events that sweeps told the states they found, folded and committed."),
)
_BATCH = (
    Row(
        "batch_step_seconds",
        "histogram",
        "seconds",
        "Time of a batch by step; `take` waits for records, `offsets` for the records' delivery.",
        (STEP,),
        _SHORT,
    ),
    Row("batch_records", "histogram", "records", "Records and timers of a batch.", buckets=_SIZES),
    Row("batches_failed_total", "counter", "", "Batches given up and read again, by what happened.", (FAILURE,)),
    Row("loop_silent_seconds", "gauge", "seconds", "Since the loop began its newest round.", live=True),
)
_TRANSACTIONS = (
    Row("transactions_begun_total", "counter", "", "Transactions begun."),
    Row("transactions_committed_total", "counter", "", "Transactions committed."),
    Row("transactions_aborted_total", "counter", "", "Transactions aborted."),
    Row("transactions_fenced_total", "counter", "", "Transactions refused because somebody else took over."),
    Row("transactions_unknown_total", "counter", "", "Commits whose fate was unknown; the producer was replaced."),
    Row("producer_renewals_total", "counter", "", "Transactional producers made.", (listed("result", "ok", "failed"),)),
    Row("producer_queue_full_total", "counter", "", "Times a batch waited for the local producer queue."),
)
_GROUP = (
    Row("worker_ready", "gauge", "", "1 when partitions are held and every one of them is caught up."),
    Row("partitions_assigned", "gauge", "", "Partitions of the inputs that this worker holds."),
    Row("input_partitions", "gauge", "", "Partitions that the inputs have: what all workers together should hold."),
    Row(
        "rebalances_total",
        "counter",
        "",
        "Rebalances by kind.",
        (listed("kind", "assigned", "revoked", "lost"),),
    ),
    Row(
        "rebalance_seconds",
        "histogram",
        "seconds",
        "From joining, or from giving partitions up, to all of the new ones being caught up.",
        buckets=_PAUSES,
    ),
    Row("revoke_deadline_missed_total", "counter", "", "Revokes that could not wait for the running transaction."),
)
_STATE = (
    Row("redis_applied_total", "counter", "", "Applies taken by Redis: a partition's share of a batch each."),
    Row("redis_refused_total", "counter", "", "Applies refused by the compare-and-set."),
    Row("redis_lost_total", "counter", "", "Partitions found missing or stale in Redis while running."),
    Row("redis_rebuilt_total", "counter", "", "Partitions rebuilt from the start of the changelog."),
    Row("restore_remaining_records", "gauge", "records", "Changelog offsets still to replay."),
    Row("restored_records_total", "counter", "records", "Dossiers written to Redis by restores."),
    Row("restore_retries_total", "counter", "", "Restores that had to wait for broker or Redis.",
        (listed("kind", "KafkaException", "StoreDown"),)),
    Row("restore_seconds", "histogram", "seconds", "From a partition's coming to its being caught up.",
        buckets=_PAUSES),
    Row("state_cache_hits_total", "counter", "", "Dossiers found in memory."),
    Row("state_reads_total", "counter", "", "Dossiers read from Redis. Their share: hits / (hits + reads)."),
    Row("states_cached", "gauge", "", "Dossiers in memory.", live=True),
    Row("index_scans_total", "counter", "", "Pages that sweeps read from the index."),
)  # fmt: skip
_TIMERS = (
    Row("timers_fired_total", "counter", "", "Timers fired and committed."),
    Row("timers_due", "gauge", "", "Timers that the newest batch found due, and fires as many as it may.", live=True),
    Row("timer_late_seconds", "gauge", "seconds", "How long the earliest timer is due that has not fired; 0 if none.",
        live=True),
    Row("timer_lateness_seconds", "histogram", "seconds", "How long a timer had been due when it fired, by the clock "
        "of the fold.", buckets=_LATE),
    Row("timers_in_memory", "gauge", "", "Timers in memory: the nearest ones.", live=True),
    Row("timer_pages_total", "counter", "", "Pages of timers read from Redis as time came to them."),
)  # fmt: skip
_CLIENTS = (
    Row("kafka_retries_total", "counter", "", "Retriable answers of the broker, by call.", (CALL,)),
    Row("kafka_consumer_errors_total", "counter", "", "Passing errors of the consumer, by librdkafka's name.",
        (CLIENT_ERROR,)),
    Row("input_gaps_asked_again_total", "counter", "", "Gaps in an input's offsets that were read again before they "
        "were believed: control records, aborted ones, or a client that passed over records."),
    Row("input_records_skipped_by_client_total", "counter", "", "Of these, those that were none: the client had passed "
        "over records, which are read now."),
    Row("kafka_brokers_up", "gauge", "", "Brokers that the client is connected to.", (CLIENT,)),
    Row("kafka_round_trip_seconds", "gauge", "seconds", "99th percentile of round trips to the slowest broker.",
        (CLIENT,)),
    Row("kafka_throttled_seconds", "gauge", "seconds", "99th percentile of how long the brokers throttled it.",
        (CLIENT,)),
    Row("kafka_requests_waiting", "gauge", "", "Requests not sent yet, or not answered yet.", (CLIENT,)),
    Row("kafka_request_failures_total", "counter", "", "Requests that timed out, or failed on their way.",
        (CLIENT, listed("kind", "timeout", "send", "receive"))),
    Row("kafka_bytes_total", "counter", "bytes", "Bytes on the wire.", (CLIENT, listed("way", "sent", "received"))),
    Row("kafka_queued_records", "gauge", "records", "Records fetched and not taken yet, or produced and not sent yet.",
        (CLIENT,)),
    Row("kafka_queued_bytes", "gauge", "bytes", "The same in bytes.", (CLIENT,)),
    Row("clock_ahead_seconds", "gauge", "seconds", "How far this machine's clock is ahead of Redis's machine's; "
        "negative: behind.", live=True),
    Row("records_ahead_seconds", "gauge", "seconds", "How far the newest record of an input is ahead of this machine's "
        "clock; 0 if it is not.", (INPUT,), live=True),
)  # fmt: skip
_APPEALS = (
    Row("cases_overflowed_total", "counter", "", "Cases that went to a substitute, by the pod that was full.", (POD,)),
    Row("reversals_ordered_total", "counter", "", "Reversals ordered, by what they came about by.", (CAUSE,)),
    Row("reversals_confirmed_total", "counter", "", "Reversals of which every directive is applied.", (CAUSE,)),
    Row("reversals_stalled_total", "counter", "", "Reversals that came to need people.", (STALL,)),
    Row("immunities_breached_total", "counter", "", "New enforcements that strike what is immune."),
    Row("remedy_reversals_total", "counter", "", "Enforcements that remedies have ordered reversed.", (ACTION,)),
    Row("remedy_spared_total", "counter", "", "Enforcements that a running remedy met and did not reverse.",
        (SPARED,)),
    Row("erasures_total", "counter", "", "Requests to erase a user, and what came of them; one that was held or begun "
        "counts again once it is done.", (listed("result", "held", "begun", "erased", "repeated"),)),
    Row("legal_holds_total", "counter", "", "Legal holds placed on users, and released.",
        (listed("change", "placed", "released"),)),
    Row("reference_records_total", "counter", "records", "Records taken into the reference tables.",
        (Label("topic", Set.REFERENCES),)),
    Row("reference_refused_total", "counter", "records", "Records of reference tables that could not be read.",
        (Label("topic", Set.REFERENCES),)),
    Row("reference_values", "gauge", "", "Values that a decision could take from the reference tables."),
)  # fmt: skip
_DOMAIN = (
    Row("cases_open", "gauge", "", "Open cases.", (POD, BAND, CASE_STATE), of="insights"),
    Row("cases_overdue", "gauge", "", "Open cases past their promised or their regulatory time.", (POD, BAND),
        of="insights"),
    Row("deadlines", "gauge", "", "Cases that ended in the window, by whether their time had passed: the promised "
        "handling time of their band, or the regulatory one.",
        (POD, BAND, listed("deadline", "promised", "regulatory"), listed("result", "met", "missed"), WINDOW),
        of="insights"),
    Row("reversals_open", "gauge", "", "Reversals ordered and not confirmed, by time since the order.",
        (listed("state", "running", "stalled"), AGE), of="insights"),
    Row("reversal_oldest_seconds", "gauge", "seconds", "Since the oldest open reversal was ordered; 0 if none is.",
        (listed("state", "running", "stalled"),), of="insights"),
    Row("pod_arriving_per_hour", "gauge", "", "Cases that come to a pod an hour.", (POD,), of="insights"),
    Row("pod_decided_per_hour", "gauge", "", "Cases of a pod that end an hour.", (POD,), of="insights"),
    Row("pod_expected_wait_seconds", "gauge", "seconds", "Time until a case that comes now is decided.", (POD,),
        of="insights"),
)  # fmt: skip
_INSIGHTS = (
    Row("insights_records_total", "counter", "records", "Records that the insights read, by what became of them.",
        (SOURCE, FATE), of="insights"),
    Row("insights_registry_waits_total", "counter", "", "Times the insights waited for the schema registry.",
        of="insights"),
    Row("insights_figures_published_total", "counter", "records",
        "Figures that the insights published, tombstones included.", of="insights"),
    Row("insights_misfires_total", "counter", "", "Alerts that a detector version seems to misfire.",
        (listed("kind", "overturn_rate", "appeal_rate"),), of="insights"),
    Row("insights_tick_seconds", "histogram", "seconds",
        "Time of a tick of the insights: writing behind, adding up, publishing.", buckets=_SHORT, of="insights"),
    Row("insights_silent_seconds", "gauge", "seconds", "Since the newest tick of the insights began.", live=True,
        of="insights"),
    Row("insights_partitions_assigned", "gauge", "",
        "Partitions of the insights' inputs that this process holds.", of="insights"),
    Row("insights_offset", "gauge", "", "Newest offset counted, over this process's partitions.",
        (SOURCE,), of="insights"),
    Row("insights_state_entries", "gauge", "", "Entries of the insights' state in memory.",
        (listed("kind", "counts", "cases", "reversals", "seen"),), of="insights"),
    Row("insights_decided_appeals", "gauge", "", "Appeals decided on the merits.", (DIMENSION, OF, WINDOW),
        of="insights"),
    Row("insights_overturned_appeals", "gauge", "", "Of these, overturned.", (DIMENSION, OF, WINDOW), of="insights"),
    Row("insights_overturn_rate", "gauge", "ratio", "Posterior of the overturn rate: mean, low, high.",
        (DIMENSION, OF, WINDOW, listed("bound", "mean", "low", "high")), of="insights"),
    Row("insights_decision_median_seconds", "gauge", "seconds", "Median time to decision.", (DIMENSION, OF, WINDOW),
        of="insights"),
    Row("insights_review_agreement", "gauge", "ratio", "Share of second looks that agreed with the first decision.",
        (DIMENSION, OF, WINDOW, listed("sample", "all", "quality_sample", "blind_sample")), of="insights"),
)  # fmt: skip
_PROCESS = (
    Row("process", "info", "", "Which process this is, with its version and slot.",
        (listed("role", "worker", "insights"), Label("slot", Set.PROCESS), Label("version", Set.PROCESS)), of="both"),
    Row("scrape_cpu_seconds_total", "counter", "seconds", "CPU time spent on answering scrapes.", of="both"),
    Row("label_values_refused_total", "counter", "", "Label values outside their closed set, shown as `other`: a "
        "defect of ours.", (Label("metric", Set.ROWS),), of="both"),
)  # fmt: skip

GROUPS: dict[str, tuple[Row, ...]] = {
    "Appeals on their way": _FLOW,
    "Batches": _BATCH,
    "Transactions": _TRANSACTIONS,
    "The group": _GROUP,
    "State": _STATE,
    "Timers": _TIMERS,
    "Kafka's clients and clocks": _CLIENTS,
    "What is decided": _APPEALS,
    "Cases and reversals as they are": _DOMAIN,
    "Insights": _INSIGHTS,
    "The process": _PROCESS,
}
"""By what they tell of."""
ROWS: tuple[Row, ...] = tuple(row for rows in GROUPS.values() for row in rows)
BY_NAME: dict[str, Row] = {row.name: row for row in ROWS}
