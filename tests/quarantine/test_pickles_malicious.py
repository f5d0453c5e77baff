"""Pickles that run code are found, however they are written and packed, and nothing of them is run."""

from __future__ import annotations

import builtins
import bz2
import functools
import gzip
import importlib
import io
import lzma
import operator
import os
import pickle
import runpy
import struct
import subprocess
import tarfile
import zipfile
import zlib

import cloudpickle
import joblib
import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer

from doubleloop.base import errors, verdicts
from doubleloop.quarantine import model, pickles
from doubleloop.quarantine.model import Policy, Severity

MARK = "/tmp/doubleloop-pickle-was-run"
COMMAND = f"touch {MARK}"


class Calls:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


PAYLOADS = {
    "posix.system": Calls(os.system, COMMAND),
    "subprocess.Popen": Calls(subprocess.Popen, ["touch", MARK]),
    "subprocess.check_output": Calls(subprocess.check_output, ["touch", MARK]),
    "builtins.eval": Calls(builtins.eval, f"__import__('os').system('{COMMAND}')"),
    "builtins.exec": Calls(builtins.exec, f"import os; os.system('{COMMAND}')"),
    "builtins.compile": Calls(builtins.compile, "1", "x", "eval"),
    "builtins.open": Calls(builtins.open, MARK, "w"),
    "builtins.__import__": Calls(builtins.__import__, "antigravity"),
    "importlib.import_module": Calls(importlib.import_module, "antigravity"),
    "runpy.run_path": Calls(runpy.run_path, "/tmp/evil.py"),
    "operator.attrgetter": Calls(operator.attrgetter, "system"),
    "operator.methodcaller": Calls(operator.methodcaller, "system", COMMAND),
    "joblib.numpy_pickle.load": Calls(joblib.load, "/tmp/evil.joblib"),
    "numpy.load": Calls(np.load, "/tmp/evil.npy", None, True),
    "shutil.rmtree": Calls(__import__("shutil").rmtree, "/tmp/nowhere"),
    "webbrowser.open": Calls(__import__("webbrowser").open, "http://localhost"),
    "socket.create_connection": Calls(__import__("socket").create_connection, ("localhost", 1)),
    "pickle.loads": Calls(pickle.loads, b"."),
    "code.interact": Calls(__import__("code").interact),
    "timeit.timeit": Calls(__import__("timeit").timeit, "1"),
}


@pytest.fixture(autouse=True)
def nothing_was_run():
    yield
    assert not os.path.exists(MARK)


def names(found):
    return {one.global_name for one in found}


def assert_found(found, name):
    named = [one for one in found if one.global_name.split(".")[-1] == name.split(".")[-1]]
    assert named, found
    assert named[0].severity is Severity.HIGH
    assert model.judge(found).outcome is verdicts.Outcome.FAILED


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", PAYLOADS)
def test_a_call_of_something_dangerous_is_found_in_every_protocol(name, protocol):
    assert_found(pickles.scan(pickle.dumps(PAYLOADS[name], protocol)), name)


@pytest.mark.parametrize("name", ["posix.system", "builtins.eval", "importlib.import_module"])
def test_a_call_inside_a_real_model_is_found(name):
    fitted = FunctionTransformer(np.log1p).fit(np.ones((2, 2)))
    fitted.note_ = {"deep": [PAYLOADS[name]]}
    for content in (pickle.dumps(fitted), cloudpickle.dumps(fitted)):
        assert_found(pickles.scan(content), name)


def test_a_dangerous_function_that_is_only_held_is_found():
    for held in (os.system, functools.partial(os.system, COMMAND), FunctionTransformer(os.system), {"f": eval}):
        found = pickles.scan(pickle.dumps(held))
        assert {one.severity for one in found} == {Severity.HIGH}


def test_pip_and_private_modules_are_found_by_hand_written_opcodes():
    for module, name in [("pip", "main"), ("pip._internal", "main"), ("torch.hub", "load"), ("_posixsubprocess", "x")]:
        content = f"c{module}\n{name}\n((S'install'\nS'evil'\nltR.".encode()
        assert names(pickles.scan(content)) == {f"{module}.{name}"}


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_joblib_files_are_found_under_every_compression_and_name(tmp_path, compress):
    value = {"weights": np.arange(5000.0), "payload": PAYLOADS["posix.system"], "more": np.ones((3, 3))}
    for name in ("model.joblib", "model.bin", "weights"):
        joblib.dump(value, tmp_path / name, compress=compress)
        assert_found(pickles.scan(tmp_path / name), "posix.system")


def test_a_payload_behind_or_between_raw_arrays_is_found(tmp_path):
    joblib.dump([np.arange(10.0), np.array([1, None], dtype=object), PAYLOADS["posix.system"]], tmp_path / "a.joblib")
    joblib.dump(np.array([1, {"x": PAYLOADS["builtins.eval"]}], dtype=object), tmp_path / "b.joblib")
    found = pickles.scan(tmp_path)
    assert {(one.file, one.global_name) for one in found} == {
        ("a.joblib", "posix.system"),
        ("b.joblib", "builtins.eval"),
    }


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zlib.compress])
def test_compressed_pickles_are_found_also_in_a_second_stream(pack):
    honest, bad = pickle.dumps([1, 2]), pickle.dumps(PAYLOADS["posix.system"])
    assert_found(pickles.scan(pack(bad)), "posix.system")
    half = len(bad) // 2
    assert_found(pickles.scan(pack(bad[:half]) + pack(bad[half:])), "posix.system")
    assert_found(pickles.scan(pack(gzip.compress(bad))), "posix.system")
    assert pickles.scan(pack(honest)) == []


def test_old_joblib_files_are_opened():
    packed = zlib.compress(pickle.dumps(PAYLOADS["posix.system"], 2))
    header = b"ZF" + hex(len(packed)).encode().ljust(len(hex(2**64)))
    assert_found(pickles.scan(header + packed), "posix.system")
    assert_found(pickles.scan(header + b" " + packed), "posix.system")


def test_what_cannot_be_opened_is_a_finding(tmp_path):
    (tmp_path / "model.lz4").write_bytes(b"\x04\x22\x4d\x18" + bytes(20))
    (tmp_path / "model.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    found = pickles.scan(tmp_path)
    assert [one.severity for one in found] == [Severity.HIGH, Severity.HIGH]
    assert "lz4" in found[0].why


def in_zip(members: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_torchs_zip_and_zips_in_zips_are_looked_into(tmp_path):
    bad = pickle.dumps(PAYLOADS["posix.system"], 2)
    (tmp_path / "model.pt").write_bytes(in_zip({"archive/data.pkl": bad, "archive/data/0": bytes(8)}))
    inner = in_zip({"weights.bin": bad}, zipfile.ZIP_DEFLATED)
    (tmp_path / "outer.dat").write_bytes(in_zip({"a/inner.zip": inner}))
    (tmp_path / "tensor.pt").write_bytes(in_zip({"archive/data/0": bad}))
    files = {one.file for one in pickles.scan(tmp_path)}
    assert files == {
        "model.pt!archive/data.pkl",
        "outer.dat!a/inner.zip!weights.bin",
        "tensor.pt!archive/data/0",
    }


def test_a_zip_behind_something_else_and_a_pickle_before_a_zip_are_found():
    bad, honest = pickle.dumps(PAYLOADS["posix.system"], 2), pickle.dumps({"a": 1}, 2)
    assert "posix.system" in names(pickles.scan(honest + in_zip({"data.pkl": bad})))
    assert "posix.system" in names(pickles.scan(bad + in_zip({"data.pkl": honest})))


def test_broken_and_double_membered_zips_are_findings():
    content = bytearray(in_zip({"archive/data.pkl": pickle.dumps(PAYLOADS["posix.system"], 2)}))
    flipped = content.index(b"posix")
    content[flipped + 20] ^= 1  # the checksum no longer fits: Python refuses, other loaders do not look
    assert any("cannot be opened" in one.why for one in pickles.scan(bytes(content)))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("data.pkl", pickle.dumps(1))
        archive.writestr("data.pkl", pickle.dumps(2))
    assert any("two members of one name" in one.why for one in pickles.scan(stream.getvalue()))
    assert any("is a zip that cannot be opened" in one.why for one in pickles.scan(b"PK\x03\x04" + bytes(50)))


def test_tars_and_their_links_are_looked_at():
    stream = io.BytesIO()
    bad = pickle.dumps(PAYLOADS["posix.system"])
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo("model/weights.ckpt")
        info.size = len(bad)
        archive.addfile(info, io.BytesIO(bad))
        link = tarfile.TarInfo("model/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    for content in (stream.getvalue(), gzip.compress(stream.getvalue())):
        found = pickles.scan(content)
        assert names(found) == {"posix.system", ""}
        assert any("link" in one.why for one in found)


def test_objects_in_npy_and_npz_are_looked_into(tmp_path):
    np.save(tmp_path / "a.npy", np.array([PAYLOADS["posix.system"]], dtype=object), allow_pickle=True)
    np.savez_compressed(tmp_path / "b.npz", x=np.array([PAYLOADS["builtins.eval"]], dtype=object))
    assert {(one.file, one.global_name) for one in pickles.scan(tmp_path)} == {
        ("a.npy", "posix.system"),
        ("b.npz!x.npy", "builtins.eval"),
    }


def test_an_old_pickle_without_any_mark_is_found_under_any_name(tmp_path):
    (tmp_path / "readme.txt").write_bytes(pickle.dumps(PAYLOADS["posix.system"], 0))
    (tmp_path / "LICENSE").write_bytes(b"cos\nsystem\n(S'x'\ntRthis is no pickle any more")
    (tmp_path / "weights").write_bytes(b"(S'ls'\nios\nsystem\n.")
    found = pickles.scan(tmp_path)
    assert {one.file for one in found if one.global_name} == {"LICENSE", "readme.txt", "weights"}


# --- tricks with opcodes -----------------------------------------------------------------------------------------


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def test_names_from_the_memo_are_resolved():
    content = b"\x80\x04" + text("system") + b"\x94" + text("os") + b"\x940h\x01h\x00\x93" + text("x") + b"\x85R."
    assert names(pickles.scan(content)) == {"os.system"}
    numbered = (
        b"\x80\x04" + text("os") + b"q\x07" + text("system") + b"r\x09\x00\x00\x00" + b"00j\x07\x00\x00\x00h\x09\x93."
    )
    assert names(pickles.scan(numbered)) == {"os.system"}
    overwritten = b"\x80\x04" + text("math") + b"q\x00" + b"0" + text("os") + b"q\x000h\x00" + text("system") + b"\x93."
    assert names(pickles.scan(overwritten)) == {"os.system"}


def test_a_name_that_is_computed_while_loading_is_found():
    joined = b"\x80\x04cbuiltins\nstr\n" + text("os") + b"\x85R" + text("system") + b"\x93."
    found = pickles.scan(joined)
    assert [one.severity for one in found] == [Severity.HIGH]
    assert "puts a name together" in found[0].why


def test_duplicated_popped_and_marked_values_do_not_hide_a_name():
    content = b"\x80\x04" + text("os") + b"2(K\x01K\x020" + b"1" + b"0" + text("system") + b"\x93."
    assert names(pickles.scan(content)) == {"os.system"}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("sklearn.utils.fixes", "os.system"),
        ("sklearn.linear_model", "LinearRegression.__init__.__globals__"),
        ("numpy", "testing._private.utils.runstring"),
        ("sklearn.utils._testing", "assert_run_python_script_without_output"),
        ("numpy.testing._private.utils", "runstring"),
        ("pandas.core.frame", "DataFrame.eval"),
        ("pandas.core.computation.eval", "eval"),
        ("torch.storage", "_load_from_bytes"),
        ("sklearn.base", "os"),
        ("sklearn..os", "system"),
        ("ѕklearn.base", "BaseEstimator"),
        ("numpy._core._ufunc_reconstruct", "x"),
        ("builtins", "getattr.__call__"),
    ],
)
def test_ways_through_allowed_libraries_are_closed(module, name):
    content = b"\x80\x04" + text(module) + text(name) + b"\x93."
    found = pickles.scan(content)
    assert found
    assert found[0].severity in (Severity.HIGH, Severity.MEDIUM)


def test_getattr_is_followed_and_closed():
    chain = b"\x80\x04cbuiltins\ngetattr\nq\x00csklearn.base\nBaseEstimator\n" + text("__init__") + b"\x86R."
    assert "sklearn.base.BaseEstimator.__init__" in names(pickles.scan(chain))
    of_a_call = b"\x80\x04cbuiltins\ngetattr\ncbuiltins\ndict\n)R" + text("get") + b"\x86R."
    assert "builtins.getattr" in names(pickles.scan(of_a_call))
    handed_on = b"\x80\x04cfunctools\npartial\ncbuiltins\ngetattr\n\x85R."
    assert "builtins.getattr" in names(pickles.scan(handed_on))
    listed = b"\x80\x04]cbuiltins\ngetattr\na."
    assert "builtins.getattr" in names(pickles.scan(listed))


def test_an_enumeration_saved_by_getattr_is_its_member():
    content = b"\x80\x04cbuiltins\ngetattr\ncsklearn.base\nBaseEstimator\n" + text("Kind") + b"\x86R."
    assert pickles.scan(content) == []


def test_calling_what_a_call_gave_back_is_found():
    content = b"\x80\x04cfunctools\npartial\ncbuiltins\nlist\n\x85R)R."
    assert any("earlier call" in one.why for one in pickles.scan(content))


def test_changing_an_allowed_class_is_found():
    content = b"\x80\x04csklearn.base\nBaseEstimator\n}" + text("__setstate__") + b"cbuiltins\nlist\nsb."
    assert any("is changed by the pickle" in one.why for one in pickles.scan(content))


def test_a_memmap_that_is_built_is_found_because_it_opens_files():
    content = b"\x80\x04cnumpy\nmemmap\n" + text("/tmp/x") + b"\x85R."
    assert names(pickles.scan(content)) == {"numpy.memmap"}


def test_extension_codes_are_found():
    assert any("extension code 7" in one.why for one in pickles.scan(b"\x80\x02\x82\x07."))


def test_names_of_python_2_are_translated_as_the_unpickler_does():
    assert "subprocess.getoutput" in names(pickles.scan(b"ccommands\ngetoutput\n(S'x'\ntR."))
    assert "builtins.eval" in names(pickles.scan(b"c__builtin__\neval\n(S'x'\ntR."))
    assert pickles.scan(b"c__builtin__\nset\n((ltR.") == []


def test_what_ran_before_a_pickle_breaks_is_reported_with_the_break():
    found = pickles.scan(b"\x80\x04cos\nsystem\n" + text("x") + b"\x85R\xff\xff")
    assert names(found) == {"os.system", ""}
    assert any("could not be followed" in one.why for one in found)


@pytest.mark.parametrize(
    "content",
    [b"\x80\x04", b"\x80\x04X\xff\xff\xff\x7fabc", b"\x80\x09.", b"\x80\x04R.", b"\x80\x04h\x05.", b"\x80\x04t.", b"N"],
)
def test_a_file_called_pickle_that_is_none_is_a_finding(tmp_path, content):
    (tmp_path / "model.pkl").write_bytes(content)
    assert [one.severity for one in pickles.scan(tmp_path)] == [Severity.HIGH]


def test_an_empty_pickle_and_bytes_behind_one_are_findings(tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"")
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(1) + b"cos\nsystem\n(S'x'\ntR.")
    found = pickles.scan(tmp_path)
    assert {one.file for one in found} == {"a.pkl", "b.pkl"}


def test_a_second_pickle_in_one_file_is_read_too():
    content = pickle.dumps({"a": 1}) + pickle.dumps(PAYLOADS["posix.system"])
    assert "posix.system" in names(pickles.scan(content))


def test_every_short_broken_file_gives_an_answer():
    """Whatever the bytes, the scan comes back with a list."""
    generator = np.random.default_rng(0)
    for _ in range(3000):
        body = generator.integers(0, 256, generator.integers(1, 60)).astype(np.uint8).tobytes()
        assert isinstance(pickles.scan(b"\x80\x04" + body), list)
    honest = bytearray(pickle.dumps({"a": np.arange(5), "b": ["x"] * 5}))
    for at in range(len(honest)):
        for flip in (1, 128):
            changed = bytearray(honest)
            changed[at] ^= flip
            assert isinstance(pickles.scan(bytes(changed)), list)


# --- joblib's raw arrays as a hiding place -----------------------------------------------------------------------


def joblib_with_array_bytes(hidden: bytes) -> bytes:
    stream = io.BytesIO()
    joblib.dump({"x": np.frombuffer(hidden, dtype=np.uint8), "y": 1}, stream)
    return stream.getvalue()


def test_opcodes_in_an_arrays_bytes_are_found_since_plain_pickle_would_run_them():
    """joblib skips these bytes as padding; pickle.load of the same file executes them."""
    raw = bytes(range(100))
    content = joblib_with_array_bytes(raw)
    start = content.index(raw)
    length = next(at for at in range(start - 17, start) if content[at] == start - at - 1)
    payload = f"0cposix\nsystem\n(S'{COMMAND}'\ntR.".encode()
    padding = payload.rjust(ord("N"), b"N")  # its length, 78, is the opcode of None
    forged = content[:length] + b"N" + padding + content[start:]
    assert joblib.load(io.BytesIO(forged))["y"] == 1
    found = pickles.scan(forged)
    assert names(found) == {"posix.system"}
    assert "hidden in an array" in found[0].why


def test_opcodes_that_only_an_old_joblib_would_run_are_found():
    """It reads no padding, so the array ends earlier for it, and opcodes begin among the array's last bytes."""
    for letters in range(1, 17):
        payload = b"cos\nsystem\n0N"
        raw = bytes(range(100)) + payload
        stream = io.BytesIO()
        joblib.dump({"x" * letters: np.frombuffer(raw, dtype=np.uint8), "y": 1}, stream)
        content = stream.getvalue()
        start = content.index(raw)
        if content[start - len(payload)] == len(payload) - 1:  # the padding is as long as the payload needs
            assert names(pickles.scan(content)) == {"os.system"}
            return
    pytest.fail("no name of the key gave the padding")


def test_array_bytes_that_only_look_like_opcodes_are_no_finding():
    generator = np.random.default_rng(1)
    for _ in range(200):
        raw = generator.integers(0, 256, 400).astype(np.uint8).tobytes()
        assert pickles.scan(joblib_with_array_bytes(raw)) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"K\x64\x85", b"K\x63\x85"),  # a shorter shape: the rest of the bytes become opcodes
        (b"\x8c\x02u1", b"\x8c\x02u9"),  # a type that numpy does not know
        (b"\x8c\x02u1", b"\x8c\x02xx"),
    ],
)
def test_an_array_whose_length_is_forged_is_a_finding(before, after):
    content = joblib_with_array_bytes(b"\x00" * 100)
    assert before in content
    assert any(one.severity is Severity.HIGH for one in pickles.scan(content.replace(before, after, 1)))


def test_an_old_joblib_wrapper_must_name_a_file_beside_it():
    def wrapped(name: str) -> bytes:
        return (
            b"\x80\x04cjoblib.numpy_pickle_compat\nNDArrayWrapper\n)\x81}(" + text("filename") + text(name)
            + text("subclass") + b"cnumpy\nndarray\nub."
        )  # fmt: skip

    assert pickles.scan(wrapped("model.pkl_01.npy")) == []
    assert "joblib.numpy_pickle_compat.NDArrayWrapper" in names(pickles.scan(wrapped("../../evil.npy")))


# --- policy, limits, files ---------------------------------------------------------------------------------------


def test_functions_that_cloudpickle_carries_are_code_unless_the_policy_allows_them():
    offset = 3
    content = cloudpickle.dumps(FunctionTransformer(lambda x: x + offset))
    found = pickles.scan(content)
    assert {one.severity for one in found} == {Severity.HIGH}
    assert all("carries code" in one.why for one in found)
    allowed = pickles.scan(content, Policy(allow_code=True))
    assert {one.severity for one in allowed} == {Severity.LOW}
    assert model.judge(allowed).passed
    assert_found(pickles.scan(cloudpickle.dumps(lambda: os.system(COMMAND))), "cloudpickle._make_function")


def test_a_policy_allows_names_and_wildcards_but_no_wildcard_allows_what_is_dangerous():
    unknown = b"\x80\x04cmypackage.models\nmake\n)R."
    assert [one.severity for one in pickles.scan(unknown)] == [Severity.MEDIUM]
    assert pickles.scan(unknown, Policy(allow=("mypackage.*",))) == []
    assert pickles.scan(unknown, Policy(allow=("mypackage.models.make",))) == []
    bad = pickle.dumps(PAYLOADS["posix.system"])
    assert pickles.scan(bad, Policy(allow=("*",))) != []
    assert pickles.scan(bad, Policy(allow=("posix.system",))) == []


def test_a_bomb_ends_at_the_limit():
    bomb = gzip.compress(b"\x80\x04B" + struct.pack("<I", 50_000_000) + bytes(50_000_000) + b".")
    assert pickles.scan(bomb) == []
    found = pickles.scan(bomb, limit=1_000_000)
    assert [one.severity for one in found] == [Severity.HIGH]
    assert "limit" in found[0].why
    nested = pickle.dumps(1)
    for _ in range(10):
        nested = gzip.compress(nested)
    assert any("deeper" in one.why for one in pickles.scan(nested))


def test_links_out_of_the_model_and_unreadable_things_are_findings(tmp_path):
    outside = tmp_path / "outside.pkl"
    outside.write_bytes(pickle.dumps(1))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.pkl").symlink_to(outside)
    (folder / "folder").symlink_to(tmp_path)
    (folder / "here.pkl").write_bytes(pickle.dumps(1))
    (folder / "inner.pkl").symlink_to(folder / "here.pkl")
    os.mkfifo(folder / "pipe")
    found = pickles.scan(folder)
    assert {one.file for one in found} == {"link.pkl", "folder", "pipe"}


def test_nothing_there_is_an_error(tmp_path):
    with pytest.raises(errors.NotFound):
        pickles.scan(tmp_path / "ghost")


def test_findings_say_file_name_place_and_reason():
    (one,) = pickles.scan(b"\x80\x02cos\nsystem\nq\x00.")
    assert (one.global_name, one.position) == ("os.system", 2)
    assert "at 2" in str(one)
    assert one.to_dict()["severity"] == "high"


def test_a_keras_archive_with_a_lambda_layer_carries_code():
    config = b'{"class_name": "Functional", "config": {"layers": [{"class_name": "Lambda"}]}}'
    found = pickles.scan(in_zip({"config.json": config, "metadata.json": b"{}"}))
    assert [one.severity for one in found] == [Severity.HIGH]
