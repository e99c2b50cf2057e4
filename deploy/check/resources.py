"""JSON schemas of what a cluster takes, in a folder as kubeconform reads it; strict: a misspelt field is a fault."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import yaml

KUBERNETES: Final = "1.37.0"
LOCATION: Final = "{{ .ResourceKind }}{{ .KindSuffix }}.json"
_ELSEWHERE: Final = "/api/_definitions.json#"


def write_kubernetes(kinds: Iterable[str], folder: Path) -> None:
    """Schemas of Kubernetes' own kinds, such as `statefulset-apps-v1`, each whole in its file."""
    package = Path(import_module("kubernetes_validate").__file__ or "").parent
    source = package / "kubernetes-json-schema" / f"v{KUBERNETES}-local-strict"
    definitions = json.loads((source / "_definitions.json").read_text().replace(_ELSEWHERE, "#"))["$defs"]
    for kind in kinds:
        schema = json.loads((source / f"{kind}.json").read_text().replace(_ELSEWHERE, "#"))
        (folder / f"{kind}.json").write_text(json.dumps({**schema, "$defs": definitions}))


def write_custom(definition: Path, folder: Path) -> None:
    """Schemas of a custom resource definition, one a version."""
    content = yaml.load(definition.read_text(), yaml.CSafeLoader)["spec"]
    for version in content["versions"]:
        name = f"{content['names']['kind'].lower()}-{content['group'].partition('.')[0]}-{version['name']}"
        (folder / f"{name}.json").write_text(json.dumps(_strict(version["schema"]["openAPIV3Schema"])))


def _strict(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Fields that are not named are none; Kubernetes itself prunes them in silence."""
    if isinstance(node, list):
        return [_strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    inner = {key: _strict(value) for key, value in node.items()}
    free = inner.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in inner
    if isinstance(inner.get("properties"), dict) and inner.get("type") == "object" and not free:
        inner["additionalProperties"] = False
    if inner.get("x-kubernetes-int-or-string"):
        inner.pop("type", None)
    if inner.get("properties", {}).keys() >= {"apiVersion", "kind", "metadata"}:
        inner["properties"]["metadata"] = {"type": "object"}
    return inner
