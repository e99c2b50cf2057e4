"""Writes kafka_jars.json, the list of jars that `jars.py` fetches: `python -m topology.embedded.lock 4.1.1`.

Needed when the Kafka version changes, and only then. Review the difference: it is what will be run.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from jgo.maven import MavenContext, PythonResolver

_LOCK = Path(__file__).with_name("kafka_jars.json")
_RUNTIME = (None, "compile", "runtime")  # None: what was asked for by name


def main(kafka_version: str) -> None:
    """Resolve the broker's jars and its dependencies', and write their names, sizes and digests."""
    with tempfile.TemporaryDirectory() as repo_cache:
        maven = MavenContext(resolver=PythonResolver(), repo_cache=Path(repo_cache))
        broker = maven.create_dependency(f"org.apache.kafka:kafka_2.13:{kafka_version}")
        asked, transitive = maven.resolver.resolve([broker])
        artifacts = [d.artifact for d in (*asked, *transitive) if d.scope in _RUNTIME]
        # A broker logs through slf4j and brings no binding; its version must be the API's own.
        slf4j = next(a.version for a in artifacts if a.artifactId == "slf4j-api")
        artifacts.append(maven.create_dependency(f"org.slf4j:slf4j-simple:{slf4j}").artifact)
        jars = [
            {
                "coordinate": f"{a.groupId}:{a.artifactId}:{a.version}",
                "bytes": a.resolve().stat().st_size,
                "sha256": hashlib.sha256(a.resolve().read_bytes()).hexdigest(),
            }
            for a in sorted(artifacts, key=str)
        ]
    _LOCK.write_text(json.dumps({"kafka": kafka_version, "jars": jars}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
