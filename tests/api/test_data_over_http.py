"""What a data version holds, over HTTP."""

from __future__ import annotations

from api_server import Prepared, Served


def test_a_table_is_described_to_who_may_read_it(served: Served, prepared: Prepared) -> None:
    path = "/api/v1/workspaces/dev/data/thing/versions/1/profile"
    found = served.as_("admin").get(path)
    assert found.status_code == 200, found.text
    told = found.json()
    assert told["data"] == "data:dev/thing:1"
    assert told["rows"] == told["rows_in_all"] >= 1
    assert "comparison" not in told
    with_other = served.as_("admin").get(path, params={"against": "1"}).json()["comparison"]
    assert with_other["rows"]["before"] == with_other["rows"]["after"] == told["rows"]
    assert {each["distance"] for each in with_other["moved"]} == {0.0}
    assert served.as_("admin").get(path, params={"target": "ghost"}).status_code == 400
    assert served.as_("nobody").get(path).status_code == 403
