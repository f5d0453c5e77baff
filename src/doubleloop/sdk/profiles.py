"""Which server, as whom: ``client.json`` in the home folder, a stored profile of another user, or the environment.

A profile file holds ``{"url", "token", "user", "workspace"?}`` and is readable by its owner alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from doubleloop.base import errors, ids

DEFAULT_URL = "http://127.0.0.1:8600"
_LOG_IN = "Start the server with `doubleloop up`, or log in to one: `doubleloop login --url URL --user NAME`."


@dataclass(frozen=True)
class Profile:
    """``token`` may be empty (routes that need none); ``workspace`` is the default of ``-w``."""

    url: str
    token: str = ""
    user: str = ""
    workspace: str | None = None


def home(environ: Mapping[str, str] | None = None) -> Path:
    """The home folder: ``DOUBLELOOP_HOME``, else ``~/.doubleloop``."""
    environ = os.environ if environ is None else environ
    return Path(environ.get("DOUBLELOOP_HOME") or "~/.doubleloop").expanduser()


def place(home_: Path, user: str | None = None) -> Path:
    """The file of the current profile, or of ``user``'s. Raises InvalidInput for a name that cannot be a file's."""
    if user is None:
        return home_ / "client.json"
    if not ids.is_name(user):
        raise errors.InvalidInput(f"'{user}' cannot be a user name", cure="Use letters, digits, '.', '_' and '-'.")
    return home_ / "profiles" / f"{user}.json"


def find(user: str | None = None, environ: Mapping[str, str] | None = None) -> Profile:
    """The profile to use. ``DOUBLELOOP_URL``, ``DOUBLELOOP_TOKEN`` and ``DOUBLELOOP_WORKSPACE`` win over the file.

    Raises NotFound when neither says where the server is, or when ``user`` has no stored profile.
    """
    environ = os.environ if environ is None else environ
    url, token = environ.get("DOUBLELOOP_URL"), environ.get("DOUBLELOOP_TOKEN")
    found = read(place(home(environ), user))
    if found is None and user is not None:
        raise errors.NotFound(
            f"No profile of user {user} is stored here",
            where=errors.Where(str(place(home(environ), user))),
            cure=f"Log in once: `doubleloop login --user {user}`.",
        )
    if found is None and url is None:
        raise errors.NotFound(
            "No server is known here", where=errors.Where(str(place(home(environ)))), cure=_LOG_IN
        )  # fmt: skip
    profile = found or Profile(DEFAULT_URL)
    if url and url.rstrip("/") != profile.url.rstrip("/"):
        # Another server: the stored token is not for it, and must not be sent there.
        profile = Profile(url)
    if token and user is None:
        profile = replace(profile, token=token, user="")
    return replace(profile, workspace=environ.get("DOUBLELOOP_WORKSPACE") or profile.workspace)


def runs_here(home_: Path, url: str) -> bool:
    """Whether the server at ``url`` is the one of this home folder, and somebody sees to it that it runs.

    Then one that does not answer is about to: it is being started, or was killed and is started again.
    """
    run = home_ / "run"
    try:
        at = json.loads((run / "address.json").read_text())
        if url.rstrip("/") != f"http://{at['host']}:{at['port']}":
            return False
        with (run / "supervisor.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return False


def read(path: Path) -> Profile | None:
    """The profile in ``path``, None when there is no such file. Raises InvalidInput when it cannot be read."""
    try:
        body = json.loads(path.read_text())
        return Profile(
            str(body.get("url") or DEFAULT_URL),
            str(body.get("token") or ""),
            str(body.get("user") or ""),
            body.get("workspace") or None,
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise errors.InvalidInput(
            f"The profile cannot be read: {error}", where=errors.Where(str(path)), cure="Remove it and log in again."
        ) from error


def write(path: Path, profile: Profile) -> None:
    """Store a profile: complete or not at all, for its owner alone (mode 0600)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump({key: value for key, value in asdict(profile).items() if value is not None}, file, indent=2)
            file.write("\n")
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def log_in(home_: Path, profile: Profile) -> None:
    """Make ``profile`` the current one, and keep it under its user's name for ``--user``.

    So is the one it takes the place of: the administrator that the first start made has no password to come back with.
    """
    before = read(place(home_))
    if before and before.user and not place(home_, before.user).exists():
        write(place(home_, before.user), before)
    write(place(home_, profile.user), profile)
    write(place(home_), profile)


def log_out(home_: Path, profile: Profile) -> None:
    """Forget the token of ``profile`` wherever it is stored here."""
    for path in (place(home_), *([place(home_, profile.user)] if profile.user else [])):
        stored = read(path)
        if stored and stored.token == profile.token:
            path.unlink()
