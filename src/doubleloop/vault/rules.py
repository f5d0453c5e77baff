"""What may be a secret, and how one is referred to: pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from doubleloop.base import errors
from doubleloop.vault.model import Reference, Secret, Version

# Bytes; the kernel passes no variable of more than 128 KiB to a process.
MOST = 64 * 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,126}")
_REFERENCE = re.compile(r"\$\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_-]{0,126})(?:@([1-9][0-9]{0,8}))?\s*\}\}")
_MENTION = re.compile(r"\$\{\{\s*secrets\b")


def check_name(name: str) -> None:
    """Raises InvalidInput."""
    if not _NAME.fullmatch(name):
        raise errors.InvalidInput(
            f"'{name[:130]}' cannot be the name of a secret",
            cure="Begin with a letter or '_', then letters, digits, '_' and '-'; 127 at most.",
        )


def check_value(value: str) -> None:
    """Raises InvalidInput, and never repeats the value."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        size = 0
    if size > MOST:
        raise errors.TooLarge(f"The value has {size} bytes; the limit is {MOST}", cure="Keep files as data.")
    if not size or "\0" in value:
        raise errors.InvalidInput(
            "The value must be text (UTF-8) that is not empty and holds no NUL", cure="Encode bytes as Base64."
        )


def reference(text: str, where: errors.Where | None = None) -> Reference | None:
    """The secret that ``text`` stands for, None when it mentions none. Raises InvalidInput for one amid other text."""
    found = _REFERENCE.fullmatch(text.strip())
    if found:
        return Reference(found[1], int(found[2]) if found[2] else None)
    if _MENTION.search(text):
        raise errors.InvalidInput(
            "A secret must be the whole value of a variable",
            where=where,
            cure="Write ${{secrets.NAME}} or ${{secrets.NAME@VERSION}} alone; put texts together in the program.",
        )
    return None


def mentions(text: str, where: errors.Where | None = None) -> dict[str, Reference]:
    """Every secret that stands in ``text``, alone or amid other text, by how it is written there. Raises InvalidInput
    for a mention that is none."""
    found = {each[0]: Reference(each[1], int(each[2]) if each[2] else None) for each in _REFERENCE.finditer(text)}
    if len(_MENTION.findall(text)) != len(list(_REFERENCE.finditer(text))):
        raise errors.InvalidInput(
            f"'{text[:80]}' names a secret in no form that is known",
            where=where,
            cure="Write ${{secrets.NAME}} or ${{secrets.NAME@VERSION}}.",
        )
    return found


def references(variables: Mapping[str, str]) -> dict[str, Reference]:
    """Variables that stand for secrets. Raises InvalidInput."""
    found = {name: reference(text) for name, text in variables.items()}
    return {name: each for name, each in found.items() if each is not None}


def chosen(secret: Secret | None, wanted: Reference, workspace: str) -> Version:
    """The version that is meant. Raises NotFound when it is not there, or has no value any more."""
    if secret is None or secret.latest is None:
        raise errors.NotFound(
            f"There is no secret {wanted.name} in {workspace}", cure=f"Make it: `doubleloop secret set {wanted.name}`."
        )
    if wanted.number is None:
        return secret.latest
    numbers = [each.number for each in secret.versions if each.destroyed_at is None]
    if wanted.number not in numbers:
        raise errors.NotFound(
            f"Secret {wanted.name} in {workspace} has no version {wanted.number}",
            cure=f"There are: {', '.join(map(str, sorted(numbers)))}.",
        )
    return next(each for each in secret.versions if each.number == wanted.number)
