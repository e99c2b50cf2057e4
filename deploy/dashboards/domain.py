"""What is decided: where enforcement goes wrong, whose queue grows, how good reviews are, what is undone."""

from __future__ import annotations

from deploy.dashboards.panels import Choice, Dashboard, Panel, Row
from deploy.dashboards.promql import By, Query, a_second, highest, increase, quantile, total
from topology.topics import load_register

_WINDOW = 'window_s="$window"'
_POD = 'pod=~"$pod"'


def _rate(dimension: str, bound: str, by: By = "of") -> Query:
    where = f'dimension="{dimension}", {_WINDOW}, bound="{bound}"'
    return highest("insights_overturn_rate", by, where)


def _decided(dimension: str) -> Query:
    return highest("insights_decided_appeals", "of", f'dimension="{dimension}", {_WINDOW}').named("decided")


def _rates(title: str, about: str, dimension: str) -> Panel:
    bounds = tuple(_rate(dimension, bound).named(bound) for bound in ("mean", "low", "high"))
    return Panel(title, about, (*bounds, _decided(dimension)), form="table", width=6, key="of")


_OVERTURNED = Row(
    "Where enforcement goes wrong",
    (
        Panel(
            "Overturn rate of all appeals",
            "Of appeals decided on the merits in the window: the mean, and the interval that holds it with 95 %.",
            tuple(_rate("overall", bound, ()).named(bound) for bound in ("mean", "low", "high")),
            band=True,
            most=1,
            width=8,
        ),
        Panel(
            "Appeals decided and overturned",
            "In the window.",
            (
                highest("insights_decided_appeals", (), f'dimension="overall", {_WINDOW}').named("decided"),
                highest("insights_overturned_appeals", (), f'dimension="overall", {_WINDOW}').named("overturned"),
            ),
            width=8,
        ),
        Panel(
            "Misfires suspected",
            "Alerts about detector versions in the time shown, by what gave them away. "
            "`misfire.alerts` names the version; `recourse remedy propose` is what can be done.",
            (increase("insights_misfires_total", "kind"),),
            width=8,
        ),
        _rates(
            "By detector version",
            "The twenty busiest; intervals that do not meet are a difference.",
            "detector_version",
        ),
        _rates("By policy", "The twenty busiest.", "policy"),
        _rates("By language", "Parity: languages should not differ where policies do not.", "language"),
        _rates("By region", "Parity: nor should regions.", "region"),
    ),
)
_PODS = Row(
    "Pods",
    (
        Panel(
            "Open cases by state",
            "Of the chosen pods.",
            (total("cases_open", "state", _POD),),
            form="stack",
            width=6,
        ),
        Panel(
            "Open cases by band",
            "P0 is the most urgent one.",
            (total("cases_open", "band", _POD),),
            form="stack",
            width=6,
        ),
        Panel(
            "Cases that come, by pod",
            "An hour.",
            (highest("pod_arriving_per_hour", "pod", _POD),),
            width=6,
        ),
        Panel(
            "Cases that end, by pod",
            "An hour. Fewer than come: the queue grows.",
            (highest("pod_decided_per_hour", "pod", _POD),),
            width=6,
        ),
        Panel(
            "Expected wait",
            "Until a case that comes now is decided.",
            (highest("pod_expected_wait_seconds", "pod", _POD),),
            width=6,
        ),
        Panel(
            "Overdue",
            "Open cases past their promised or their regulatory time.",
            (total("cases_overdue", "pod", _POD),),
            form="stack",
            width=6,
        ),
        Panel(
            "Overflowed",
            "Cases that went to a substitute in the time shown, by the pod that was full.",
            (increase("cases_overflowed_total", "pod", _POD),),
            width=6,
        ),
        Panel(
            "Deadlines missed",
            "By cases that ended in the window.",
            (total("deadlines", ("pod", "deadline"), f'{_POD}, {_WINDOW}, result="missed"'),),
            width=6,
        ),
    ),
)
_QUALITY = Row(
    "Quality of review",
    (
        Panel(
            "Second looks that agreed",
            "With the first decision, by how the case was picked.",
            (highest("insights_review_agreement", "sample", f'dimension="overall", {_WINDOW}'),),
            most=1,
        ),
        Panel(
            "Median time to decision, by language",
            "The twenty busiest; a language that waits longer has too few who read it.",
            (highest("insights_decision_median_seconds", "of", f'dimension="language", {_WINDOW}'),),
        ),
        Panel(
            "Median time to decision, by region",
            "Parity again: nobody should wait longer for where they are.",
            (highest("insights_decision_median_seconds", "of", f'dimension="region", {_WINDOW}'),),
        ),
    ),
)
_UNDONE = Row(
    "What is undone",
    (
        Panel(
            "Reversals ordered",
            "In the time shown, by what they came about by.",
            (increase("reversals_ordered_total", "cause"),),
            width=6,
        ),
        Panel(
            "Reversals that came to need people",
            "In the time shown, by reason: docs/runbooks/reversal-stalled.md.",
            (increase("reversals_stalled_total", "reason"),),
            width=6,
        ),
        Panel(
            "Reversed by remedies",
            "Enforcements in the time shown, by action.",
            (increase("remedy_reversals_total", "action"),),
            width=6,
        ),
        Panel(
            "Spared by remedies, immunities breached",
            "What a running remedy met and did not reverse; new enforcements that strike what is immune.",
            (
                increase("remedy_spared_total", "reason"),
                increase("immunities_breached_total").named("immunity breached"),
            ),
            width=6,
        ),
        Panel(
            "Open reversals by age",
            "Ordered and not confirmed.",
            (total("reversals_open", ("state", "age")),),
            form="stack",
            width=8,
        ),
        Panel(
            "Dead letters by input",
            "In the time shown: docs/runbooks/dead-letters.md.",
            (increase("dead_letters_total", "input"),),
            width=8,
        ),
        Panel(
            "Dead letters by reason",
            "In the time shown.",
            (increase("dead_letters_total", "reason"),),
            width=8,
        ),
        Panel(
            "Users erased, legal holds",
            "In the time shown; one that was held, or begun while reversals ran, counts again once it is done.",
            (increase("erasures_total", "result"), increase("legal_holds_total", "change")),
            width=8,
        ),
    ),
)
_HEALTH = Row(
    "The insights themselves",
    (
        Panel(
            "Records read, by what became of them",
            "`unreadable` should be none.",
            (a_second("insights_records_total", "fate"),),
            width=6,
        ),
        Panel(
            "Ticks",
            "Writing behind, adding up, publishing.",
            (quantile(0.5, "insights_tick_seconds"), quantile(0.99, "insights_tick_seconds")),
            width=6,
        ),
        Panel(
            "Since the newest tick",
            "Above two minutes the figures of this page are old: docs/runbooks/insights-silent.md.",
            (highest("insights_silent_seconds", "instance"),),
            width=6,
            bad_from=120,
        ),
        Panel(
            "Entries of state in memory",
            "Bounded by what is open and by the grace period.",
            (total("insights_state_entries", "kind"),),
            width=6,
        ),
        Panel(
            "Figures published, waits for the registry",
            "Tombstones included.",
            (
                a_second("insights_figures_published_total").named("published"),
                a_second("insights_registry_waits_total").named("waits"),
            ),
            width=8,
        ),
        Panel(
            "Newest offset counted",
            "By source.",
            (highest("insights_offset", "source"),),
            width=8,
        ),
        Panel(
            "Partitions held",
            "Of the insights' inputs, by process.",
            (total("insights_partitions_assigned", "instance"),),
            form="stack",
            width=8,
        ),
    ),
)


def _pods() -> dict[str, str]:
    return {pod: pod for pod in load_register().pods}


DOMAIN = Dashboard(
    "recourse-domain",
    "Recourse: what is decided",
    "Where enforcement goes wrong, and what becomes of appeals. For pod leads and policy people.",
    (_OVERTURNED, _PODS, _QUALITY, _UNDONE, _HEALTH),
    choices=(
        Choice("pod", "Pod", _pods(), several=True),
        Choice("window", "Window", {"1 hour": "3600", "1 day": "86400", "28 days": "2419200"}, default="86400"),
    ),
    since="now-24h",
)
