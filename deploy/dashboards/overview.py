"""The first page: does a user wait too long, and what is it that keeps them waiting?"""

from __future__ import annotations

from deploy.dashboards.panels import Dashboard, Panel, Row
from deploy.dashboards.promql import (
    Query,
    a_second,
    buckets,
    highest,
    increase,
    quantile,
    total,
    within,
)
from topology.metrics.table import PROMISED_S, PROMISED_SHARE

APPEAL_TO_CASE = "appeal_to_case_seconds"
_BUDGET = 1 - PROMISED_SHARE


def _budget_left() -> Query:
    """Of what may come late in 30 days, how much has not."""
    good = within(PROMISED_S, APPEAL_TO_CASE, window="30d").expr
    return Query(f"1 - (1 - (\n{good}\n)) / {_BUDGET:.3f}", "left", "percentunit")


def _burn(window: str) -> Query:
    """Errors as a multiple of those that use the budget up in just 30 days; from the rules, as alerts see it."""
    return Query(f"recourse:late_appeals:ratio_rate{window} / {_BUDGET:.3f}", window, "short")


_SERVICE_LEVEL = Row(
    "Service level",
    (
        Panel(
            "Appeals in time",
            f"Appeals on their pod's topic within {PROMISED_S:g} s of being published, in the time shown. "
            f"Promised: {PROMISED_SHARE:.1%}.",
            (within(PROMISED_S, APPEAL_TO_CASE),),
            form="stat",
            width=4,
            bad_from=PROMISED_SHARE,
            low_is_bad=True,
            decimals=3,
        ),
        Panel(
            "Error budget left",
            "Of the 0.1 % that may come late in 30 days, how much has not been used. Negative: the promise is broken.",
            (_budget_left(),),
            form="stat",
            width=4,
            bad_from=0.25,
            low_is_bad=True,
            decimals=1,
        ),
        Panel(
            "Longest wait now",
            "Age of the oldest record that is not committed, by when it was published. "
            "What never comes out is in no share of what did; it is here.",
            (highest("input_behind_seconds", where='time="publish"').named("longest wait"),),
            form="stat",
            width=4,
            bad_from=PROMISED_S,
            decimals=1,
        ),
        Panel(
            "Workers ready",
            "Workers that hold partitions and are caught up on all of them.",
            (total("worker_ready").named("ready"),),
            form="stat",
            width=4,
            bad_from=1,
            low_is_bad=True,
        ),
        Panel(
            "Dead letters",
            "Records that could not be judged, in the time shown. `recourse dlq list` has each of them.",
            (increase("dead_letters_total").named("dead letters"),),
            form="stat",
            width=4,
            bad_from=10,
            decimals=0,
        ),
        Panel(
            "Alerts",
            "Alerts of ours that fire. Each names its runbook.",
            (Query('sum(ALERTS{alertname=~"Recourse.*", alertstate="firing"}) or vector(0)', "firing", "short"),),
            form="stat",
            width=4,
            bad_from=1,
            decimals=0,
        ),
        Panel(
            "From appeal to case",
            f"From an appeal's publishing to its case on the pod's topic. Promised: {PROMISED_S:g} s.",
            (quantile(0.5, APPEAL_TO_CASE), quantile(0.99, APPEAL_TO_CASE), quantile(0.999, APPEAL_TO_CASE)),
            bad_from=PROMISED_S,
        ),
        Panel(
            "The same, how many took how long",
            "A band that rises or splits is seen here before it is in the quantiles.",
            (buckets(APPEAL_TO_CASE),),
            form="heatmap",
        ),
        Panel(
            "Burn rate",
            "Late appeals as a multiple of what just uses the budget up in 30 days. "
            "Alerts: 14.4 over 1 h, 6 over 6 h, 1 over 3 days, each with its short window. "
            "Without appeals there is no rate.",
            (_burn("5m"), _burn("1h"), _burn("6h")),
            bad_from=14.4,
        ),
    ),
)
_LAG = Row(
    "Lag and throughput",
    (
        Panel(
            "Seconds behind, by input",
            "By when records were published; 0 where none waits.",
            (highest("input_behind_seconds", "input", 'time="publish"'),),
            bad_from=PROMISED_S,
        ),
        Panel(
            "Records behind, by input",
            "Offsets not committed yet.",
            (total("input_behind_records", "input"),),
        ),
        Panel(
            "Throughput",
            "Inputs folded and records published, committed both.",
            (
                a_second("records_folded_total").named("folded"),
                a_second("records_produced_total").named("published"),
                a_second("timers_fired_total").named("timers fired"),
            ),
        ),
    ),
)
_QUEUES = Row(
    "Queues and deadlines",
    (
        Panel(
            "Open cases by pod",
            "As the insights count them from the audit.",
            (total("cases_open", "pod"),),
            form="stack",
            width=6,
        ),
        Panel(
            "Cases overdue by pod",
            "Open cases past their promised or their regulatory time.",
            (total("cases_overdue", "pod"),),
            form="stack",
            width=6,
        ),
        Panel(
            "Expected wait by pod",
            "Until a case that comes now is decided, at the rate of now.",
            (highest("pod_expected_wait_seconds", "pod"),),
            width=6,
        ),
        Panel(
            "Deadlines of cases that ended in the last day",
            "By the promised time of their band, and by the regulatory one.",
            (total("deadlines", ("deadline", "result"), 'window_s="86400"'),),
            width=6,
        ),
    ),
)
_REVERSALS = Row(
    "Reversals",
    (
        Panel(
            "Reversals ordered",
            "By what they came about by.",
            (a_second("reversals_ordered_total", "cause"),),
            width=6,
        ),
        Panel(
            "Reversals confirmed",
            "Every directive is applied; only then users are told.",
            (a_second("reversals_confirmed_total", "cause"),),
            width=6,
        ),
        Panel(
            "Open reversals",
            "Ordered and not confirmed. A stalled one waits for people: `recourse reversal list`.",
            (total("reversals_open", "state"),),
            width=6,
        ),
        Panel(
            "The oldest open one",
            "Since it was ordered; 0 if none is open.",
            (highest("reversal_oldest_seconds", "state"),),
            width=6,
        ),
    ),
)

OVERVIEW = Dashboard(
    "recourse-overview",
    "Recourse: overview",
    "Do users wait, and for what. For whoever is on call.",
    (_SERVICE_LEVEL, _LAG, _QUEUES, _REVERSALS),
)
