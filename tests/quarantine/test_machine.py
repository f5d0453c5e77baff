"""The machine that calls nothing sees every name that Python's own unpicklers would look up, for any program."""

from __future__ import annotations

import contextlib
import io
import pickle
import pickletools
import random
import struct
import sys
import tracemalloc

import pytest

from doubleloop.quarantine import machine, pickles
from doubleloop.quarantine.model import Policy
from doubleloop.quarantine.reading import Budget, Malformed, Source, TooMuch


class Anything:
    """Stands for whatever a name may be: can be called, built, filled."""

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args):
        return Anything()

    def __setstate__(self, state):
        pass

    def __hash__(self):
        return 1

    def append(self, item):
        pass

    def extend(self, items):
        pass

    def add(self, item):
        pass

    def __setitem__(self, key, value):
        pass


def looked_up(content: bytes, base: type) -> set[tuple[str, str]]:
    """The names an unpickler of Python's looks up, with harmless things behind them."""
    names: set[tuple[str, str]] = set()

    class Recording(base):
        def find_class(self, module, name):
            names.add((module, name))
            return Anything

        def persistent_load(self, pid):
            return Anything()

    with contextlib.suppress(Exception):
        Recording(io.BytesIO(content)).load()
    return names


def walked(content: bytes) -> tuple[set[tuple[str, str]], bool]:
    report = machine.Report("x", Policy())
    try:
        machine.Machine(Source(io.BytesIO(content), Budget(2**30)), report, machine.Reader.PLAIN).run()
    except (Malformed, TooMuch):
        return {tuple(one) for one in report.globals}, False
    return {tuple(one) for one in report.globals}, True


WORDS = ["alpha", "beta", "gamma.delta", "x", "é"]


def fragment(chance: random.Random) -> bytes:
    word = chance.choice(WORDS).encode()
    small = bytes([chance.randrange(4)])
    return chance.choice(
        [
            b"\x8c" + bytes([len(word)]) + word,
            b"X" + struct.pack("<I", len(word)) + word,
            b"V" + chance.choice(["alpha", "beta"]).encode() + b"\n",
            b"S'" + chance.choice(["alpha", "be\\x74a"]).encode() + b"'\n",
            b"U\x05alpha",
            b"T\x04\x00\x00\x00beta",
            b"K" + small,
            b"J\x01\x00\x00\x00",
            b"I01\n",
            b"L7L\n",
            b"\x8a\x01\x05",
            b"F1.5\n",
            b"G" + bytes(8),
            b"C\x02ab",
            b"N",
            b"\x88",
            b"]",
            b"}",
            b"\x8f",
            b")",
            b"(",
            b"(",
            b"t",
            b"\x85",
            b"\x86",
            b"\x87",
            b"l",
            b"d",
            b"a",
            b"e",
            b"s",
            b"u",
            b"\x90",
            b"\x91",
            b"0",
            b"1",
            b"2",
            b"\x94",
            b"q" + small,
            b"r" + small + bytes(3),
            b"p" + str(chance.randrange(4)).encode() + b"\n",
            b"h" + small,
            b"j" + small + bytes(3),
            b"g" + str(chance.randrange(4)).encode() + b"\n",
            b"calpha\nbeta\n",
            b"calpha\nx\n",
            b"\x93",
            b"\x93",
            b"ialpha\nbeta\n",
            b"o",
            b"R",
            b"\x81",
            b"\x92",
            b"b",
            b"P7\n",
            b"Q",
            b"\x80" + bytes([chance.randrange(6)]),
            b"\x95" + bytes(8),
            b".",
        ]
    )


@pytest.mark.parametrize("seed", range(10))
def test_no_name_that_python_looks_up_is_missed(seed):
    """Random programs, most of which break somewhere; whatever Python looked up by then must have been seen."""
    chance = random.Random(seed)
    seen = finished = 0
    for _ in range(3000):
        start = chance.choice([b"", b"\x8c\x05alpha\x94\x8c\x04beta\x94", b"(]}(N)", b"calpha\nbeta\n)"])
        content = b"\x80\x04" + start + b"".join(fragment(chance) for _ in range(chance.randrange(1, 20))) + b"."
        names, whole = walked(content)
        expected = looked_up(content, pickle.Unpickler) | looked_up(content, pickle._Unpickler)
        if not expected <= names:
            # the walk may stop before Python does, but then it says that it did not follow the file
            assert not whole, (content, expected - names)
            assert pickles.scan(content), content
        seen += len(expected)
        finished += whole
    assert seen > 300
    assert finished > 50


@pytest.mark.parametrize("protocol", range(6))
def test_a_real_pickle_is_walked_to_its_end(protocol):
    value = {"a": [1, -5, 2**40, 10**30, 1.5, None, True, b"x" * 300, "é" * 300], ("t", 1): {frozenset([1]), "y"}}
    content = pickle.dumps([value, value, list(range(5000))], protocol)
    assert walked(content)[1]
    assert pickles.scan(content) == []


def test_every_opcode_of_python_is_known():
    handled = {name[4:].upper() for name in dir(machine.Machine) if name.startswith("_do_")}
    known = handled | machine._PUSH_ARGUMENT | machine._PUSH_VALUE.keys() | {"STOP"}
    assert {op.name for op in pickletools.opcodes} <= known


class Zeros:
    """A stream of ``size`` bytes that is never whole in memory."""

    def __init__(self, start: bytes, size: int, end: bytes) -> None:
        self.start, self.size, self.end = start, size, end

    def read(self, size: int = -1, /) -> bytes:
        if self.start:
            start, self.start = self.start, b""
            return start
        if self.size:
            part = min(self.size, size)
            self.size -= part
            return bytes(part)
        end, self.end = self.end, b""
        return end


@pytest.mark.parametrize("opcode", [b"\x8e", b"\x8d", b"\x96"])
def test_a_huge_value_is_walked_in_little_memory(opcode):
    size = 2**30
    stream = Zeros(b"\x80\x05" + opcode + struct.pack("<Q", size), size, b"0cos\nsystem\n.")
    report = machine.Report("x", Policy())
    tracemalloc.start()
    machine.Machine(Source(stream, Budget(2**40)), report).run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [one.global_name for one in report.findings] == ["os.system"]
    assert report.findings[0].position == 2 + 9 + size + 1
    assert peak < 2**21


def test_many_small_values_are_walked_in_bounded_memory():
    rows = [{"id": number, "name": "same", "values": (1.0, 2.0)} for number in range(20_000)]
    content = pickle.dumps(rows, 4)
    tracemalloc.start()
    assert pickles.scan(content) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * len(content)


def test_a_program_that_only_piles_up_values_is_stopped(monkeypatch):
    monkeypatch.setattr(machine, "_MOST_ON_STACK", 10_000)
    found = pickles.scan(b"\x80\x04" + b"(N" * 20_000 + b".")
    assert any("more values than a scan can follow" in one.why for one in found)
    monkeypatch.setattr(machine, "_MOST_REMEMBERED", 1000)
    puts = b"".join(b"r" + struct.pack("<I", 5 * number) for number in range(2000))
    found = pickles.scan(b"\x80\x04N" + puts + b".")
    assert any("more values than a scan can follow" in one.why for one in found)


def test_deep_nesting_needs_no_recursion():
    depth = sys.getrecursionlimit() * 3
    assert pickles.scan(b"\x80\x04" + b"(" * depth + b"N" + b"t" * depth + b".") == []
    assert pickles.scan(b"\x80\x04N" + b"\x85" * depth + b".") == []
