"""`python -m deploy.check`: lint, render, compare, validate. `--write` keeps the rendering."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import jsonschema
import yaml

from deploy.check import chart, resources, tools

DEPLOY: Final = Path(__file__).parents[1]
CUSTOM: Final = (
    (tools.KEDA, "config/crd/bases/keda.sh_scaledobjects.yaml"),
    (tools.PROMETHEUS_OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"),
)


def main() -> int:
    """Say of each check whether it passed; 0 if all did, 1 if one did not, 2 if a tool is missing."""
    try:
        faults = list(check(keep="--write" in sys.argv))
    except tools.UnavailableError as exc:
        sys.stderr.write(f"not checked: {exc}\n")
        return 2
    for fault in faults:
        sys.stderr.write(f"FAULT  {fault}\n")
    return 1 if faults else 0


def check(*, keep: bool) -> Iterator[str]:
    """Every fault, in words; what passes is told on standard output."""
    helm, kubeconform = tools.program(tools.HELM), tools.program(tools.KUBECONFORM)
    done = _run(helm, "lint", "--strict", chart.FOLDER, "--values", chart.EVERYTHING)
    yield from _told("helm lint --strict", done)

    done = _run(helm, "template", "release", chart.FOLDER, "--namespace", "appeals", "--values", chart.EVERYTHING,
                "--kube-version", resources.KUBERNETES)  # fmt: skip
    yield from _told("helm template", done)
    rendered = chart.marked(done.stdout)
    if keep:
        chart.RENDERED.write_text(rendered)
    if rendered != chart.RENDERED.read_text():
        yield "the chart renders something else than deploy/helm/rendered.yaml: run `make deploy-check ARGS=--write`"

    for values, why in chart.REFUSED:
        done = _run(helm, "template", "release", chart.FOLDER, "--kube-version", resources.KUBERNETES,
                    *(["--values", chart.EVERYTHING] if values else []),
                    *(each for value in values for each in ("--set", value)))  # fmt: skip
        if done.returncode == 0 or why not in done.stderr:
            yield f"values {values or 'by default'} should be refused with {why!r}, not: {done.stderr or 'rendered'}"
        else:
            print(f"ok     refused: {' '.join(values) or 'the defaults alone'} ({why})")

    with tempfile.TemporaryDirectory() as folder:
        resources.write_kubernetes(chart.KINDS, Path(folder))
        for module, path in CUSTOM:
            resources.write_custom(tools.module(module) / path, Path(folder))
        done = _run(kubeconform, "-strict", "-summary", "-schema-location", f"{folder}/{resources.LOCATION}",
                    chart.RENDERED)  # fmt: skip
    yield from _told("kubeconform -strict", done)

    schema = yaml.safe_load((tools.module(tools.COMPOSE) / "schema" / "compose-spec.json").read_text())
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    found = [f"compose.yaml: {'/'.join(map(str, e.absolute_path))}: {e.message}"
             for e in jsonschema.Draft7Validator(schema).iter_errors(compose)]  # fmt: skip
    yield from found
    if not found:
        print(f"ok     compose.yaml by the schema of {tools.COMPOSE}")


def _run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)  # noqa: S603


def _told(what: str, done: subprocess.CompletedProcess[str]) -> Iterator[str]:
    if done.returncode:
        yield f"{what}: {done.stdout[-3_000:]}{done.stderr[-3_000:]}"
    else:
        last = done.stdout.strip().splitlines()[-1] if what != "helm template" else "rendered"
        print(f"ok     {what}: {last}")


if __name__ == "__main__":
    raise SystemExit(main())
