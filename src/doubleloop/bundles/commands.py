"""Making a bundle of what goes to production; taking in one that another installation made."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from doubleloop.base import actors, canonical, clock, errors
from doubleloop.bundles import model, queries, rules, signing, store
from doubleloop.catalog import commands as catalog
from doubleloop.catalog import model as catalog_model
from doubleloop.catalog import queries as assets
from doubleloop.db.context import Contexts, Ctx
from doubleloop.environments import commands as environments
from doubleloop.environments import model as pins
from doubleloop.environments import queries as locks
from doubleloop.events import commands as events
from doubleloop.events import model as fact_model
from doubleloop.events import queries as facts
from doubleloop.gates import model as gate_model
from doubleloop.gates import queries as gates
from doubleloop.gates import rules as gate_rules
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.jobs import queries as jobs
from doubleloop.models import commands as model_commands
from doubleloop.models import queries as models
from doubleloop.models.model import ModelVersion
from doubleloop.secrets import ports as secrets
from doubleloop.storage import ports as storage
from doubleloop.workspaces.model import REGISTRY


def pack(contexts: Contexts, actor: actors.Actor, wanted: model.Wanted) -> model.Bundle:
    """Everything ``wanted`` names as one signed bundle; what was packed before is that bundle again.

    Reads the stores of bytes, so never inside a transaction. Raises NotFound, Failed for evidence that was altered.
    """
    with contexts.read(actor, wanted.workspace) as ctx:
        manifest = _manifest(ctx, wanted)
        content = rules.parted(manifest)
        known = store.of_content(ctx, content)
    if known:
        return known
    rules.check(manifest)
    keys, blobs = contexts.port(secrets.Keys), contexts.port(storage.Blobs)
    digest = blobs.put_bytes(canonical.dumps(manifest).encode())
    name, version = wanted.model
    with contexts.write(actor, wanted.workspace) as ctx:
        made = model.Bundle(
            digest, wanted.release["id"], wanted.workspace, name, version, signing.key_id(signing.public_key(keys)),
            signing.sign(keys, digest), tuple(manifest["model"]["authors"]), len(manifest["files"]),
            sum(manifest["files"].values()), False, ctx.actor.id, ctx.now,
        )  # fmt: skip
        store.insert(ctx, made, content)
        catalog.link(ctx, f"model:{REGISTRY}/{name}:{version}", "bundled", made.subject)
        catalog.link(ctx, made.subject, "released", wanted.subject)
        events.record(
            ctx, "bundle.made", made.subject, release=made.release, model=f"{name}:{version}", key=made.key,
            signature=made.signature, files=made.files, size=made.size,
        )  # fmt: skip
    return made


def _manifest(ctx: Ctx, wanted: model.Wanted) -> dict[str, Any]:
    altered = gates.altered(ctx, wanted.subject)
    if altered:
        raise errors.Failed(f"the evidence of {', '.join(altered)} was changed after it was deposited")
    version = models.get(ctx, *wanted.model)
    evidence = gates.evidence(ctx, wanted.subject)
    manifest: dict[str, Any] = {
        "format": model.FORMAT,
        "release": dict(wanted.release),
        "model": _model(version),
        "environment": locks.lock(ctx, wanted.lock).to_dict() if wanted.lock else None,
        "code": {"deployment": wanted.code or None, "training": _training_code(ctx, version)},
        "data": _data(ctx, evidence, version),
        "evidence": [{**gate_rules.document(each), "id": each.id, "hash": each.hash} for each in evidence],
        "approvals": [_approval(each) for each in gates.approvals(ctx, wanted.subject)],
        "facts": [_fact(each) for each in facts.facts(ctx, subject=wanted.subject) if each.type != "release.bundled"],
        "created_at": clock.iso(ctx.now),
    }  # fmt: skip
    return {**manifest, "files": _files(ctx.port(storage.Blobs), manifest)}


def _model(version: ModelVersion) -> dict[str, Any]:
    return {
        "name": version.name, "version": version.version, "digest": version.digest, "reference": version.reference,
        "flavor": version.flavor, "signature": version.signature, "run_id": version.run_id, "job": version.job,
        "authors": sorted({version.created_by, *version.authors}), "created_by": version.created_by,
        "created_at": clock.iso(version.created_at), "training_data": list(version.training_data),
    }  # fmt: skip


def _training_code(ctx: Ctx, version: ModelVersion) -> list[str]:
    job = jobs.get(ctx, version.job) if version.job else None
    if job is None:
        return []
    steps = jobs.steps(ctx.in_workspace(job.workspace), job.id)
    return sorted({step.task.code for step in steps if step.task.code})


def _data(ctx: Ctx, evidence: Sequence[gate_model.Evidence], version: ModelVersion) -> list[dict[str, Any]]:
    """What the model was made from and judged on, by id and fingerprint: who may read the bundle may not be one who may
    read the rows, which stay where they are."""
    ids = {*version.training_data, *(id_ for each in evidence for id_ in each.body.get("data_ids") or [])}
    found = []
    for id_ in sorted(ids):
        workspace, _, rest = id_.removeprefix("data:").partition("/")
        name, _, number = rest.rpartition(":")
        known = assets.get(ctx, "data", workspace, name, number)
        spec = {key: value for key, value in known.spec.items() if key != "reference"} if known else None
        found.append({"id": id_, "digest": catalog_model.fingerprint(known.digest) if known else None, "spec": spec})
    return found


def _approval(approval: gate_model.Approval) -> dict[str, Any]:
    return {
        "id": approval.id, "gate": approval.gate, "workspace": approval.workspace,
        "personas": list(approval.personas), "count": approval.count, "not_author": approval.authors,
        "evidence_digest": approval.evidence_digest, "status": approval.status.value, "reason": approval.reason,
        "decisions": [
            {"actor": each.actor, "decision": each.decision, "comment": each.comment,
             "evidence_digest": each.evidence_digest, "at": clock.iso(each.at)}
            for each in approval.decisions
        ],
    }  # fmt: skip


def _fact(fact: fact_model.Fact) -> dict[str, Any]:
    return {
        "seq": fact.seq, "type": fact.type, "actor": fact.actor, "at": clock.iso(fact.at), "data": fact.data,
        "previous": fact.previous, "hash": fact.hash,
    }  # fmt: skip


def _files(blobs: storage.Blobs, manifest: Mapping[str, Any]) -> dict[str, int]:
    """Hash to size of everything stored that the manifest names: trees, and each file in them."""
    code = manifest["code"]
    references = [manifest["model"]["reference"], code["deployment"], *code["training"]]
    references += [each for item in manifest["evidence"] for each in item["attachments"].values()]
    found: dict[str, int] = {}
    for reference in filter(None, references):
        sha256 = rules.sha256_of(reference)
        found[sha256] = blobs.path(sha256).stat().st_size
        if reference.startswith("tree:"):
            found |= {entry.sha256: entry.size for entry in blobs.tree(sha256).entries}
    return dict(sorted(found.items()))


def export(ctx: Ctx, digest: str) -> tuple[model.Bundle, str, str]:
    """A bundle on its way out: with its manifest's text and the public key, both verified before they leave; on record.

    Raises NotFound, Failed when it is no longer what was signed.
    """
    made = queries.find(ctx, digest)
    queries.verify(ctx, made)
    public = queries.public_of(ctx, made.key)
    assert public is not None
    events.record(ctx, "bundle.exported", made.subject, model=f"{made.model}:{made.version}", key=made.key)
    return made, canonical.dumps(queries.manifest(ctx, made)), public


def admit(contexts: Contexts, actor: actors.Actor, text: str, key: str, signature: str) -> model.Bundle:
    """Take in a bundle whose files have been uploaded: checked against its signature, each file against its hash,
    each piece of evidence against its own. The model is registered, the lock and the evidence are kept.

    The same bundle again is the one that is there. Raises NotPermitted, InvalidInput, Conflict.
    """
    with contexts.read(actor, REGISTRY) as ctx:
        identity.permit(ctx, Action.MODEL_WRITE)
        manifest = _read(text)
        blobs, digest = contexts.port(storage.Blobs), canonical.sha256(text)
        known = store.get(ctx, digest)
        _trusted(ctx, digest, key, signature)
    if known:
        return known
    lacking = [sha256 for sha256 in manifest["files"] if not blobs.has(sha256)]
    if lacking:
        raise errors.InvalidInput(
            f"{len(lacking)} files of the bundle were not uploaded, the first {lacking[0][:12]}…",
            cure="Import it again; what has arrived is not sent twice.",
        )
    _check_files(blobs, manifest)
    lock = _lock(manifest)
    said = manifest["model"]
    # Before anything is registered: what was refused must leave nothing behind.
    if _content(blobs, said["reference"]) != said["digest"]:
        raise errors.InvalidInput("The model's files are not those that the manifest names")
    version = model_commands.create(contexts, actor, REGISTRY, said["name"], said["reference"])
    blobs.put_bytes(text.encode())
    with contexts.write(actor, REGISTRY) as ctx:
        if lock is not None:
            environments.keep_lock(ctx, lock, digest)
        made = model.Bundle(
            digest, str(manifest["release"].get("id", "")), str(manifest["release"].get("workspace", "")),
            version.name, version.version, key, signature, tuple(str(each) for each in said["authors"]),
            len(manifest["files"]), sum(manifest["files"].values()), True, ctx.actor.id, ctx.now,
        )  # fmt: skip
        store.insert(ctx, made, rules.parted(manifest))
        catalog.link(ctx, made.subject, "imported", version.id)
        events.record(
            ctx, "bundle.imported", made.subject, model=f"{version.name}:{version.version}", key=key,
            signature=signature, origin={"release": made.release, "model": f"{said['name']}:{said['version']}"},
            authors=list(made.authors), evidence=[each["hash"] for each in manifest["evidence"]],
        )  # fmt: skip
    if lock is not None:
        environments.remember(contexts, version.reference, lock)
    return made


def _read(text: str) -> dict[str, Any]:
    if len(text.encode()) > model.MOST_MANIFEST_BYTES:
        raise errors.TooLarge(f"The manifest has more than {model.MOST_MANIFEST_BYTES} bytes")
    try:
        manifest = json.loads(text)
        if not isinstance(manifest, dict) or canonical.dumps(manifest) != text:
            raise ValueError("not the canonical form that was signed")
    except (ValueError, RecursionError) as error:
        raise errors.InvalidInput(f"The manifest cannot be read: {error}"[:300]) from None
    rules.check(manifest)
    return manifest


def _trusted(ctx: Ctx, digest: str, key: str, signature: str) -> None:
    public = queries.public_of(ctx, key)
    if public is None:
        raise errors.NotPermitted(
            f"The bundle is signed with the key {key[:16]}, which is not trusted here",
            cure="Compare the key with its owner (`doubleloop registry key` there), then `doubleloop registry trust`.",
        )
    if not signing.verify(public, digest, signature):
        raise errors.InvalidInput("The bundle is not what was signed", cure="It was altered on its way; get it again.")


def _check_files(blobs: storage.Blobs, manifest: Mapping[str, Any]) -> None:
    """Stored content is checked against its hash when it arrives; sizes and the files inside of trees are checked
    here, so that a manifest cannot leave any of them out."""
    for sha256, size in manifest["files"].items():
        if blobs.path(sha256).stat().st_size != size:
            raise errors.InvalidInput(f"The file {sha256[:12]}… does not have the {size} bytes that the manifest says")
    if _files(blobs, manifest) != manifest["files"]:
        raise errors.InvalidInput("The manifest's list of files is not that of what it names")


def _content(blobs: storage.Blobs, reference: str) -> str:
    """The hash of a model's files: of the folder, or of the one thing in it that the reference names."""
    sha256 = rules.sha256_of(reference)
    _, _, below = reference.partition("/")
    if not below:
        return sha256
    entries = blobs.tree(sha256).entries
    inside = tuple(
        dataclasses.replace(each, path=each.path.removeprefix(f"{below}/"))
        for each in entries
        if each.path.startswith(f"{below}/")
    )
    return next((each.sha256 for each in entries if each.path == below), None) or blobs.put_entries(inside).sha256


def _lock(manifest: Mapping[str, Any]) -> pins.Lock | None:
    body = manifest.get("environment")
    if body is None:
        return None
    try:
        return pins.Lock.from_dict(body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise errors.InvalidInput(f"The bundle's environment lock cannot be read: {error}") from None


def trust(ctx: Ctx, name: str, public: str) -> model.TrustedKey:
    """Take bundles that are signed with this key. Raises InvalidInput for what is no key."""
    identity.permit(ctx, Action.IDENTITY_WRITE)
    if not name.strip() or len(name) > 255:
        raise errors.InvalidInput("The key needs a name", cure="Name the installation it belongs to.")
    key = model.TrustedKey(signing.key_id(public), name.strip(), public, ctx.actor.id, ctx.now)
    store.put_key(ctx, key)
    events.record(ctx, "bundle.key_trusted", f"key:{key.id}", name=key.name, public=public)
    return key


def distrust(ctx: Ctx, id_: str) -> None:
    """Take no more bundles of this key; those that are here stay. Raises NotFound."""
    identity.permit(ctx, Action.IDENTITY_WRITE)
    if id_ not in {each.id for each in store.keys(ctx)}:
        raise errors.NotFound(f"The key {id_[:16]} is not among the trusted ones")
    store.remove_key(ctx, id_)
    events.record(ctx, "bundle.key_distrusted", f"key:{id_}")
