"""Contracts of data assets: what each new version of a name must look like, and again before something trains on it.

What breaks its contract is refused with its reasons, and nothing of it stays; or, where the contract says ``alert``, is
taken, and the break is a fact. Reading a table takes time: ``look`` does it outside of a transaction, and what it found
goes along to ``commands.add_version``, which looks by itself when the contract has changed meanwhile.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from doubleloop.base import actors, canonical, clock, errors
from doubleloop.catalog import model as assets
from doubleloop.data import model, store
from doubleloop.db.context import Contexts, Ctx
from doubleloop.events import commands as events
from doubleloop.frames import contracts as engine
from doubleloop.frames import reading as frames
from doubleloop.identity import commands as identity
from doubleloop.identity import things
from doubleloop.identity.actions import Action
from doubleloop.specs import documents
from doubleloop.specs import model as specs
from doubleloop.storage import ports as storage

# Reasons that stand in an error; the rest is in its details.
TOLD = 5
TELL = ("data_scientist",)


def put(ctx: Ctx, document: documents.Document) -> model.Contract:
    """Attach a contract to the data asset that it names; versions that there are stay as they are.

    Raises InvalidInput (with its line) for a contract that names no asset, or that cannot be checked.
    """
    spec = document.model
    if not spec.data:
        raise errors.InvalidInput(
            "The contract names no data asset", where=document.source.where(""), cure="Add `data: NAME`."
        )
    name = spec.data.removeprefix("azureml:")
    identity.permit(ctx, Action.DATA_WRITE, resource=f"data/{name}")
    assert ctx.workspace is not None
    _parse(document)
    wire = document.to_wire()
    before = store.contract(ctx, ctx.workspace, name)
    made = model.Contract(
        ctx.workspace, name, wire, spec.on_break, canonical.sha256(wire["spec"]), ctx.actor.id,
        before.created_at if before else ctx.now,
    )  # fmt: skip
    if before and before.hash == made.hash:
        return before
    store.put_contract(ctx, made)
    told = {"before": _said(before), "after": _said(made)}
    events.record(ctx, "contract.changed" if before else "contract.created", made.subject, data=name, **told)
    return made


def _said(kept: model.Contract | None) -> Any:
    return None if kept is None else specs.plain(documents.from_wire(kept.document).model)


def _parse(document: documents.Document) -> engine.Contract:
    try:
        return engine.parse(specs.plain(document.model), document.source.file)
    except errors.InvalidInput as error:
        path = error.where.path if error.where else ""
        raise errors.InvalidInput(error.what, where=document.source.where(path), cure=error.cure) from error


def get(ctx: Ctx, name: str) -> model.Contract:
    """Raises NotFound."""
    identity.permit(ctx, Action.DATA_READ, resource=f"data/{name}")
    assert ctx.workspace is not None
    found = store.contract(ctx, ctx.workspace, name)
    if found is None:
        names = [each.name for each in store.contracts(ctx, ctx.workspace)]
        cure = things.known(ctx, Action.DATA_READ, "data", names)
        raise errors.NotFound(f"No contract is attached to the data asset '{name}' in {ctx.workspace}", cure=cure)
    return found


def every(ctx: Ctx) -> list[model.Contract]:
    sees = things.seen(ctx, Action.DATA_READ, "data")
    assert ctx.workspace is not None
    return [each for each in store.contracts(ctx, ctx.workspace) if sees(each.name)]


def checks(ctx: Ctx, name: str, limit: int = 100) -> list[model.ContractCheck]:
    """How versions did, newest first. Raises NotFound."""
    return store.contract_checks(ctx, get(ctx, name), limit)


def delete(ctx: Ctx, name: str) -> None:
    """Raises NotFound."""
    identity.permit(ctx, Action.DATA_WRITE, resource=f"data/{name}")
    found = get(ctx, name)
    store.delete_contract(ctx, found)
    events.record(ctx, "contract.deleted", found.subject, data=name, before=_said(found))


def look(
    contexts: Contexts, actor: actors.Actor, workspace: str, name: str, reference: str
) -> model.Judged | None:  # fmt: skip
    """How content that is to become a version of ``name`` keeps the contract; None when there is none.

    Raises NotPermitted, and InvalidInput with the reasons when it is refused, which is on record then.
    """
    with contexts.read(actor, workspace) as ctx:
        contract = store.contract(ctx, workspace, name)
        if contract is None:
            return None
        identity.permit(ctx, Action.DATA_WRITE, resource=f"data/{name}")
    judged = _judge(contexts.port(storage.Blobs), contract, reference, contexts.now())
    if judged.broken and contract.refuses:
        with contexts.write(actor, workspace) as ctx:
            events.record(ctx, "contract.refused", contract.subject, **_facts(contract, judged), tell=list(TELL))
        raise _refusal(contract, f"A new version of {name}", judged)
    return judged


def hold(ctx: Ctx, name: str, reference: str, judged: model.Judged | None) -> model.Judged | None:
    """What ``look`` found, if the contract is still the one that it looked with; else it is looked at now.

    Raises InvalidInput when it is refused.
    """
    assert ctx.workspace is not None
    contract = store.contract(ctx, ctx.workspace, name)
    if contract is None:
        return None
    if judged is None or judged.contract != contract.hash:
        judged = _judge(ctx.port(storage.Blobs), contract, reference, ctx.now)
    if judged.broken and contract.refuses:
        raise _refusal(contract, f"A new version of {name}", judged)
    return judged


def note(ctx: Ctx, asset: assets.Asset, judged: model.Judged | None) -> None:
    """Keep how a version did, once; a break that was let through is a fact."""
    if judged is None or not store.add_contract_check(ctx, asset, judged):
        return
    contract = store.contract(ctx, asset.workspace, asset.name)
    if judged.broken and contract is not None:
        told = {**_facts(contract, judged), "version": asset.version}
        events.record(ctx, "contract.broken", contract.subject, **told, tell=list(TELL))


def before_use(contexts: Contexts, actor: actors.Actor, asset: assets.Asset) -> None:
    """Before a job takes a version as its input. Raises InvalidInput when it breaks its contract, which says refuse.

    What was found of the version by the same contract counts, unless that asks how fresh it is.
    """
    with contexts.read(actor, asset.workspace) as ctx:
        contract = store.contract(ctx, asset.workspace, asset.name)
        known = store.contract_check(ctx, asset, contract.hash) if contract is not None else None
    if contract is None:
        return
    judged = known.judged if known is not None and not _ages(contract) else None
    if judged is None:
        judged = _judge(contexts.port(storage.Blobs), contract, asset.spec["reference"], contexts.now())
        with contexts.write(actor, asset.workspace) as ctx:
            note(ctx, asset, judged)
    if judged.broken and contract.refuses:
        raise _refusal(contract, f"{asset.name}:{asset.version}", judged)


def refuse_known(ctx: Ctx, asset: assets.Asset) -> None:
    """When a job is submitted: what is known to break its contract is refused at once. Raises InvalidInput."""
    contract = store.contract(ctx, asset.workspace, asset.name)
    known = store.contract_check(ctx, asset, contract.hash) if contract is not None and contract.refuses else None
    if contract is not None and known is not None and known.judged.broken and not _ages(contract):
        raise _refusal(contract, f"{asset.name}:{asset.version}", known.judged)


def _ages(contract: model.Contract) -> bool:
    """Whether what was found of a version may be otherwise later."""
    return "freshness" in contract.document["spec"]


def _judge(blobs: storage.Blobs, contract: model.Contract, reference: str, as_of: Any) -> model.Judged:
    spec = engine.parse(specs.plain(documents.from_wire(contract.document).model))
    try:
        with tempfile.TemporaryDirectory(prefix="doubleloop-contract-") as scratch:
            name = reference.rpartition("/")[2] if "/" in reference else "data"
            table = frames.read(blobs.materialise(reference, Path(scratch) / name), spec.texts)
    except errors.DoubleloopError as error:
        unread = {"column": "", "rule": "table", "count": 1, "share": None, "expected": "a table that can be read",
                  "examples": []}  # fmt: skip
        return model.Judged(contract.hash, (f"it cannot be read as a table: {error.what}",), (unread,), 0, as_of)
    found = engine.measure(spec, table, as_of)
    return model.Judged(
        contract.hash, tuple(engine.reasons(found["violations"])), tuple(found["violations"]), found["rows"], as_of
    )


def _refusal(contract: model.Contract, what: str, judged: model.Judged) -> errors.InvalidInput:
    more = len(judged.reasons) - TOLD
    told = "; ".join(judged.reasons[:TOLD]) + (f"; and {more} more" if more > 0 else "")
    return errors.InvalidInput(
        f"{what} breaks its contract: {told}",
        cure=f"Mend the data, or change the contract (`doubleloop contract show -n {contract.name}`).",
        details={"violations": list(judged.violations), "rows": judged.rows},
    )


def _facts(contract: model.Contract, judged: model.Judged) -> dict[str, Any]:
    return {
        "data": contract.name, "reasons": list(judged.reasons[:TOLD]), "rows": judged.rows,
        "violations": [
            {key: each[key] for key in ("column", "rule", "count", "share", "expected")} for each in judged.violations
        ],
        "as_of": clock.iso(judged.at),
    }  # fmt: skip
