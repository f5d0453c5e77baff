"""What can be set, from ``DOUBLELOOP_*`` variables or the flags of ``doubleloop up``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from doubleloop.base import errors


def _setting(default: Any, why: str, *, shown: bool = True) -> Any:
    return field(default=default, repr=shown, metadata={"why": why})


# What commands of jobs need to reach package indexes from this machine; nothing else is passed on to them.
NETWORK_VARIABLES = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "TZ",
)  # fmt: skip


LAST_PORT = 65535
_KINDS = {int: "a whole number", float: "a number", str: "a text", Path: "a path"}


@dataclass(frozen=True)
class Settings:
    """Every setting of an installation. Paths are absolute; durations are seconds; sizes are bytes."""

    home: Path = _setting(
        Path("~/.doubleloop"),
        "Folder of everything this installation owns: database, blobs, environments, runs, inference log.",
    )
    host: str = _setting("127.0.0.1", "Address to listen on. Loopback, because there is no TLS in front yet.")
    port: int = _setting(8600, "Port of the API, the console and MLflow's proxy.")
    gateway_port: int = _setting(0, "Port of the serving gateway; 0 means the port after `port`.")
    gateway_processes: int = _setting(
        0, "Processes that answer requests on the gateway's port; 0 means one for every four processors, at least one."
    )
    database_url: str = _setting("", "SQLAlchemy URL of the database; empty means SQLite (WAL) in the home folder.")
    compute_slots: int = _setting(
        0, "Job steps that may run at the same time; 0 means one per processor, at least two."
    )
    step_quota: int = _setting(20 * 2**30, "Bytes that one job step may write before it is stopped.")
    step_timeout: float = _setting(0.0, "Seconds a job step may run when its file says nothing; 0 means no limit.")
    poll_interval: float = _setting(
        0.1, "Seconds between looks at the outbox and the fact log: the delay added to each hand-over."
    )
    upload_limit: int = _setting(20 * 2**30, "Bytes of the largest single file the API accepts.")
    private_addresses: str = _setting(
        "",
        "What data URLs, webhooks and notifications may reach beside the internet: addresses, networks (10.1.0.0/16), "
        "host names (*.corp.example), with commas between; `*` is everything.",
    )
    mail_url: str = _setting(
        "",
        "Mail server that mailboxes are written to by, as apprise has it: "
        "`mailtos://USER:PASSWORD@smtp.example.com:587?from=doubleloop@example.com`; empty means the host of each "
        "mailbox.",
        shown=False,
    )
    mail_url_file: str = _setting("", "File with that address, read at each message: it holds a password.")
    datastore_roots: str = _setting(
        "",
        "Folders that local datastores may lie in, with `:` between; empty means any that holds nothing of this "
        "installation's own.",
    )
    advisories: str = _setting(
        "", "Folder or zip of OSV advisories for PyPI; empty means package scans are recorded as not checked."
    )
    uv_cache: str = _setting("", "Folder of uv's download cache; empty means uv's own default.")
    secrets_keys: str = _setting(
        "",
        "Fernet keys for secrets, newest first, with commas between; the key derived from the home's `secret.key` "
        "comes last, and alone when this is empty.",
        shown=False,
    )
    secrets_safe: str = _setting(
        "sealed", "Where values of secrets are kept: `sealed` (encrypted in the database) or `vault` (HashiCorp Vault)."
    )
    vault_url: str = _setting("", "Address of HashiCorp Vault, such as https://vault.example:8200.")
    vault_token: str = _setting("", "Token for HashiCorp Vault; a file is better.", shown=False)
    vault_token_file: str = _setting(
        "", "File with the token for HashiCorp Vault, read at each request: an agent may renew it."
    )
    vault_namespace: str = _setting("", "Namespace in HashiCorp Vault; empty means none.")
    vault_mount: str = _setting("secret", "Mount of its KV engine (version 2), for the safe `vault`.")
    vault_prefix: str = _setting("doubleloop", "Path under the mount; secrets are PREFIX/WORKSPACE/NAME.")
    vault_transit_key: str = _setting(
        "", "Key of its Transit engine that locks the safe `sealed` in place of local keys; empty means local keys."
    )
    public_url: str = _setting(
        "", "Address under which browsers reach this installation, behind a proxy; empty means as each request says."
    )
    oidc_issuer: str = _setting(
        "", "Issuer of an OpenID Connect provider to log in with, such as https://login.example; empty means none."
    )
    oidc_client_id: str = _setting("", "This installation's client id at the provider.")
    oidc_client_secret: str = _setting("", "Its client secret; a file is better.", shown=False)
    oidc_client_secret_file: str = _setting("", "File with the client secret, read at each use.")
    oidc_scopes: str = _setting("openid profile email", "Scopes to ask the provider for.")
    oidc_user_claim: str = _setting(
        "preferred_username", "Claim that a new user's name is made of, at their first login."
    )
    oidc_groups_claim: str = _setting("groups", "Claim that says in which of the provider's groups somebody is.")
    oidc_groups: str = _setting(
        "", "Which of the provider's groups are groups here: `theirs=ours` pairs with commas between."
    )
    oidc_create_users: str = _setting(
        "no", "Whether whoever the provider lets in becomes a user at their first login (`yes` or `no`)."
    )
    oidc_label: str = _setting("Log in with single sign-on", "Words on the button of the login page.")
    session_hours: float = _setting(12.0, "Hours until a console session ends.")
    trusted_proxies: str = _setting(
        "",
        "Addresses of proxies in front, with commas between, whose `X-Forwarded-For` and `X-Forwarded-Proto` count; "
        "empty means that nobody's do.",
    )
    audit_checkpoint_facts: int = _setting(500, "Facts after which the head of the record is signed at the latest.")
    audit_checkpoint_seconds: float = _setting(
        60.0, "Seconds after which the head of the record is signed at the latest, when something happened."
    )
    audit_ledger: str = _setting(
        "", "File that each signed checkpoint is appended to; empty means `audit/checkpoints.jsonl` in the home folder."
    )
    audit_keep_days: float = _setting(
        0.0, "Days that facts stay in the database before the worker archives them to files; 0 means for ever."
    )

    @property
    def gateway(self) -> int:
        return self.gateway_port or self.port + 1

    @property
    def fronts(self) -> int:
        return self.gateway_processes or max(1, (os.cpu_count() or 1) // 4)

    @property
    def slots(self) -> int:
        return self.compute_slots or max(2, os.cpu_count() or 2)

    @property
    def mlflow_socket(self) -> Path:
        return self.home / "run" / "mlflow.sock"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.home / "mlflow" / "artifacts"

    @property
    def durable_url(self) -> str:
        """DBOS keeps its tables beside ours on Postgres and in a file of its own on SQLite (one writer each)."""
        return self.database_url or f"sqlite:///{self.home / 'durable.sqlite'}"

    @property
    def sqlite_path(self) -> Path:
        return self.home / "doubleloop.sqlite"

    @property
    def url(self) -> str:
        return self.database_url or f"sqlite:///{self.sqlite_path}"


def load(environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    """Settings from ``DOUBLELOOP_<NAME>`` variables, then ``flags`` that are not None. Raises InvalidInput."""
    environ = os.environ if environ is None else environ
    hints = get_type_hints(Settings)
    chosen: dict[str, Any] = {}
    for item in fields(Settings):
        variable = f"DOUBLELOOP_{item.name.upper()}"
        text = environ.get(variable)
        if flags.get(item.name) is not None:
            chosen[item.name] = flags[item.name]
        elif text:
            try:
                chosen[item.name] = hints[item.name](text)
            except ValueError as error:
                raise errors.InvalidInput(
                    f"{variable}={text!r} is not {_KINDS[hints[item.name]]}",
                    cure=f"Unset it, or give a value; it means: {item.metadata['why']}",
                ) from error
    settings = Settings(**chosen)
    _check(settings)
    return replace(settings, home=Path(settings.home).expanduser().resolve())


def _check(settings: Settings) -> None:
    for name, least in (("port", 1), ("gateway_port", 0)):
        if not least <= getattr(settings, name) <= LAST_PORT:
            raise errors.InvalidInput(
                f"{getattr(settings, name)} is not a port: {name} is a number from {least} to {LAST_PORT}",
                cure=f"Give another with --{name.replace('_', '-')}, or DOUBLELOOP_{name.upper()}.",
            )
    if settings.gateway > LAST_PORT or settings.gateway == settings.port:
        raise errors.InvalidInput(
            f"The gateway cannot listen on port {settings.gateway} when port is {settings.port}",
            cure="Give it a port of its own with --gateway-port.",
        )
    for name in ("gateway_processes", "compute_slots", "step_quota", "step_timeout", "poll_interval", "upload_limit"):
        if not getattr(settings, name) >= 0:
            raise errors.InvalidInput(
                f"DOUBLELOOP_{name.upper()}={getattr(settings, name)} is below 0", cure="Unset it, or give a value."
            )


def network(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of NETWORK_VARIABLES that are set."""
    environ = os.environ if environ is None else environ
    return {name: environ[name] for name in NETWORK_VARIABLES if environ.get(name)}
