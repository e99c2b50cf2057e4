"""What settings say of files: certificates that must be readable, and secrets that lie in files of their own."""

from __future__ import annotations

import os
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, SecretStr
from pydantic.fields import FieldInfo

Secret = Annotated[SecretStr | None, Field(min_length=1)]
"""Never shown: not in a repr, not in an error, not in a log. `VARIABLE_FILE` may name a file that holds it."""
SUFFIX = "_FILE"
_MOST_BYTES = 64_000


def secret_names(model: type[BaseModel]) -> list[str]:
    """The fields that are secrets."""
    return [name for name, field in model.model_fields.items() if is_secret(field)]


def is_secret(field: FieldInfo) -> bool:
    """Whether the field holds a secret."""
    kinds = get_args(field.annotation) if isinstance(field.annotation, types.UnionType) else (field.annotation,)
    return SecretStr in kinds


def read_secrets(
    model: type[BaseModel], prefix: str, environment: Mapping[str, str], faults: list[str]
) -> dict[str, Any]:
    """Secrets that lie in files: by field, what the file named by `<prefix><FIELD>_FILE` holds, less its last newline.

    Read once, at start: a changed file counts after a restart.

    Args:
        model: whose fields.
        prefix: of the variables.
        environment: the variables.
        faults: gets a line for each file that cannot be used; never what is in it.
    """
    found: dict[str, Any] = {}
    for name in secret_names(model):
        variable = prefix + name.upper()
        path = environment.get(variable + SUFFIX)
        if path is None:
            continue
        if variable in environment:
            faults.append(f"{variable} and {variable}{SUFFIX} are both set: which one counts? Unset one")
            continue
        try:
            with Path(path).open("rb") as file:
                text = file.read(_MOST_BYTES).decode().removesuffix("\n").removesuffix("\r")
        except OSError as exc:
            faults.append(f"{variable}{SUFFIX}: {path} cannot be read ({exc.strerror})")
        except UnicodeDecodeError:
            faults.append(f"{variable}{SUFFIX}: {path} is not text")
        else:
            if text:
                found[name] = text
            else:
                faults.append(f"{variable}{SUFFIX}: {path} is empty")
    return found


def unreadable(**files: Path | None) -> Iterator[str]:
    """A line for each file that this process cannot read; by variable."""
    for variable, path in files.items():
        if path is None:
            continue
        if not path.is_file():
            yield f"{variable}: there is no file {path}"
        elif not os.access(path, os.R_OK):
            yield f"{variable}: {path} may not be read by this process"


def shown(secret: SecretStr | None) -> str | None:
    """The secret itself, for the client library that needs it."""
    return None if secret is None else secret.get_secret_value()


def refuse(faults: list[str]) -> None:
    """For validators of whole models.

    Raises:
        ValueError: there are faults; one line each.
    """
    if faults:
        raise ValueError("\n  ".join(faults))
