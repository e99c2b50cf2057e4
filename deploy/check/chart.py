"""The chart and its committed rendering, which names the digest of what it was made from.

So the rendering can be read in a review, validated without Helm, and a chart that has changed since is noticed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "helm" / "recourse"
EVERYTHING: Final = FOLDER / "ci" / "everything.yaml"
RENDERED: Final = FOLDER.parent / "rendered.yaml"
KINDS: Final = (
    "deployment-apps-v1",
    "job-batch-v1",
    "networkpolicy-networking-v1",
    "persistentvolumeclaim-v1",
    "poddisruptionbudget-policy-v1",
    "service-v1",
    "serviceaccount-v1",
    "statefulset-apps-v1",
)
"""Kubernetes' own kinds that the chart makes."""
REFUSED: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    ((), "image.repository"),
    (("kafka.bootstrap=",), "kafka.bootstrap"),
    (("autoscaling.min=0",), "minimum: got 0, want 1"),
    (("autoscaling.min=3", "autoscaling.max=2"), "autoscaling.min 3 is above autoscaling.max 2"),
    (("autoscaling.max=9",), "the inputs have 8 partitions"),
    (("workers.replicas=9",), "the inputs have 8 partitions"),
    (("image.tag=latest",), "/image/tag"),
    (("redis.existingSecret=", "redis.url=redis://user:word@redis:6379"), "/redis/url"),
    (("kafka.options.sasl\\.password=word",), "invalid propertyName 'sasl.password'"),
    (("worker.replicas=2",), "additional properties 'worker' not allowed"),
    (("desk.identity=demo",), "/desk/identity"),
    (("desk.existingSecret=",), "desk.existingSecret"),
    (("desk.trustedProxies=",), "desk.trustedProxies"),
    (("desk.identity=oidc",), "desk.oidc.issuer"),
    (("desk.from=null",), "desk.from"),
    (("desk.settings.SECRET=word",), "invalid propertyName 'SECRET'"),
)
"""Values added to `EVERYTHING` (none: the defaults alone) that must not render, and what the refusal names."""


def digest() -> str:
    """Of every file that takes part in a rendering."""
    found = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            found.update(path.relative_to(FOLDER).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def marked(rendering: str) -> str:
    """A rendering with where it comes from."""
    head = "# Made by `make deploy-check ARGS=--write` from the chart beside it with its ci/everything.yaml.\n"
    return f"{head}# chart: sha256:{digest()}\n{rendering}"
