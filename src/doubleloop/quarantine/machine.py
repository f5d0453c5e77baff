"""A pickle machine that calls nothing: it walks the opcodes with stand-ins on its stack and notes every name.

The same stack, marks and memo as Python's unpickler, so that a name put together from memoised strings is seen as the
unpickler would see it. Long values are skipped unread, and only what can become a name or a call is remembered, so
memory stays small whatever the file's size. Follows joblib's arrays, whose bytes stand raw between opcodes.

Opcodes: ``pickletools`` of the standard library; joblib's format: ``joblib.numpy_pickle``.
"""

from __future__ import annotations

import codecs
import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from doubleloop.quarantine import allowlist, arrays
from doubleloop.quarantine.model import Finding, Policy, Severity
from doubleloop.quarantine.reading import Malformed, Source, TooMuch
from doubleloop.quarantine.values import OPAQUE, Global, Instance, Items

_LONGEST_TEXT = 4096
_LONGEST_TUPLE = 256
_MOST_REMEMBERED = 2_000_000
_MOST_ON_STACK = 20_000_000
_DEEPEST = 8
_MOST_FINDINGS = 1000  # per file; by then nobody needs the next
_STEPS_BETWEEN_CHECKS = 1024

_FIXED = {
    kind: struct.Struct(form)
    for kind, form in {"uint1": "<B", "uint2": "<H", "uint4": "<I", "int4": "<i", "uint8": "<Q", "float8": ">d"}.items()
}
_COUNTED = {kind: struct.Struct(form) for kind, form in {
    "string1": "<B", "string4": "<i", "bytes1": "<B", "bytes4": "<I", "bytes8": "<Q", "bytearray8": "<Q",
    "unicodestring1": "<B", "unicodestring4": "<I", "unicodestring8": "<Q", "long1": "<B", "long4": "<i",
}.items()}  # fmt: skip

_GETATTR = Global("builtins", "getattr")
_ARRAY_WRAPPERS = frozenset(
    Global(module, "NumpyArrayWrapper") for module in ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")
)
_FILE_WRAPPERS = frozenset(
    Global(module, name)
    for module in ("joblib.numpy_pickle_compat", "joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")
    for name in ("NDArrayWrapper", "ZNDArrayWrapper")
)
_REMEMBERED = _ARRAY_WRAPPERS | _FILE_WRAPPERS | {arrays.DTYPE}
_RECONSTRUCTORS = frozenset(Global("copyreg", name) for name in ("_reconstructor", "__newobj__", "__newobj_ex__"))
_MEMMAP = Global("numpy", "memmap")
_ONLY_HERE = {
    _GETATTR: "is handed on, so that anything could be reached",
    _MEMMAP: "is used for more than to say what an array was, and can open files",
}


class Reader(Enum):
    """Who reads the stream. The same bytes are other opcodes to each, so all are looked at."""

    JOBLIB = "joblib"  # an array's bytes follow its wrapper, after padding
    OLD_JOBLIB = "joblib before 1.2"  # the same, knowing of no padding
    PLAIN = "pickle"  # everything is opcodes


@dataclass
class Report:
    """What a walk found, and what it met on the way."""

    file: str
    policy: Policy
    findings: list[Finding] = field(default_factory=list)
    globals: set[Global] = field(default_factory=set)
    calls: int = 0
    joblib_arrays: int = 0

    def note(self, position: int, severity: Severity, why: str, name: str = "") -> None:
        known = any(one.global_name == name and one.why == why for one in self.findings)
        if not known and len(self.findings) < _MOST_FINDINGS:
            self.findings.append(Finding(self.file, name, position, severity, why))


class Machine:
    """Walks one pickle, from its first opcode to STOP, as ``reader`` would."""

    def __init__(self, source: Source, report: Report, reader: Reader = Reader.JOBLIB, depth: int = 0) -> None:
        self._source = source
        self._report = report
        self._reader = reader
        self._depth = depth
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._on_stack = 0
        self._instances: dict[Global, Instance] = {}  # one for all: nothing depends on which
        self._memo: dict[int, Any] = {}
        self._memo_top = 0
        self._memo_beyond: set[int] = set()
        self._protocol = 0
        self._position = 0

    def run(self) -> Any:
        """The stand-in for what the pickle holds. Raises Malformed, TooMuch; what was found before that stays in
        the report, since an unpickler would have run it before it noticed."""
        source, steps = self._source, 0
        while True:
            self._position = source.position
            op = _CODES.get(source.byte())
            if op is None:
                raise Malformed("it holds a byte that is no pickle opcode")
            name, kind, handler = op
            argument = self._argument(kind) if kind else None
            if handler:
                handler(self) if argument is None else handler(self, argument)
            elif name in _PUSH_ARGUMENT:
                self._stack.append(argument if isinstance(argument, (str, int)) else OPAQUE)
            elif name in _PUSH_VALUE:
                self._stack.append(_PUSH_VALUE[name]())
            else:
                return self._pop()
            steps += 1
            if steps % _STEPS_BETWEEN_CHECKS == 0:
                self._check_size()

    def _check_size(self) -> None:
        if len(self._stack) + self._on_stack > _MOST_ON_STACK or len(self._memo) > _MOST_REMEMBERED:
            raise TooMuch("it holds more values than a scan can follow")

    # --- arguments ---------------------------------------------------------------------------------------------

    def _argument(self, kind: str) -> Any:
        source = self._source
        if kind in _FIXED:
            form = _FIXED[kind]
            return form.unpack(source.exactly(form.size))[0]
        if kind in _COUNTED:
            return self._counted(kind)
        if kind == "stringnl_noescape_pair":
            return _text(source.line(_LONGEST_TEXT)), _text(source.line(_LONGEST_TEXT))
        line = source.line(_LONGEST_TEXT)
        if line is None:
            return OPAQUE
        return _LINES[kind](line)

    def _counted(self, kind: str) -> Any:
        form = _COUNTED[kind]
        size = form.unpack(self._source.exactly(form.size))[0]
        if size < 0:
            raise Malformed("it holds a value of negative length")
        if size > _LONGEST_TEXT or "bytes" in kind or "bytearray" in kind:
            self._source.skip(size)
            return OPAQUE
        found = self._source.exactly(size)
        if kind.startswith("long"):
            return int.from_bytes(found, "little", signed=True)
        if not kind.startswith("unicode"):
            return found.decode("latin-1")
        try:
            return found.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as problem:
            raise Malformed("it holds a text that is not UTF-8") from problem

    # --- opcodes -----------------------------------------------------------------------------------------------

    def _pop(self) -> Any:
        if not self._stack:
            raise Malformed("it takes a value from an empty stack")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise Malformed("it looks at a value on an empty stack")
        return self._stack[-1]

    def _pop_mark(self) -> list[Any]:
        if not self._marks:
            raise Malformed("it looks for a mark that is not there")
        items = self._stack
        self._stack = self._marks.pop()
        self._on_stack -= len(self._stack)
        return items

    def _do_proto(self, version: int) -> None:
        if version > 5:
            raise Malformed(f"it is of pickle protocol {version}, which does not exist")
        self._protocol = version

    def _do_frame(self, size: int) -> None:
        """Frames only say how much to read ahead; the opcodes inside are read one by one anyway."""

    def _do_mark(self) -> None:
        self._marks.append(self._stack)
        self._on_stack += len(self._stack)
        self._stack = []

    def _do_pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _do_pop_mark(self) -> None:
        self._pop_mark()

    def _do_dup(self) -> None:
        self._stack.append(self._top())

    def _do_readonly_buffer(self) -> None:
        self._top()

    # containers: only small dicts and tuples keep what is in them

    def _do_append(self) -> None:
        self._store([self._pop()])
        self._top()

    def _do_appends(self) -> None:
        self._store(self._pop_mark())
        self._top()

    _do_additems = _do_appends

    def _do_list(self) -> None:
        self._store(self._pop_mark())
        self._stack.append(OPAQUE)

    _do_frozenset = _do_list

    def _do_dict(self) -> None:
        flat = self._pop_mark()
        self._stack.append(Items())
        self._set_items(flat)

    def _do_setitem(self) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def _do_setitems(self) -> None:
        self._set_items(self._pop_mark())

    def _set_items(self, flat: list[Any]) -> None:
        stored = [value for key, value in zip(flat[::2], flat[1::2], strict=False) if key != "subclass"]
        self._store(stored)
        target = self._top()
        if isinstance(target, Items):
            target.update(flat)

    def _do_tuple(self) -> None:
        self._push_tuple(self._pop_mark())

    def _do_tuple1(self) -> None:
        self._push_tuple([self._pop()])

    def _do_tuple2(self) -> None:
        second, first = self._pop(), self._pop()
        self._push_tuple([first, second])

    def _do_tuple3(self) -> None:
        third, second, first = self._pop(), self._pop(), self._pop()
        self._push_tuple([first, second, third])

    def _push_tuple(self, items: list[Any]) -> None:
        self._store(items)
        self._stack.append(tuple(items) if len(items) <= _LONGEST_TUPLE else OPAQUE)

    def _store(self, items: list[Any]) -> None:
        """Looks at values that go into a container, an argument list or a state, where others may call them."""
        for item in items:
            if isinstance(item, Global) and item in _ONLY_HERE:
                self._note(Severity.HIGH, _ONLY_HERE[item], str(item))

    # memo: indexes are counted as the unpickler does; values nobody can misuse are forgotten

    def _do_put(self, index: int | Any) -> None:
        if not isinstance(index, int) or index < 0:
            raise Malformed("it puts a value at no place of the memo")
        self._remember(index, self._top())

    _do_binput = _do_long_binput = _do_put

    def _do_memoize(self) -> None:
        self._remember(self._memo_top + len(self._memo_beyond), self._top())

    def _remember(self, index: int, value: Any) -> None:
        if value is OPAQUE:
            self._memo.pop(index, None)
        else:
            self._memo[index] = value
        if index >= self._memo_top:
            self._memo_beyond.add(index)
            while self._memo_top in self._memo_beyond:
                self._memo_beyond.remove(self._memo_top)
                self._memo_top += 1
            if len(self._memo_beyond) > _MOST_REMEMBERED:
                raise TooMuch("it holds more values than a scan can follow")

    def _do_get(self, index: int | Any) -> None:
        if not isinstance(index, int) or not (0 <= index < self._memo_top or index in self._memo_beyond):
            raise Malformed("it takes a value from an empty place of the memo")
        self._stack.append(self._memo.get(index, OPAQUE))

    _do_binget = _do_long_binget = _do_get

    # names

    def _do_global(self, pair: tuple[Any, Any]) -> None:
        self._stack.append(self._resolve(*pair))

    def _do_stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._stack.append(self._resolve(module, name))

    def _do_inst(self, pair: tuple[Any, Any]) -> None:
        arguments = self._pop_mark()
        self._store(arguments)
        self._stack.append(self._call(self._resolve(*pair), tuple(arguments)))

    def _do_ext1(self, code: int) -> None:
        self._note(Severity.HIGH, f"uses extension code {code}, whose meaning is not in the file")
        self._stack.append(OPAQUE)

    _do_ext2 = _do_ext4 = _do_ext1

    def _do_persid(self, name: Any) -> None:
        self._stack.append(OPAQUE)

    def _do_binpersid(self) -> None:
        self._store([self._pop()])
        self._stack.append(OPAQUE)

    def _resolve(self, module: Any, name: Any) -> Any:
        if not isinstance(module, str) or not isinstance(name, str):
            self._note(Severity.HIGH, "it puts a name together while loading, to hide it")
            return OPAQUE
        found = Global(*allowlist.real_name(module, name, self._protocol))
        self._report.globals.add(found)
        if found != _GETATTR:  # judged when it is called: enumerations are saved as getattr(Class, "MEMBER")
            self._judge(found)
        return found

    def _judge(self, found: Global) -> None:
        judgement = allowlist.judge(found.module, found.name, self._report.policy)
        if judgement:
            self._note(judgement.severity, judgement.why, str(found))

    def _note(self, severity: Severity, why: str, name: str = "") -> None:
        self._report.note(self._position, severity, why, name)

    # calls

    def _do_reduce(self) -> None:
        arguments, called = self._pop(), self._pop()
        self._stack.append(self._call(called, arguments))

    def _do_newobj(self) -> None:
        self._do_reduce()

    def _do_newobj_ex(self) -> None:
        self._store([self._pop()])
        self._do_reduce()

    def _do_obj(self) -> None:
        items = self._pop_mark()
        if not items:
            raise Malformed("it builds an object of nothing")
        self._store(items[1:])
        self._stack.append(self._call(items[0], tuple(items[1:])))

    def _call(self, called: Any, arguments: Any) -> Any:
        self._report.calls += 1
        if called == _GETATTR:
            return self._attribute(arguments)
        if isinstance(called, Instance):
            if not called.is_code:
                self._note(Severity.HIGH, "it calls what an earlier call gave back", str(called.of))
            return called
        if not isinstance(called, Global):
            if called is not OPAQUE:
                raise Malformed("it calls something that cannot be called")
            self._note(Severity.HIGH, "it calls something that is put together while loading")
            return OPAQUE
        if called in _RECONSTRUCTORS and isinstance(arguments, tuple) and arguments:
            return self._call(arguments[0], ())
        if called == _MEMMAP:
            self._note(Severity.HIGH, _ONLY_HERE[_MEMMAP], str(_MEMMAP))
        if called in _REMEMBERED:
            return Instance(called, arguments, Items())
        return self._instances.setdefault(called, Instance(called))

    def _attribute(self, arguments: Any) -> Any:
        if isinstance(arguments, tuple) and len(arguments) >= 2:
            owner, name = arguments[:2]
            if isinstance(owner, Global) and isinstance(name, str):
                found = Global(owner.module, f"{owner.name}.{name}")
                self._judge(found)
                return found
        self._note(Severity.HIGH, "takes an attribute that cannot be told from the file", str(_GETATTR))
        return OPAQUE

    def _do_build(self) -> None:
        state, target = self._pop(), self._top()
        self._store([state])
        if isinstance(target, Global):
            self._note(Severity.HIGH, "is changed by the pickle itself, not only used", str(target))
        if not isinstance(target, Instance) or target.state is None:
            return
        target.set_state(state)
        if target.of in _FILE_WRAPPERS:
            self._check_file_name(target)
        elif target.of in _ARRAY_WRAPPERS:
            self._report.joblib_arrays += 1
            if self._reader is not Reader.PLAIN:
                self._stack[-1] = OPAQUE
                self._skip_array(target)

    def _check_file_name(self, wrapper: Instance) -> None:
        """Files of old joblib versions name the .npy beside them; that one is scanned on its own."""
        name = wrapper.get("filename")
        if not isinstance(name, str) or "/" in name or "\\" in name or name in ("", ".", ".."):
            self._note(Severity.HIGH, "loads an array from a file outside of the model", str(wrapper.of))

    def _skip_array(self, wrapper: Instance) -> None:
        layout = arrays.layout(wrapper)
        if layout.holds_objects:
            if self._depth >= _DEEPEST:
                raise TooMuch("it nests pickles deeper than a scan can follow")
            Machine(self._source, self._report, self._reader, self._depth + 1).run()
            return
        if layout.padded and self._reader is Reader.JOBLIB:
            self._source.skip(self._source.exactly(1)[0])
        self._source.skip(layout.size)


def _text(line: bytes | None) -> Any:
    return OPAQUE if line is None else line.decode("utf-8", "surrogateescape")


def _integer(line: bytes) -> Any:
    if line in (b"00", b"01"):
        return int(line)
    try:
        return int(line.rstrip(b"L"))
    except ValueError as problem:
        raise Malformed("it holds an integer that is none") from problem


def _quoted(line: bytes) -> Any:
    line = line.strip()
    if len(line) < 2 or line[0] != line[-1] or line[0] not in b"\"'":
        raise Malformed("it holds a text without quotes")
    try:
        return codecs.escape_decode(line[1:-1])[0].decode("latin-1")
    except ValueError as problem:
        raise Malformed("it holds a text with a broken escape") from problem


def _escaped(line: bytes) -> Any:
    try:
        return line.decode("raw-unicode-escape")
    except UnicodeDecodeError as problem:
        raise Malformed("it holds a text with a broken escape") from problem


_LINES: dict[str, Callable[[bytes], Any]] = {
    "decimalnl_short": _integer,
    "decimalnl_long": _integer,
    "floatnl": lambda line: OPAQUE,
    "stringnl": _quoted,
    "stringnl_noescape": _text,
    "unicodestringnl": _escaped,
}
_PUSHING = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 "
    "BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT"
)
_PUSH_ARGUMENT = frozenset(_PUSHING.split())
_PUSH_VALUE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": lambda: OPAQUE,
    "EMPTY_SET": lambda: OPAQUE,
    "EMPTY_TUPLE": lambda: (),
    "EMPTY_DICT": Items,
    "NEXT_BUFFER": lambda: OPAQUE,
}
_HANDLERS: dict[str, Callable[..., None]] = {
    name[len("_do_") :].upper(): method for name, method in vars(Machine).items() if name.startswith("_do_")
}
# By opcode byte: its name, the kind of its argument, and what the machine does.
_CODES = {
    op.code.encode("latin-1")[0]: (op.name, op.arg.name if op.arg else "", _HANDLERS.get(op.name))
    for op in pickletools.opcodes
}
