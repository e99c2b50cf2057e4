"""The engine's page: where a batch's time goes, who was fenced, what is restored, what the clients say."""

from __future__ import annotations

from deploy.dashboards.panels import Choice, Dashboard, Panel, Row
from deploy.dashboards.promql import (
    EVERY,
    Query,
    a_second,
    highest,
    lowest,
    mean,
    quantile,
    quantile_since_start,
    total,
)

_HERE = 'instance=~"$instance"'


def _hit_share() -> Query:
    hits, reads = (a_second(name, "instance", _HERE) for name in ("state_cache_hits_total", "state_reads_total"))
    whole = Query(f"({hits.expr} + {reads.expr}) > 0", "", hits.unit)
    return hits.over(whole, "{{instance}}")


def _of_process(expr: str, unit: str) -> Query:
    """Of the client library's own metrics, which are not in the table."""
    return Query(expr, "{{instance}}", unit)


_BATCH = Row(
    "Batches",
    (
        Panel(
            "Time of a batch by step",
            "Means. `take` waits for records, `offsets` for the delivery of what was produced; the rest is work.",
            (mean("batch_step_seconds", "step", _HERE),),
            form="stack",
        ),
        Panel(
            "Slowest hundredth of steps",
            "The 99th percentile by step.",
            (quantile(0.99, "batch_step_seconds", "step", _HERE),),
        ),
        Panel(
            "Records and timers of a batch",
            "Few when little comes, many when much does.",
            (quantile(0.5, "batch_records", (), _HERE), quantile(0.99, "batch_records", (), _HERE)),
        ),
        Panel(
            "Since the loop's newest round",
            "A loop that moves is under a second. Above a minute it is stuck: docs/runbooks/worker-stuck.md.",
            (highest("loop_silent_seconds", "instance", _HERE),),
            bad_from=60,
        ),
        Panel(
            "Records folded",
            "By worker. Uneven for long: look at the partitions.",
            (a_second("records_folded_total", "instance", _HERE),),
        ),
        Panel(
            "Batches given up",
            "Read again, by what happened. None in a quiet hour.",
            (a_second("batches_failed_total", "kind", _HERE),),
        ),
    ),
)
_TRANSACTIONS = Row(
    "Transactions",
    (
        Panel(
            "Transactions",
            "Begun and committed go together.",
            (
                a_second("transactions_begun_total", (), _HERE).named("begun"),
                a_second("transactions_committed_total", (), _HERE).named("committed"),
            ),
        ),
        Panel(
            "Transactions that did not commit",
            "Fenced: somebody else took over. Unknown: the producer was replaced and the old transaction settled.",
            (
                a_second("transactions_aborted_total", (), _HERE).named("aborted"),
                a_second("transactions_fenced_total", (), _HERE).named("fenced"),
                a_second("transactions_unknown_total", (), _HERE).named("unknown"),
            ),
        ),
        Panel(
            "Producers made, queues full",
            "One producer a worker; more are replacements.",
            (
                a_second("producer_renewals_total", "result", _HERE).named("producer {{result}}"),
                a_second("producer_queue_full_total", (), _HERE).named("queue full"),
            ),
        ),
    ),
)
_GROUP = Row(
    "The group",
    (
        Panel(
            "Workers ready",
            "1 when partitions are held and every one of them is caught up.",
            (lowest("worker_ready", "instance", _HERE),),
            most=1,
            width=6,
        ),
        Panel(
            "Partitions held",
            "Of the inputs, by worker, and how many there are. Fewer held than there are: "
            "docs/runbooks/partition-unassigned.md.",
            (
                total("partitions_assigned", "instance", _HERE),
                highest("input_partitions", (), _HERE).named("there are"),
            ),
            width=6,
        ),
        Panel(
            "Rebalances",
            "`lost` is a worker that was silent for longer than its session.",
            (
                a_second("rebalances_total", "kind", _HERE),
                a_second("revoke_deadline_missed_total", (), _HERE).named("revoke too late"),
            ),
            width=6,
        ),
        Panel(
            "How long a rebalance takes",
            "Until all of the new partitions are caught up; the slowest hundredth since the process started.",
            (quantile_since_start(0.99, "rebalance_seconds", "instance", _HERE),),
            width=6,
        ),
    ),
)
_STATE = Row(
    "State in Redis, and restores",
    (
        Panel(
            "Applies",
            "A partition's share of a batch each. Refused: another owner was there first.",
            (
                a_second("redis_applied_total", (), _HERE).named("applied"),
                a_second("redis_refused_total", (), _HERE).named("refused"),
            ),
            width=6,
        ),
        Panel(
            "Partitions lost and rebuilt",
            "Redis did not have what it should, so the changelog was read from its start.",
            (
                a_second("redis_lost_total", (), _HERE).named("lost"),
                a_second("redis_rebuilt_total", (), _HERE).named("rebuilt"),
            ),
            width=6,
        ),
        Panel(
            "Restores: still to read",
            "Changelog offsets.",
            (total("restore_remaining_records", "instance", _HERE),),
            form="stack",
            width=6,
        ),
        Panel(
            "Restores: written, and waits",
            "Dossiers written to Redis a second, and times that a restore waited for broker or Redis.",
            (
                a_second("restored_records_total", (), _HERE).named("written"),
                a_second("restore_retries_total", "kind", _HERE).named("waited: {{kind}}"),
            ),
            width=6,
        ),
        Panel(
            "How long a restore takes",
            "From a partition's coming to its being caught up; the slowest hundredth since the process started.",
            (quantile_since_start(0.99, "restore_seconds", "instance", _HERE),),
            width=6,
        ),
        Panel(
            "Dossiers found in memory",
            "The rest is read from Redis, one call a batch and partition.",
            (_hit_share(),),
            most=1,
            width=6,
        ),
        Panel(
            "Dossiers in memory",
            "At most `RECOURSE_CACHED_STATES`, and `RECOURSE_CACHED_MB` of them.",
            (total("states_cached", "instance", _HERE),),
            form="stack",
            width=6,
        ),
        Panel(
            "Sweeps",
            "Pages that sweeps of remedies read from the index, and events that they told.",
            (
                a_second("index_scans_total", (), _HERE).named("pages"),
                a_second("told_events_total", (), _HERE).named("told"),
            ),
            width=6,
        ),
    ),
)
_TIMERS = Row(
    "Timers",
    (
        Panel(
            "How late timers fire",
            "By the clock of the fold.",
            (
                quantile(0.5, "timer_lateness_seconds", (), _HERE, window="$__range"),
                quantile(0.99, "timer_lateness_seconds", (), _HERE, window="$__range"),
            ),
            width=6,
        ),
        Panel(
            "The earliest timer that has not fired",
            "How long it is due; 0 if none is.",
            (highest("timer_late_seconds", "instance", _HERE),),
            width=6,
        ),
        Panel(
            "Timers fired, pages read",
            "A page is read as time comes to the last timer in memory.",
            (
                a_second("timers_fired_total", (), _HERE).named("fired"),
                a_second("timer_pages_total", (), _HERE).named("pages"),
            ),
            width=6,
        ),
        Panel(
            "Timers in memory, timers due",
            "Due: found by the newest batch.",
            (
                total("timers_in_memory", (), _HERE).named("in memory"),
                total("timers_due", (), _HERE).named("due"),
            ),
            width=6,
        ),
    ),
)
_CLIENTS = Row(
    "Kafka's clients (librdkafka) and clocks",
    (
        Panel(
            "Brokers connected",
            "By client, the least of the workers.",
            (lowest("kafka_brokers_up", "client", _HERE),),
            width=6,
        ),
        Panel(
            "Round trip to the slowest broker",
            "The 99th percentile.",
            (highest("kafka_round_trip_seconds", "client", _HERE),),
            width=6,
        ),
        Panel(
            "Throttled by brokers",
            "The 99th percentile; a quota is in force when it is not 0.",
            (highest("kafka_throttled_seconds", "client", _HERE),),
            width=6,
        ),
        Panel(
            "Requests waiting",
            "Not sent or not answered yet.",
            (total("kafka_requests_waiting", "client", _HERE),),
            width=6,
        ),
        Panel(
            "Bytes on the wire",
            "To and from the brokers.",
            (a_second("kafka_bytes_total", ("client", "way"), _HERE),),
            width=6,
        ),
        Panel(
            "Records queued in the clients",
            "Fetched and not taken yet; produced and not sent yet.",
            (total("kafka_queued_records", "client", _HERE),),
            width=6,
        ),
        Panel(
            "Bytes queued in the clients",
            "The same in bytes.",
            (total("kafka_queued_bytes", "client", _HERE),),
            width=6,
        ),
        Panel(
            "Failures and retries",
            "Requests that failed, calls that were made again, errors that passed, gaps read again.",
            (
                a_second("kafka_request_failures_total", ("client", "kind"), _HERE),
                a_second("kafka_retries_total", "call", _HERE).named("again: {{call}}"),
                a_second("kafka_consumer_errors_total", "error", _HERE),
                a_second("input_gaps_asked_again_total", where=_HERE).named("gap read again"),
                a_second("input_records_skipped_by_client_total", where=_HERE).named("record the client had skipped"),
            ),
            width=6,
        ),
        Panel(
            "Clock against Redis's",
            "How far the worker's machine is ahead of Redis's. Above 2 s: docs/runbooks/clock-skew.md.",
            (highest("clock_ahead_seconds", "instance", _HERE),),
            width=6,
        ),
        Panel(
            "Records from the future",
            "How far the newest record of an input is ahead of the worker's clock.",
            (highest("records_ahead_seconds", "input", _HERE),),
            width=6,
        ),
        Panel(
            "CPU by process",
            "A worker's batch is one thread's work with another one's for the broker; above 1 it is at its end.",
            (_of_process(f"rate(process_cpu_seconds_total{{{_HERE}}}[{EVERY}])", "percentunit"),),
            width=6,
        ),
        Panel(
            "Memory by process",
            "Resident.",
            (_of_process(f"process_resident_memory_bytes{{{_HERE}}}", "bytes"),),
            width=6,
        ),
        Panel(
            "CPU of answering scrapes",
            "Promised: under a hundredth of a CPU, scraped every 15 s.",
            (a_second("scrape_cpu_seconds_total", "instance", _HERE),),
            width=6,
            bad_from=0.01,
        ),
        Panel(
            "Label values refused",
            "A defect of ours, as the closed sets should hold all of them.",
            (a_second("label_values_refused_total", (), _HERE).named("refused").or_zero(),),
            width=6,
        ),
        Panel(
            "Reference tables",
            "Records of overturn rates and pod load taken in, and those that could not be read.",
            (
                a_second("reference_records_total", "topic", _HERE),
                a_second("reference_refused_total", "topic", _HERE).named("refused: {{topic}}"),
            ),
            width=6,
        ),
        Panel(
            "Values in the reference tables",
            "That a decision could take.",
            (highest("reference_values", "instance", _HERE),),
            width=6,
        ),
    ),
)

ENGINE = Dashboard(
    "recourse-engine",
    "Recourse: engine",
    "Where a batch's time goes and what happened to it. For whoever looks for a cause.",
    (_BATCH, _TRANSACTIONS, _GROUP, _STATE, _TIMERS, _CLIENTS),
    choices=(Choice("instance", "Process", of=("process_info", "instance"), several=True),),
)
