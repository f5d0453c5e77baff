"""One streamed answer while it is made: the model's pieces, one at a time, no faster than the gateway takes them."""

from __future__ import annotations

import time
import traceback
from typing import Any, Dict, Optional, Tuple

from . import answers, wire


class Stream:
    """``header["stream"]``: bytes of pieces that the gateway takes before it says that it has given some on."""

    def __init__(self, connection: wire.Connection, header: Dict[str, Any], model: Any) -> None:
        self.connection, self.id = connection, header["id"]
        self._header, self._model, self._room = header, model, header["stream"]
        self._pieces = None  # type: Any
        self._began = time.perf_counter()

    @property
    def waits(self) -> bool:
        """Whether the gateway has as much as it may hold."""
        return bool(self._room <= 0)

    def more(self, room: int) -> None:
        self._room += room

    def following(self) -> Optional[bytes]:
        """The next piece as JSON, None after the last one. Raises whatever the model raises."""
        if self._pieces is None:
            self._pieces = iter(self._model.predict_stream(self._header))
        for piece in self._pieces:
            content = answers.encode(piece)
            self._room -= len(content)
            return content
        return None

    def answer(self, **more: Any) -> Dict[str, Any]:
        """The header of the frame that ends it."""
        return {"op": "answer", "id": self.id, "ms": (time.perf_counter() - self._began) * 1000, **more}

    def close(self) -> None:
        """The model makes no more of it: its generator gets to tidy up."""
        pieces, self._pieces = self._pieces, iter(())
        try:
            getattr(pieces, "close", lambda: None)()
        except Exception:
            traceback.print_exc()

    def frame(self, content: bytes) -> Tuple[Dict[str, Any], bytes]:
        return {"op": "piece", "id": self.id}, content
