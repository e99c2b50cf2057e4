"""What must hold between the fields of a rulebook, told with the place of each fault.

The checks read the raw sections and pass over what has the wrong shape (the field checks report that), so that one
run names every fault of a file.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import cast

from processors.durations import parse_duration_ms
from schemas.vocabulary import Action, Band

Fault = tuple[tuple[int | str, ...], str]
"""Where (keys and positions from the top) and what is wrong."""

_ROUNDING = 1e-9  # ten decimal shares do not add up to exactly 1 in binary
_BANDS = [band.value for band in Band if band is not Band.UNKNOWN]


def severity_faults(raw: Mapping[str, object]) -> Iterator[Fault]:
    """Every action has a severity."""
    ladder = _map(_map(raw.get("severity")).get("actions"))
    missing = [action.value for action in Action if action is not Action.UNKNOWN and action.value not in ladder]
    if ladder and missing:
        yield ("severity", "actions"), f"no severity for {', '.join(missing)}"


def weight_faults(raw: Mapping[str, object]) -> Iterator[Fault]:
    """The weights share out exactly the whole score."""
    values = list(_map(raw.get("weights")).values())
    numbers = [value for value in values if isinstance(value, int | float)]
    if numbers and len(numbers) == len(values) and abs(sum(numbers) - 1) > _ROUNDING:
        yield ("weights",), f"the weights sum to {round(sum(numbers), 6)}, not to 1"


def band_faults(raw: Mapping[str, object]) -> Iterator[Fault]:
    """P0 to P4 in order, with thresholds that fall to 0."""
    bands = [_map(item) for item in _list(raw.get("bands"))]
    if bands and [band.get("band") for band in bands] != _BANDS:
        yield ("bands",), f"the bands must be {', '.join(_BANDS)}, in this order"
    starts = [band.get("at") for band in bands]
    for position, (higher, lower) in enumerate(pairwise(starts), start=1):
        if isinstance(higher, int) and isinstance(lower, int) and lower >= higher:
            yield ("bands", position, "at"), f"{lower} is not below the {higher} of the band before"
    if starts and isinstance(starts[-1], int) and starts[-1] != 0:
        yield ("bands", len(starts) - 1, "at"), f"the last band starts at {starts[-1]}, so lower scores have none"


def time_faults(raw: Mapping[str, object]) -> Iterator[Fault]:
    """A higher band is promised no later, every promise is within the deadline, and slack falls with the score."""
    promised = [_ms(_map(item).get("handling")) for item in _list(raw.get("bands"))]
    for position, (higher, lower) in enumerate(pairwise(promised), start=1):
        if higher is not None and lower is not None and lower < higher:
            yield ("bands", position, "handling"), "is shorter than that of the band before, which is to go first"
    deadline = _ms(_map(raw.get("review")).get("deadline"))
    for position, handling in enumerate(promised):
        if deadline is not None and handling is not None and handling >= deadline:
            yield ("bands", position, "handling"), "is not within review.deadline"
    slack = _map(raw.get("slack"))
    at_zero, at_full = _ms(slack.get("at_zero")), _ms(slack.get("at_full"))
    if at_zero is not None and at_full is not None and at_full > at_zero:
        yield ("slack", "at_full"), "is longer than slack.at_zero, so urgent cases would wait longest"


def reference_faults(raw: Mapping[str, object]) -> Iterator[Fault]:
    """Every pod that is named exists, substitutes lead somewhere, and the last rule takes whatever is left."""
    pods = [_map(item) for item in _list(raw.get("pods"))]
    names = [name for pod in pods if isinstance(name := pod.get("name"), str)]
    for position, pod in enumerate(pods):
        if pod.get("name") in names[:position]:
            yield ("pods", position, "name"), f"a second pod is called {pod['name']!r}"
    named_in = (
        ("pods", ("substitute",)),
        ("routing", ("pod", "substitute")),
        ("overrides", ("pod",)),
        ("automation", ("pod",)),
    )
    lead = _map(raw.get("review")).get("lead_pod")
    if isinstance(lead, str) and lead not in names:
        yield ("review", "lead_pod"), f"no pod is called {lead!r}; the pods are {', '.join(names)}"
    for section, keys in named_in:
        for position, item in enumerate(_list(raw.get(section))):
            for key in keys:
                named = _map(item).get(key)
                if isinstance(named, str) and named not in names:
                    yield (section, position, key), f"no pod is called {named!r}; the pods are {', '.join(names)}"
    yield from _cycle_faults(pods)
    yield from _last_rule_faults(_list(raw.get("routing")))
    for position, item in enumerate(_list(raw.get("overrides"))):
        if not _map(_map(item).get("when")):
            yield ("overrides", position, "when"), "an override without a condition would take every case"


def name_faults(raw: Mapping[str, object]) -> Iterator[Fault]:
    """A standard, or a rule that may grant, is called by its name in cases and audit lines: none has another's."""
    for section in ("evidence", "automation"):
        names = [_map(item).get("name") for item in _list(raw.get(section))]
        for position, name in enumerate(names):
            if isinstance(name, str) and name in names[:position]:
                yield (section, position, "name"), f"a second one is called {name!r}"
    for position, item in enumerate(_list(raw.get("automation"))):
        if not _map(_map(item).get("when")) and not _map(item).get("wrongfulness_at_least"):
            yield ("automation", position, "when"), "a rule without a condition would take every case"


def overflow_faults(raw: Mapping[str, object]) -> Iterator[Fault]:
    """What overflows has somewhere to go."""
    helped = {rule.get("pod") for rule in map(_map, _list(raw.get("routing"))) if rule.get("substitute")}
    for position, item in enumerate(_list(raw.get("pods"))):
        pod = _map(item)
        if pod.get("overflow") and not pod.get("substitute") and pod.get("name") not in helped:
            yield ("pods", position, "overflow"), "there is no substitute, neither here nor in a routing rule"


def _cycle_faults(pods: list[Mapping[str, object]]) -> Iterator[Fault]:
    substitutes = {pod.get("name"): pod.get("substitute") for pod in pods}
    for position, pod in enumerate(pods):
        path = [pod.get("name")]
        while (following := substitutes.get(path[-1])) is not None and following not in path:
            path.append(following)
        if following is not None and following == path[0]:
            circle = " -> ".join(str(name) for name in (*path, following))
            yield ("pods", position, "substitute"), f"substitutes run in a circle: {circle}"


def _last_rule_faults(rules: list[object]) -> Iterator[Fault]:
    for position, item in enumerate(rules):
        rule = _map(item)
        catches_all = not _map(rule.get("when")) and not rule.get("needs")
        if catches_all and position < len(rules) - 1:
            yield ("routing", position), "takes every case, so the rules after it are never reached"
        if not catches_all and position == len(rules) - 1:
            yield ("routing", position), "the last rule must take every case that is left: no `when`, no `needs`"


CHECKS = (severity_faults, weight_faults, band_faults, time_faults, reference_faults, name_faults, overflow_faults)
"""All of them; each takes the raw sections and yields its faults."""


def _ms(value: object) -> int | None:
    try:
        return parse_duration_ms(value)
    except ValueError:
        return None


def _map(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _list(value: object) -> list[object]:
    return list(cast("list[object]", value)) if isinstance(value, list | tuple) else []
