"""The only door to ``uv``."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uv

Progress = Callable[[str], None]

TIMEOUT_S = 3600

# What uv, and the builds of source packages that it starts, may know of this process: not its secrets.
_PASSED_ON = (
    "CC", "CFLAGS", "CXX", "CXXFLAGS", "HOME", "LANG", "LDFLAGS", "NETRC", "PATH", "PKG_CONFIG_PATH", "TMPDIR",
    "SSL_CERT_DIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
_PASSED_ON_PREFIXES = ("LC_", "UV_", "XDG_")
_OURS = ("UV_PYTHON", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_SYSTEM_PYTHON", "UV_PROJECT", "UV_CACHE_DIR")
# Who names indexes has said where torch comes from.
_INDEXES = ("UV_TORCH_BACKEND", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
# Where pip is told to look for wheels, uv looks too.
_PIPS_WHEELS, _WHEELS = "PIP_FIND_LINKS", "UV_FIND_LINKS"
_NO_NETWORK = (
    "error sending request", "client error (Connect)", "dns error", "Failed to fetch", "connection refused",
    "operation timed out", "network was disabled",
)  # fmt: skip


@dataclass
class Refused(Exception):
    """uv ended with an error. ``message`` is what it said."""

    message: str

    @property
    def no_network(self) -> bool:
        return any(sign.lower() in self.message.lower() for sign in _NO_NETWORK)


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    cache: Path | None = None,
    progress: Progress | None = None,
    keep_open: Sequence[int] = (),
    timeout_s: float = TIMEOUT_S,
) -> str:
    """Run uv in ``folder`` and return what it printed; each line of its progress goes to ``progress``.

    ``keep_open`` are file descriptors that uv holds as long as it lives. Raises Refused.
    """
    argv = [uv.find_uv_bin(), *arguments, "--color", "never", "--no-progress"]
    if cache:
        argv += ["--cache-dir", str(cache)]
    running = subprocess.Popen(
        argv, cwd=folder, env=environ(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, errors="replace", pass_fds=tuple(keep_open),
    )  # fmt: skip
    said: list[str] = []
    reader = threading.Thread(target=_listen, args=(running, said, progress), daemon=True)
    reader.start()
    watchdog = threading.Timer(timeout_s, running.kill)
    watchdog.start()
    try:
        printed = running.stdout.read() if running.stdout else ""
        code = running.wait()
    except BaseException:
        running.kill()
        running.wait()
        raise
    finally:
        late = not watchdog.is_alive()
        watchdog.cancel()
    reader.join()
    if code:
        raise Refused(f"no end after {timeout_s:g} s; operation timed out" if late else "".join(said).strip())
    return printed


def _listen(running: subprocess.Popen[str], said: list[str], progress: Progress | None) -> None:
    for line in running.stderr or ():
        said.append(line)
        if progress and line.strip():
            progress(line.rstrip())


def environ() -> dict[str, str]:
    """Without another word torch is the build for this machine: that without CUDA where there is no such card."""
    found = {
        name: value
        for name, value in os.environ.items()
        if (name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)) and name not in _OURS
    }
    # pip's list has spaces between, uv's commas; pip passes by folders that are not there, uv ends at them.
    places = [each for each in os.environ.get(_PIPS_WHEELS, "").split() if "://" in each or os.path.exists(each)]
    if places:
        found.setdefault(_WHEELS, ",".join(places))
    return found if any(name in found for name in _INDEXES) else {**found, "UV_TORCH_BACKEND": "auto"}
