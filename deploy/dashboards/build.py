"""Our dashboards as Grafana's JSON, by grafana-foundation-sdk."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.dashboards.domain import DOMAIN
from deploy.dashboards.engine import ENGINE
from deploy.dashboards.overview import OVERVIEW
from deploy.dashboards.panels import WIDTH, Choice, Dashboard, Panel
from deploy.dashboards.promql import Query
from topology.metrics.table import PREFIX

DASHBOARDS = (OVERVIEW, ENGINE, DOMAIN)
FOLDER = Path(__file__).parents[1] / "grafana"

_TAG = "recourse"
_STAT_HEIGHT, _HEIGHT = 4, 8
_GREEN, _RED = "green", "red"
_SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")


def files() -> dict[str, str]:
    """File name to text, of all dashboards."""
    return {f"{page.uid}.json": text(page) for page in DASHBOARDS}


def text(page: Dashboard) -> str:
    """A dashboard as Grafana imports it."""
    made = (
        dashboard.Dashboard(page.title)
        .uid(page.uid)
        .description(f"{page.about} Made by `make dashboards` of the table of metrics; change the source.")
        .tags([_TAG])
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time(page.since, "now")
        .link(
            dashboard.DashboardLink("Recourse")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([_TAG])
            .as_dropdown(True)
            .keep_time(True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for choice in page.choices:
        made = made.with_variable(_variable(choice))
    number = 0
    for row in page.rows:
        number += 1
        made = made.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            made = made.with_panel(_panel(panel, number))
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _variable(choice: Choice) -> Builder[model.VariableModel]:
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    if choice.of is not None:
        name, label = choice.of
        asked = (
            dashboard.QueryVariable(choice.name)
            .label(choice.label)
            .datasource(_SOURCE)
            .query(f"label_values({PREFIX}{name}, {label})")
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(model.VariableSort.ALPHABETICAL_ASC)
        )
        return asked.multi(True).include_all(True).all_value(".*").current(everything) if choice.several else asked
    options = [
        model.VariableOption(selected=value == choice.default, text=text, value=value)
        for text, value in choice.values.items()
    ]
    listed = (
        dashboard.CustomVariable(choice.name)
        .label(choice.label)
        .values(", ".join(f"{text} : {value}" for text, value in choice.values.items()))
        .options(options)
    )
    if choice.several:
        return listed.multi(True).include_all(True).all_value(".*").current(everything)
    return listed.current(next(option for option in options if option.selected))


def _panel(panel: Panel, number: int) -> Builder[model.Panel]:
    match panel.form:
        case "stat":
            made = _stat(panel)
        case "lines" | "stack":
            made = _lines(panel)
        case "heatmap":
            made = _heatmap(panel)
        case "table":
            made = _table(panel)
    made = (
        made.id(number)
        .title(panel.title)
        .description(panel.about)
        .datasource(_SOURCE)
        .height(_STAT_HEIGHT if panel.form == "stat" else _HEIGHT)
        .span(min(panel.width, WIDTH))
        .unit(panel.unit)
    )
    if panel.decimals is not None:
        made = made.decimals(panel.decimals)
    for letter, query in zip(string.ascii_uppercase, panel.queries, strict=False):
        made = made.with_target(_target(panel, query, letter))
    return made


def _target(panel: Panel, query: Query, letter: str) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(letter).datasource(_SOURCE)
    match panel.form:
        case "table":
            return made.instant().format(PromQueryFormat.TABLE)
        case "heatmap":
            return made.range().format(PromQueryFormat.HEATMAP)
        case "stat" | "lines" | "stack":
            return made.range()


def _stat(panel: Panel) -> stat.Panel:
    return (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(kinds.BigValueColorMode.VALUE)
        .graph_mode(kinds.BigValueGraphMode.AREA)
        .thresholds(_thresholds(panel))
    )


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    first, then = (_RED, _GREEN) if panel.low_is_bad else (_GREEN, _RED)
    steps = [model.Threshold(value=None, color=first)]
    if panel.bad_from is not None:
        steps.append(model.Threshold(value=panel.bad_from, color=then))
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _lines(panel: Panel) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .draw_style(kinds.GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(30 if panel.form == "stack" else 8)
        .show_points(kinds.VisibilityMode.NEVER)
        .axis_soft_min(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    )
    if panel.form == "stack":
        made = made.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if panel.most is not None:
        made = made.max(panel.most)
    if panel.bad_from is not None:
        made = made.thresholds(_thresholds(panel)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED)
        )
    if panel.band:
        _, low, high = (query.legend for query in panel.queries)
        thin = model.DynamicConfigValue("custom.lineWidth", 0)
        made = made.override_by_name(low, [thin, model.DynamicConfigValue("custom.fillOpacity", 0)]).override_by_name(
            high, [thin, model.DynamicConfigValue("custom.fillBelowTo", low)]
        )
    return made


def _heatmap(panel: Panel) -> heatmap.Panel:
    return (
        heatmap.Panel()
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit(panel.unit).axis_placement(kinds.AxisPlacement.LEFT))
        .color(heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
        .show_legend()
    )


def _table(panel: Panel) -> table.Panel:
    made = table.Panel().with_transformation(
        model.DataTransformerConfig("joinByField", options={"byField": panel.key, "mode": "outer"})
    )
    hidden: dict[str, Any] = {f"Time {number}": True for number, _ in enumerate(panel.queries, 1)} | {"Time": True}
    made = made.with_transformation(model.DataTransformerConfig("organize", options={"excludeByName": hidden}))
    for letter, query in zip(string.ascii_uppercase, panel.queries, strict=False):
        made = made.override_by_name(
            f"Value #{letter}",
            [
                model.DynamicConfigValue("displayName", query.legend),
                model.DynamicConfigValue("unit", query.unit),
            ],
        )
    return made.sort_by([common.TableSortByFieldState().display_name(panel.queries[0].legend).desc(True)])
