"""What people's ``az`` scripts reach when the folder of ``doubleloop az-shim`` is first on PATH.

``az ml …`` is this command line; the account, the defaults and the extension are answered from ``az.json`` in the home
folder; everything else says that this is not Azure, and exits with an error.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import click

from doubleloop.base import errors
from doubleloop.cli import app, interrupts, output
from doubleloop.sdk import profiles

# The versions that scripts compare with what they need ("ml should be 2.32 or newer").
CLI_VERSION, ML_VERSION = "2.77.0", "2.40.1"
GROUP, LOCATION = "doubleloop", "local"
_VALUED = {"-o": "output", "--output": "output", "--query": "query"}
_FLAGS = ("--only-show-errors", "--verbose", "--debug")

Words = list[str]


@dataclass
class State:
    """``defaults`` are those of ``az configure``; ``subscription`` is what ``az account set`` named last."""

    path: Path
    defaults: dict[str, str] = field(default_factory=dict)
    core: dict[str, str] = field(default_factory=dict)
    subscription: str = ""

    @staticmethod
    def read(home: Path) -> State:
        path = home / "az.json"
        try:
            body = json.loads(path.read_text())
            return State(path, dict(body["defaults"]), dict(body["core"]), str(body["subscription"]))
        except FileNotFoundError:
            return State(path)
        except (ValueError, KeyError, TypeError):
            raise errors.InvalidInput(
                "The defaults of az cannot be read", where=errors.Where(str(path)), cure="Delete the file."
            ) from None

    def write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        body = {"defaults": self.defaults, "core": self.core, "subscription": self.subscription}
        fresh = self.path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(body, indent=2) + "\n")
        fresh.replace(self.path)

    def set_default(self, name: str, value: str) -> None:
        """An empty value takes the default away, as az does."""
        self.defaults.pop(name, None)
        if value:
            self.defaults[name] = value

    def listed(self) -> list[dict[str, str]]:
        return [{"name": name, "source": str(self.path), "value": value} for name, value in self.defaults.items()]


def main() -> NoReturn:
    """The entry point of the ``az`` that the shim is."""
    interrupts.install()
    code = run(sys.argv[1:])
    with contextlib.suppress(OSError):  # the reader went away
        sys.stdout.flush()
    sys.exit(code)


def run(words: Words) -> int:
    """One command line of az; returns the exit code."""
    try:
        state = State.read(profiles.home())
        if words[:1] == ["ml"]:
            return _ml(state, words[1:])
        answer, shown = _answer(state, words)
        if answer is not None:
            output.show(answer, shown.get("output") or state.core.get("output") or "json", shown.get("query"))
        return 0
    except errors.DoubleloopError as error:
        click.echo(f"ERROR: {error}", err=True)
        return error.exit_code


def _ml(state: State, words: Words) -> int:
    """``az ml``: the same words, with az's defaults and its format."""
    os.environ.setdefault("DOUBLELOOP_OUTPUT", state.core.get("output") or "json")
    if "workspace" in state.defaults:
        os.environ.setdefault("DOUBLELOOP_WORKSPACE", state.defaults["workspace"])
    return app.run(words or ["--help"])


def _answer(state: State, words: Words) -> tuple[Any, dict[str, str]]:
    """What a command answers, and how it is to be shown. Raises NotSupported for all that is Azure's alone."""
    plain, shown = _shared(words)
    if plain[:1] == ["--version"]:
        return _versions_as_text(), {"output": "tsv"}
    for length in (3, 2, 1):
        answer = _COMMANDS.get(" ".join(plain[:length]))
        if answer and len(plain) >= length:
            return answer(state, plain[length:]), shown
    said = " ".join(["az", *[word for word in plain[:2] if not word.startswith("-")]])
    if plain[:2] == ["monitor", "autoscale"]:
        raise errors.NotSupported(
            f"This is not Azure: '{said}' does nothing here",
            cure="A deployment follows its load by itself: write `scale_settings` (type: target_utilization, "
            "min_instances, max_instances) into its file.",
        )
    raise errors.NotSupported(
        f"This is not Azure: '{said}' does nothing here",
        cure="Doubleloop answers `az ml …`, `az account`, `az configure`, `az config`, `az extension`, `az group`, "
        "`az login` and `az version`. Take its folder out of PATH to reach Azure.",
    )


def _shared(words: Words) -> tuple[Words, dict[str, str]]:
    """The words without the options that every command of az has, and those options."""
    plain: Words = []
    shown: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, sign, value = word.partition("=")
        if name in _VALUED:
            shown[_VALUED[name]] = value if sign else next(rest, "")
        elif word not in _FLAGS:
            plain.append(word)
    return plain, shown


def _option(words: Words, *names: str) -> str:
    """The value of an option; empty when it is not given."""
    for position, word in enumerate(words):
        name, sign, value = word.partition("=")
        if name in names:
            return value if sign else "".join(words[position + 1 : position + 2])
    return ""


def _profile() -> profiles.Profile:
    return profiles.find()


def _identity(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


def _account(state: State, _words: Words) -> dict[str, Any]:
    """The server that is logged in to, in the shape of a subscription."""
    profile = _profile()
    own = _identity(f"{profile.url}/subscription")
    named = state.subscription
    is_id = named.count("-") == 4 and len(named) == 36
    return {
        "environmentName": "Doubleloop",
        "homeTenantId": _identity(profile.url),
        "id": named if is_id else own,
        "isDefault": True,
        "managedByTenants": [],
        "name": named if named and not is_id else "Doubleloop",
        "state": "Enabled",
        "tenantId": _identity(profile.url),
        "user": {"name": profile.user, "type": "user"},
    }


def _set_account(state: State, words: Words) -> None:
    state.subscription = _option(words, "-s", "--subscription", "-n", "--name")
    state.write()


def _token(state: State, _words: Words) -> dict[str, Any]:
    """The token of the login: what a script's own curl sends to the API and to batch endpoints."""
    profile = _profile()
    account = _account(state, [])
    return {"accessToken": profile.token, "subscription": account["id"], "tenant": account["tenantId"],
            "tokenType": "Bearer"}  # fmt: skip


def _configure(state: State, words: Words) -> Any:
    """``--defaults a=b c=d`` keeps them, ``-l`` shows them."""
    if "-l" in words or "--list-defaults" in words:
        return state.listed()
    taken = next((at for at, word in enumerate(words) if word in ("-d", "--defaults")), None)
    if taken is None:
        raise errors.InvalidInput(
            "az configure asks questions, and this one does not", cure="Give --defaults NAME=VALUE."
        )
    for word in words[taken + 1 :]:
        if word.startswith("-"):
            break
        name, sign, value = word.partition("=")
        if not sign:
            raise errors.InvalidInput(f"'{word}' is not of the form name=value", where=errors.Where("--defaults"))
        state.set_default(name, value.strip("'\""))
    state.write()
    return None


def _config_set(state: State, words: Words) -> None:
    for word in words:
        key, sign, value = word.partition("=")
        section, _, name = key.partition(".")
        if not sign or not name:
            raise errors.InvalidInput(f"'{word}' is not of the form section.name=value")
        if section == "defaults":
            state.set_default(name, value)
        else:
            state.core[name if section == "core" else key] = value
    state.write()


def _config_get(state: State, words: Words) -> Any:
    wanted = next((word for word in words if not word.startswith("-")), "")
    sections = {"defaults": state.listed(), "core": [
        {"name": name, "source": str(state.path), "value": value} for name, value in state.core.items()
    ]}  # fmt: skip
    section, _, name = wanted.partition(".")
    if not wanted:
        return sections
    found = sections.get(section, [])
    if not name:
        return found
    one = next((each for each in found if each["name"] == name), None)
    if one is None:
        raise errors.NotFound(f"'{wanted}' is not set", cure=f"Set it with `az config set {wanted}=VALUE`.")
    return one


def _config_unset(state: State, words: Words) -> None:
    for word in words:
        section, _, name = word.partition(".")
        (state.defaults if section == "defaults" else state.core).pop(name, None)
    state.write()


def _extension(_state: State, _words: Words) -> list[dict[str, Any]]:
    return [{"experimental": False, "extensionType": "whl", "name": "ml", "path": "", "preview": False,
             "version": ML_VERSION}]  # fmt: skip


def _add_extension(_state: State, words: Words) -> None:
    name = _option(words, "-n", "--name")
    if name not in ("", "ml"):
        raise errors.NotSupported(f"This is not Azure: there is no extension '{name}' here")
    click.echo("The extension 'ml' is part of Doubleloop.", err=True)


def _login(state: State, _words: Words) -> list[dict[str, Any]]:
    """Says who is logged in; the login itself is Doubleloop's own."""
    return [_account(state, [])]


def _versions(_state: State, _words: Words) -> dict[str, Any]:
    from importlib import metadata

    return {"azure-cli": CLI_VERSION, "azure-cli-core": CLI_VERSION, "azure-cli-telemetry": "1.1.0",
            "doubleloop": metadata.version("doubleloop"), "extensions": {"ml": ML_VERSION}}  # fmt: skip


def _versions_as_text() -> str:
    found = _versions(State(Path()), [])
    return f"azure-cli {CLI_VERSION} (Doubleloop {found['doubleloop']})\n\nExtensions:\nml {ML_VERSION}"


def _group(state: State, words: Words) -> dict[str, Any]:
    """A resource group is a word here: whatever is named is there."""
    name = _option(words, "-n", "--name", "-g", "--resource-group") or state.defaults.get("group", GROUP)
    return {
        "id": f"/subscriptions/{_account(state, [])['id']}/resourceGroups/{name}",
        "location": state.defaults.get("location", LOCATION),
        "managedBy": None,
        "name": name,
        "properties": {"provisioningState": "Succeeded"},
        "tags": None,
        "type": "Microsoft.Resources/resourceGroups",
    }


_COMMANDS: dict[str, Callable[[State, Words], Any]] = {
    "account show": _account,
    "account list": lambda state, words: [_account(state, words)],
    "account set": _set_account,
    "account get-access-token": _token,
    "account clear": lambda _state, _words: None,
    "config get": _config_get,
    "config set": _config_set,
    "config unset": _config_unset,
    "configure": _configure,
    "extension add": _add_extension,
    "extension list": _extension,
    "extension remove": lambda _state, _words: None,
    "extension show": lambda state, words: _extension(state, words)[0],
    "extension update": _add_extension,
    "group create": _group,
    "group exists": lambda _state, _words: True,
    "group list": lambda state, words: [_group(state, words)],
    "group show": _group,
    "login": _login,
    "logout": lambda _state, _words: None,
    "version": _versions,
}

_SCRIPT = """#!/bin/sh
# Written by `doubleloop az-shim`: people's az scripts reach Doubleloop while this folder is first on PATH.
exec "{python}" -m doubleloop.cli.az "$@"
"""


# Azure's own management is spoken to with curl too, by scripts that find the command line wanting: what they want of
# it is answered as a server answers what it does not serve. Everything else is the real curl's.
_CURL = """#!/bin/sh
# Written by `doubleloop az-shim --curl`: what scripts ask of Azure's management is answered here, not by Azure.
for word in "$@"; do
  case "$word" in
    https://ml.azure.com/* | https://management.azure.com/* | https://*.api.azureml.ms/*)
      for other in "$@"; do
        case "$other" in
          -i | --include) printf 'HTTP/1.1 501 Not Implemented\\r\\nContent-Type: application/json\\r\\n\\r\\n' ;;
          -f | --fail | --fail-with-body) failing=yes ;;
        esac
      done
      echo "curl: this is not Azure: $word" >&2
      [ -n "$failing" ] && exit 22
      printf '{{"error": {{"code": "NotSupported", "message": "This is not Azure, and has no %s"}}}}\\n' \\
        "$(printf '%s' "$word" | cut -d/ -f3)"
      exit 0
      ;;
  esac
done
PATH=$(printf '%s' "$PATH" | tr ':' '\\n' | grep -vxF "{folder}" | paste -sd ':' -)
exec curl "$@"
"""


@click.command("az-shim")
@click.argument("folder", metavar="DIR")
@click.option("--curl", is_flag=True, help="Also a `curl` that answers for Azure's management addresses: not Azure.")
def shim(folder: str, curl: bool) -> None:
    """Write an `az` into DIR. With DIR first on PATH, `az ml …` in scripts reaches Doubleloop."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    _write(path / "az", _SCRIPT.format(python=sys.executable))
    if curl:
        _write(path / "curl", _CURL.format(folder=path.absolute()))
    click.echo(f'Wrote {path / "az"}. Put it first: export PATH="{path.absolute()}:$PATH"', err=True)


def _write(file: Path, text: str) -> None:
    if file.exists() and "doubleloop" not in file.read_text(errors="replace"):
        raise errors.Conflict(f"{file} is not ours, and is left as it is", cure="Choose another folder.")
    file.write_text(text)
    file.chmod(0o755)


if __name__ == "__main__":
    main()
