"""The installation's key for the record: Ed25519, derived from its one secret file, and not stored."""

from __future__ import annotations

import hashlib

from doubleloop.base import canonical, record, signing
from doubleloop.db.context import Ctx
from doubleloop.secrets import ports as secrets

_PURPOSE = "audit/signing-key/1"


def _seed(ctx: Ctx) -> bytes:
    return hashlib.sha256(ctx.port(secrets.Keys).derive(_PURPOSE).encode()).digest()


def public_key(ctx: Ctx) -> str:
    """Base64 of 32 bytes: whoever has it can prove exports and checkpoints without this installation."""
    return signing.public_key(_seed(ctx))


def sign(ctx: Ctx, purpose: str, said: object) -> str:
    """``purpose``: one of the forms of ``base.record``; ``said``: JSON."""
    return signing.sign(_seed(ctx), purpose, canonical.dumps(said))


def checkpoint(ctx: Ctx, seq: int, hash_: str) -> record.Checkpoint:
    bare = record.Checkpoint(seq, hash_, ctx.now, public_key(ctx), "")
    return record.Checkpoint(seq, hash_, ctx.now, bare.public, sign(ctx, record.CHECKPOINT, bare.said))
