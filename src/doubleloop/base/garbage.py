"""When Python looks for garbage."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Around imports. What is imported lives for ever: each search among it, now or later, is time lost (a fifth of
    what importing takes)."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
