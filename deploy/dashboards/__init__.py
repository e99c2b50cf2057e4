"""Grafana's dashboards, built from the table of metrics: `promql` asks, `panels` says what is shown, `build` how.

`overview`, `engine` and `domain` are the dashboards; `python -m deploy.dashboards` (`make dashboards`) writes them to
`deploy/grafana/`. `scraped_run` runs every query on a real Prometheus, `pictures` draws what it answers.
"""
