"""What a manifest must say, and which files belong to it: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from doubleloop.base import canonical, errors
from doubleloop.bundles import model

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_REFERENCE = re.compile(r"(?:blob|tree):sha256:([0-9a-f]{64})(?:/[^\x00]*)?\Z")
_PARTS: Mapping[str, type] = {
    "format": str, "release": dict, "model": dict, "code": dict, "data": list, "evidence": list, "approvals": list,
    "facts": list, "files": dict, "created_at": str,
}  # fmt: skip
_MODEL: Mapping[str, type] = {"name": str, "version": str, "digest": str, "reference": str, "authors": list}
_LOCK: Mapping[str, type] = {"python": str, "requirements": list, "platform": str}
_EVIDENCE = ("id", "subject", "check", "type", "outcome", "reasons", "body", "attachments", "created_by", "created_at")


def sha256_of(reference: str) -> str:
    """The hash in ``blob:sha256:H`` or ``tree:sha256:H/…``. Raises InvalidInput."""
    found = _REFERENCE.match(reference)
    if found is None:
        raise errors.InvalidInput(f"'{reference[:80]}' is no stored content")
    return found[1]


def evidence_hash(item: Mapping[str, Any]) -> str:
    """As ``gates`` hashes evidence when it is deposited: everything but its id and its hash."""
    return canonical.sha256({key: value for key, value in item.items() if key not in ("id", "hash")})


def check(manifest: Mapping[str, Any]) -> None:
    """Raises InvalidInput for a manifest that is none, or whose evidence is not what was hashed."""
    if manifest.get("format") != model.FORMAT:
        raise errors.InvalidInput(
            f"This is no bundle of the form {model.FORMAT}: it says {str(manifest.get('format'))[:40]!r}",
            cure="Export it again with a Doubleloop of this generation.",
        )
    _check_parts(manifest, _PARTS, "the manifest")
    _check_parts(manifest["model"], _MODEL, "the manifest's model")
    _check_texts(manifest["model"]["authors"], "the model's authors")
    _check_code(manifest["code"])
    _check_lock(manifest.get("environment"))
    sha256_of(manifest["model"]["reference"])
    for sha256, size in manifest["files"].items():
        if not _SHA256.match(sha256) or not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise errors.InvalidInput("The manifest's list of files is not hash to size")
    for item in manifest["evidence"]:
        _check_evidence(item)
    lost = [each for each in _roots(manifest) if each not in manifest["files"]]
    if lost:
        raise errors.InvalidInput(f"The manifest names content that is not among its files: {lost[0][:12]}…")


def _check_parts(body: Mapping[str, Any], parts: Mapping[str, type], what: str) -> None:
    for name, type_ in parts.items():
        if not isinstance(body.get(name), type_):
            raise errors.InvalidInput(f"{what} has no '{name}' of the right form")


def _check_texts(found: Any, what: str) -> None:
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise errors.InvalidInput(f"{what} in the manifest must be a list of texts")


def _check_code(code: Mapping[str, Any]) -> None:
    if not isinstance(code.get("deployment"), str | None):
        raise errors.InvalidInput("the deployment's code in the manifest must be a reference")
    _check_texts(code.get("training"), "the training code")


def _check_lock(lock: Any) -> None:
    if lock is None:
        return
    if not isinstance(lock, Mapping):
        raise errors.InvalidInput("the manifest's environment must be a lock")
    _check_parts(lock, _LOCK, "the manifest's environment")
    for name in ("requirements", "options", "notices"):
        _check_texts(lock.get(name, []), f"the environment's {name}")


def _check_evidence(item: Any) -> None:
    if not isinstance(item, Mapping) or any(name not in item for name in (*_EVIDENCE, "hash")):
        raise errors.InvalidInput("A piece of evidence in the manifest is not complete")
    if not isinstance(item["attachments"], Mapping) or not isinstance(item["body"], Mapping):
        raise errors.InvalidInput(f"The evidence {item['check']} in the manifest is not of the right form")
    _check_texts(list(item["attachments"].values()), f"the attachments of the evidence {item['check']}")
    if evidence_hash(item) != item["hash"]:
        raise errors.InvalidInput(
            f"The evidence {item['check']} was changed after it was deposited", cure="Do not use this bundle."
        )


def _roots(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield sha256_of(manifest["model"]["reference"])
    code = manifest["code"]
    for reference in [code.get("deployment"), *(code.get("training") or [])]:
        if reference:
            yield sha256_of(reference)
    for item in manifest["evidence"]:
        for reference in item["attachments"].values():
            yield sha256_of(reference)


def parted(manifest: Mapping[str, Any]) -> str:
    """The hash of what a bundle says, without when: the same content again is the same bundle."""
    return canonical.sha256({key: value for key, value in manifest.items() if key != "created_at"})
