"""``doubleloop secret``: values come by standard input or a file, and are shown only when asked for."""

from __future__ import annotations

from typing import Any

from test_against_the_server import everybody as everybody

VALUE = "correct-horse-battery-staple"


def test_values_go_in_by_standard_input_or_a_file_and_come_out_by_reveal(everybody: Any) -> None:
    made = everybody("secret", "set", "warehouse", "--value-stdin", "-w", "dev", "--user", "ada", stdin=f"{VALUE}\n")
    assert made.code == 0, made.err
    assert VALUE not in made.out + made.err
    (everybody.folder / "server.key").write_text("line one\nline two\n")
    made = everybody("secret", "set", "tls", "--file", "server.key", "-w", "dev", "--user", "ada")
    assert made.code == 0, made.err
    found = {}
    for name in ("warehouse", "tls"):
        assert VALUE not in everybody("secret", "show", name, "-w", "dev", "--user", "ada").out
        found[name] = everybody("secret", "show", name, "--reveal", "-w", "dev", "--user", "ada", "-o", "json").json
    assert found["warehouse"] == {"name": "warehouse", "version": 1, "value": VALUE}
    assert found["tls"]["value"] == "line one\nline two\n"
    listed = everybody("secret", "list", "-w", "dev", "--user", "ada", "-o", "json")
    assert [each["name"] for each in listed.json] == ["tls", "warehouse"]
    assert everybody("secret", "renew", "-w", "dev", "--user", "ada", "-o", "json").json == {"renewed": 2}
    assert everybody("secret", "delete", "tls", "--yes", "-w", "dev", "--user", "ada").code == 0
    assert everybody("secret", "show", "tls", "--reveal", "-w", "dev", "--user", "ada").code == 3


def test_a_value_has_one_source_and_is_text(everybody: Any) -> None:
    (everybody.folder / "bytes").write_bytes(b"\xff\xfe\x00")
    for words, said in (
        (["--value-stdin", "--file", "bytes"], "from two places"),
        (["--file", "bytes"], "not UTF-8 text"),
        (["--file", "nowhere"], "No such file"),
        ([], "no terminal to ask"),
        (["--value-stdin"], "must be text"),
    ):
        ended = everybody("secret", "set", "a", *words, "-w", "dev", "--user", "ada")
        assert (ended.code, said in ended.err) == (2, True), ended.err
