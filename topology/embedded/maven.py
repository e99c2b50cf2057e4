"""Files from Maven repositories, by coordinates, checked against a pinned digest.

jgo fetches them; the repositories of a user's own jgo configuration are asked too.
"""

import hashlib
import importlib
from pathlib import Path
from typing import NamedTuple

from topology.embedded.errors import EmbeddedError

_ATTEMPTS = 3
_TIMEOUT_S = 30


class Coordinates(NamedTuple):
    """What Maven calls a file."""

    group: str
    artifact: str
    version: str
    packaging: str = "jar"
    classifier: str = ""


def fetch_artifact(
    coordinates: Coordinates, sha256: str, target: Path, *, what: str, maven_cache: Path, hint: str
) -> None:
    """Fetch a file, trying again when the network or a proxy has a bad moment.

    Args:
        coordinates: which.
        sha256: its digest, hexadecimal.
        target: where it shall lie.
        what: what it is, for the message of a failure.
        maven_cache: a folder for what comes with it, on the same file system.
        hint: what else could be done, for the message of a failure.

    Raises:
        EmbeddedError: It could not be fetched, or is not the one that is pinned.
    """
    try:
        maven = importlib.import_module("jgo.maven")
        settings = importlib.import_module("jgo.config").GlobalSettings.load()
        constants = importlib.import_module("jgo.constants")
    except ImportError as error:
        raise EmbeddedError(
            f"fetching {what} needs the jgo package: pip install 'recourse[embedded]', {hint}"
        ) from error
    context = maven.MavenContext(
        repo_cache=maven_cache,
        remote_repos={"central": constants.MAVEN_CENTRAL_URL, **settings.repositories},
        timeout=_TIMEOUT_S,
    )
    project = context.project(coordinates.group, coordinates.artifact).at_version(coordinates.version)
    artifact = project.artifact(coordinates.classifier, coordinates.packaging)
    failure: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            path: Path = artifact.resolve()
        # jgo raises RuntimeError for "not found", and its HTTP library's own errors, which are OSErrors.
        except (OSError, RuntimeError) as error:
            failure = error
        else:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            if digest == sha256:
                path.rename(target)
                return
            failure = ValueError(f"its SHA-256 is {digest}, not {sha256}")
        # jgo takes what lies in its cache for whole, be it half a file.
        artifact.cached_path.unlink(missing_ok=True)
    raise EmbeddedError(
        f"cannot fetch {what} ({_ATTEMPTS} attempts): {failure}. Check the network and the"
        f" proxy settings; a mirror can be named in ~/.config/jgo.conf under [repositories]; {hint}"
    ) from failure
