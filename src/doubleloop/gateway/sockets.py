"""Unix sockets below any home folder, however long its path is (the kernel allows 107 bytes)."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LONGEST = 100
BACKLOG = 1024
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def connect(path: Path, timeout: float) -> socket.socket:
    """Raises OSError (also TimeoutError)."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        with _short(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def listen(path: Path, backlog: int = 64) -> socket.socket:
    """A listening socket only this user may use; replaces a socket that a dead process left."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(path) as address:
        listener.bind(address)
    os.chmod(path, 0o600)
    listener.listen(backlog)
    listener.setblocking(False)
    return listener


def share(host: str, port: int, processes: int) -> list[list[socket.socket]]:
    """Listening TCP sockets on one port, a set for each process: the kernel spreads new connections over the sets, and
    those that wait in one are still there when its process is started anew.

    The port is taken alone first, since a socket that shares it would also share it with a stranger. Raises OSError.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    taken: list[list[socket.socket]] = [[] for _ in range(processes)]
    try:
        for number, (family, address) in enumerate(addresses):
            try:
                with _bound(family, (address[0], port, *address[2:]), shared=False) as alone:
                    port = alone.getsockname()[1]  # the same for every family, also when any would do
            except OSError as error:
                # A name may stand for an address of a family that this machine does not speak.
                if error.errno in _NOT_HERE and (taken[0] or number + 1 < len(addresses)):
                    continue
                raise
            for each in taken:
                each.append(_bound(family, (address[0], port, *address[2:]), shared=True))
    except BaseException:
        for listener in (one for each in taken for one in each):
            listener.close()
        raise
    for listener in (one for each in taken for one in each):
        listener.listen(BACKLOG)
    return taken


def _bound(family: int, address: tuple[Any, ...], shared: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY)  # Linux: /proc/self/fd/N stands for the folder
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
