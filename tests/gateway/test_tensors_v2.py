"""Bodies of the Open Inference Protocol: what is read from them, what is refused, what is written."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from doubleloop.base import errors
from doubleloop.gateway import limits, tensors_v2

LIMITS = limits.Limits()


def read(*inputs: dict[str, Any], raw: bytes = b"", tensors: bool = False, **more: Any) -> tensors_v2.Asked:
    head = json.dumps({"inputs": list(inputs), **more}).encode()
    return tensors_v2.read(head + raw, str(len(head)) if raw else None, tensors, LIMITS)


def tensor(name: str, shape: list[int], kind: str, data: Any = None, size: int | None = None) -> dict[str, Any]:
    held = {"data": data} if size is None else {"parameters": {"binary_data_size": size}}
    return {"name": name, "shape": shape, "datatype": kind, **held}


@pytest.mark.parametrize(
    ("kind", "code", "values"),
    [
        ("BOOL", "?", [True, False]), ("UINT8", "B", [0, 255]), ("INT16", "h", [-32768, 5]),
        ("UINT64", "Q", [2**63, 1]),
        ("FP16", "e", [0.5, -2.0]), ("FP32", "f", [0.25, 3.0]), ("FP64", "d", [0.1, 1e300]),
    ],
)  # fmt: skip
def test_bytes_are_read_little_endian_by_their_datatype(kind: str, code: str, values: list[Any]) -> None:
    raw = struct.pack(f"<2{code}", *values)
    assert read(tensor("a", [2], kind, size=len(raw)), raw=raw).value == {"a": values}


def test_texts_are_read_by_their_length() -> None:
    raw = b"\x03\x00\x00\x00abc\x02\x00\x00\x00\xc3\xa4"
    assert read(tensor("a", [2], "BYTES", size=len(raw)), raw=raw).value == {"a": ["abc", "ä"]}


def test_one_tensor_of_rows_is_rows_and_several_of_one_axis_are_columns() -> None:
    flat, nested = [1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]
    for data in (flat, nested):
        assert read(tensor("x", [2, 3], "INT64", data)).value == nested
    assert read(tensor("a", [2], "INT64", [1, 2]), tensor("b", [2, 1], "BYTES", ["x", "y"])).value == {
        "a": [1, 2], "b": ["x", "y"],
    }  # fmt: skip
    assert read(tensor("x", [2], "FP32", [1, 2]), tensors=True).value == [1, 2]
    two = read(tensor("x", [1, 2], "FP32", [1, 2]), tensor("y", [1, 1, 1], "FP32", [3]), tensors=True)
    assert two.value == {"x": [[1, 2]], "y": [[[3]]]}


@pytest.mark.parametrize(
    ("inputs", "raw", "words"),
    [
        ([], b"", "'inputs' must be a list of tensors"),
        ([{"shape": [1], "datatype": "FP32", "data": [1]}], b"", "no name"),
        ([tensor("a", [-1], "FP32", [1])], b"", "'shape' must be"),
        ([tensor("a", [2], "FP32", [1])], b"", "1 values for the shape"),
        ([tensor("a", [1], "FLOAT", [1])], b"", "is not known"),
        ([tensor("a", [1], ["FP32"], [1])], b"", "is not known"),  # type: ignore[arg-type]
        ([tensor("a", [1], None, [1])], b"", "is not known"),  # type: ignore[arg-type]
        ([tensor("a", [1], "FP32", 1)], b"", "no 'data'"),
        ([tensor("a", [1], "FP32", [1]), tensor("a", [1], "FP32", [1])], b"", "twice"),
        ([tensor("a", [1], "FP32", size=8)], b"\0" * 4, "does not fit"),
        ([tensor("a", [1], "FP32", size=4)], b"\0" * 8, "belong to no tensor"),
        ([tensor("a", [2], "FP32", size=4)], b"\0" * 4, "are not 2 values"),
        ([tensor("a", [1], "FP32", size=4)], struct.pack("<f", float("inf")), "tensor 'a': a value is infinite"),
        ([tensor("a", [1], "BYTES", size=5)], b"\x09\0\0\0a", "are not 1 values of BYTES"),
        ([tensor("a", [2, 2], "FP32", [1] * 4), tensor("b", [2], "FP32", [1] * 2)], b"", "a column has the shape"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(inputs: list[dict[str, Any]], raw: bytes, words: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        read(*inputs, raw=raw)
    assert words in caught.value.what


def test_bytes_of_a_binary_column_are_as_they_are_and_in_json_base64() -> None:
    raw = b"\x03\x00\x00\x00\x00\xff\n\x04\x00\x00\x00AAE="
    head = json.dumps({"inputs": [tensor("image", [2], "BYTES", size=len(raw))]}).encode()
    found = tensors_v2.read(head + raw, str(len(head)), False, LIMITS, {"image"})
    assert [base64.b64decode(each) for each in found.value["image"]] == [b"\x00\xff\n", b"AAE="]
    assert read(tensor("image", [1], "BYTES", ["AAE="])).value == {"image": ["AAE="]}
    with pytest.raises(errors.InvalidInput, match="must hold UTF-8"):
        read(tensor("text", [2], "BYTES", size=len(raw)), raw=raw)


def test_answers_become_tensors_of_their_kind_and_chosen_ones_bytes() -> None:
    asked = tensors_v2.Asked(None, binary=frozenset({"b"}))
    body, length = tensors_v2.answer(b'[{"a":1,"b":0.5},{"a":2,"b":1.5}]', asked, [], "m", "3")
    assert length is not None
    assert json.loads(body[:length]) == {"model_name": "m", "model_version": "3", "outputs": [
        {"name": "a", "datatype": "INT64", "shape": [2], "data": [1, 2]},
        {"name": "b", "datatype": "FP64", "shape": [2], "parameters": {"binary_data_size": 16}},
    ]}  # fmt: skip
    assert struct.unpack("<2d", body[length:]) == (0.5, 1.5)
    plain, none = tensors_v2.answer(
        b"[[1.0,2],[3,4]]", tensors_v2.Asked(None), [{"name": "price", "type": "double"}], "m", ""
    )
    assert none is None
    assert json.loads(plain)["outputs"] == [
        {"name": "price", "datatype": "FP64", "shape": [2, 2], "data": [1.0, 2, 3, 4]}
    ]
    with pytest.raises(errors.InvalidInput, match="no output 'z'"):
        tensors_v2.answer(b"[1]", tensors_v2.Asked(None, outputs=("z",)), [], "m", "")
    for odd in (b"[[1],[1,2]]", b'[1,"a"]'):
        with pytest.raises(errors.Failed):
            tensors_v2.answer(odd, tensors_v2.Asked(None), [], "m", "")


def test_answers_have_the_datatypes_that_the_metadata_say_where_they_fit() -> None:
    dtypes = {"p": "float32", "n": "int8", "u": "uint64", "h": "float16", "whole": "float64", "b": "bool"}
    specs = [{"name": name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1]}}
             for name, dtype in dtypes.items()]  # fmt: skip
    said = {
        "p": [0.5, None],
        "n": [-1, 2],
        "u": [2**64 - 1, 0],
        "h": [1.0, 70000.0],
        "whole": [1, 2],
        "b": [True, None],
    }
    asked = tensors_v2.Asked(None, all_binary=True)
    body, length = tensors_v2.answer(json.dumps(said).encode(), asked, specs, "m", "1")
    assert length is not None
    found = {each["name"]: each for each in json.loads(body[:length])["outputs"]}
    assert [each["name"] for each in tensors_v2.describe(specs)] == list(found)
    kinds = {name: each["datatype"] for name, each in found.items()}
    # 70000 is beyond 16 bits, so that answer is what it is.
    assert kinds == {"p": "FP32", "n": "INT8", "u": "UINT64", "h": "FP64", "whole": "FP64", "b": "BOOL"}
    assert body[length:] == struct.pack("<ff bb QQ dd dd ??".replace(" ", ""), 0.5, float("nan"), -1, 2, 2**64 - 1, 0,
                                        1.0, 70000.0, 1.0, 2.0, True, False)  # fmt: skip
    for large, kind in ((b"[18446744073709551615]", "UINT64"), (b"[-1, 9223372036854775808]", "FP64")):
        body, length = tensors_v2.answer(large, asked, [], "m", "1")
        assert json.loads(body[:length])["outputs"][0]["datatype"] == kind
