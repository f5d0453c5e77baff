"""Secret values taken out of text that is printed, in whatever pieces it comes.

Standard library alone, from Python 3.7 on: ``runner/masking.py`` is this very file again, because what runs in users'
environments brings nothing along.
"""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterable

MASK = b"***"
# A shorter value would blot out ordinary words, and is guessed anyway.
LEAST = 4
# Of a value inside something longer that was encoded as a whole: so many characters of Base64 are no coincidence.
_LEAST_INSIDE = 8


def forms(value: str) -> list:
    """The ways a value is printed: as it is, as JSON and URLs write it, in Base64 (also as part of something longer,
    as in ``Authorization: Basic``), and each long line of it alone."""
    raw = value.encode("utf-8", "surrogateescape")
    found = {raw} | {line.strip() for line in raw.splitlines()}
    found |= {json.dumps(value)[1:-1].encode(), json.dumps(value, ensure_ascii=False)[1:-1].encode("utf-8", "replace")}
    found |= {urllib.parse.quote_from_bytes(raw, safe=safe).encode() for safe in ("", "/")}
    found |= {urllib.parse.quote_plus(raw).encode()}
    found |= {_lower_escapes(each) for each in list(found) if b"%" in each}
    if len(raw) >= LEAST:
        found |= _encoded(raw)
    return sorted(each for each in found if len(each) >= LEAST)


def _lower_escapes(text: bytes) -> bytes:
    parts = text.split(b"%")
    return b"%".join([parts[0]] + [part[:2].lower() + part[2:] for part in parts[1:]])


def _encoded(raw: bytes) -> set:
    """Base64 (both alphabets) of the value alone, and of its place 0, 1 or 2 bytes after a border of three bytes."""
    found = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found |= {encode(raw), encode(raw).rstrip(b"=")}
        for before in range(3):
            whole = encode(b"\0" * before + raw)
            first = -(-before * 8 // 6)  # characters that hold bits of what stands before
            last = (before + len(raw)) * 8 // 6  # after it: bits of what stands behind
            if last - first >= _LEAST_INSIDE:
                found.add(whole[first:last])
    return found


class Masker:
    """``feed`` pieces, then ``end``; what they return, put together, is the text with every form replaced.

    Forms that overlap become one mask, so that nothing of the second one is left standing. The answer does not depend
    on where the text was cut: what may be the beginning of a form is kept back until it is known to be one or not.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._forms = sorted({each for value in values for each in forms(value)})
        self._longest = max((len(each) for each in self._forms), default=0)
        self._kept = b""
        self._covered = 0  # so many bytes of what is kept belong to a mask that was given out already

    def feed(self, data: bytes) -> bytes:
        return self._advance(self._kept + data, ended=False)

    def end(self) -> bytes:
        return self._advance(self._kept, ended=True)

    def _advance(self, text: bytes, ended: bool) -> bytes:
        sure = len(text) if ended else self._undecided(text)
        out, covered = [], self._covered
        for start, stop in self._found(text):
            if start >= sure:
                break
            if start >= covered:
                out += [text[covered:start], MASK]
            covered = max(covered, stop)
        out.append(text[covered:sure])
        self._kept, self._covered = text[sure:], max(0, covered - sure)
        return b"".join(out)

    def _found(self, text: bytes) -> list:
        found = []
        for form in self._forms:
            at = text.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = text.find(form, at + 1)
        return sorted(found)

    def _undecided(self, text: bytes) -> int:
        """The first place from which on the text is the beginning of a form that goes on beyond its end."""
        for at in range(max(0, len(text) - self._longest + 1), len(text)):
            rest = text[at:]
            if any(len(form) > len(rest) and form.startswith(rest) for form in self._forms):
                return at
        return len(text)


def mask(text: str, values: Iterable[str]) -> str:
    """A whole text, masked."""
    masker = Masker(values)
    return (masker.feed(text.encode("utf-8", "surrogateescape")) + masker.end()).decode("utf-8", "surrogateescape")
