"""Which safe the settings ask for."""

from __future__ import annotations

from doubleloop.base import errors
from doubleloop.secrets import ports as secrets
from doubleloop.settings.model import Settings
from doubleloop.vault import fernet, hashicorp, ports


def safe(settings: Settings, keys: secrets.Keys) -> ports.Safe:
    """Where values of secrets are kept. Raises InvalidInput for settings that do not fit together."""
    if settings.secrets_safe not in ("sealed", "vault"):
        raise errors.InvalidInput(
            f"DOUBLELOOP_SECRETS_SAFE={settings.secrets_safe!r} is not known", cure="Use sealed or vault."
        )
    if settings.secrets_safe == "sealed" and not settings.vault_transit_key:
        given = [key.strip() for key in settings.secrets_keys.split(",") if key.strip()]
        return fernet.SealedSafe(fernet.LocalKeys(given, keys.derive))
    token = hashicorp.token_from(settings.vault_token, settings.vault_token_file)
    client = hashicorp.Client(settings.vault_url, token, settings.vault_namespace)
    if settings.secrets_safe == "vault":
        return hashicorp.KvSafe(client, settings.vault_mount, settings.vault_prefix)
    return fernet.SealedSafe(hashicorp.TransitKeys(client, settings.vault_transit_key))
