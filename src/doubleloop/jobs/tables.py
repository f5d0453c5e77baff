"""What an MLTable file says, for runs that read tables in an environment without a reader of YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from doubleloop.base import errors


def described(path: str | None, type_: str | None) -> dict[str, Any] | None:
    """The content of the MLTable file in the folder ``path``; None for data that is no table. Raises InvalidInput."""
    if type_ != "mltable" or path is None:
        return None
    file = Path(path) / "MLTable"
    if not file.exists():
        raise errors.InvalidInput(f"{path} holds no file named MLTable", cure="Give it the type uri_folder instead.")
    try:
        found = YAML(typ="safe", pure=True).load(file)
    except (YAMLError, UnicodeDecodeError) as error:
        raise errors.InvalidInput(f"The MLTable file is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise errors.InvalidInput("The MLTable file is not a mapping", cure="Write 'paths:' and 'transformations:'.")
    return found
