"""Advisories are matched offline as OSV says; what could not be compared is never called clean."""

from __future__ import annotations

import json
import zipfile

import pytest

from doubleloop.base import verdicts
from doubleloop.quarantine import advisories


def advisory(id_: str, package: str, ranges=None, versions=None, **more):
    affected = {"package": {"ecosystem": "PyPI", "name": package}}
    if ranges is not None:
        affected["ranges"] = [{"type": "ECOSYSTEM", "events": ranges}]
    if versions is not None:
        affected["versions"] = versions
    return {"id": id_, "modified": "2026-11-01T00:00:00Z", "summary": f"flaw {id_}", "affected": [affected], **more}


# Shapes of real advisories: PYSEC-2021-66 / GHSA-g3rq-g295-4j3m (Jinja2), GHSA-jfhm-5ghh-2f97 (cryptography).
DATABASE = [
    advisory("PYSEC-2021-66", "jinja2", [{"introduced": "0"}, {"fixed": "2.11.3"}], aliases=["CVE-2020-28493"]),
    advisory("GHSA-g3rq-g295-4j3m", "Jinja2", [{"introduced": "0"}, {"fixed": "2.11.3"}], aliases=["CVE-2020-28493"],
             database_specific={"severity": "MODERATE"}),
    advisory("GHSA-range", "ranged.package", [{"introduced": "2.0"}, {"fixed": "2.4.1"}, {"introduced": "3.0a1"},
                                              {"fixed": "3.0.2"}]),
    advisory("GHSA-last", "lasting", [{"introduced": "1.0"}, {"last_affected": "1.5"}]),
    advisory("PYSEC-listed", "listed", versions=["1.0", "1.0.post1"]),
    advisory("MAL-2026-1", "malicious"),
    advisory("GHSA-gone", "retracted", [{"introduced": "0"}], withdrawn="2026-01-01T00:00:00Z"),
    {"id": "GO-1", "affected": [{"package": {"ecosystem": "Go", "name": "listed"}}]},
    {"id": "GIT-1", "affected": [{"package": {"ecosystem": "PyPI", "name": "commits"},
                                  "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}]},
    advisory("GHSA-limit", "limited", [{"introduced": "1.0"}, {"limit": "2.0"}]),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "osv"
    root.mkdir()
    for one in DATABASE:
        (root / f"{one['id']}.json").write_text(json.dumps(one))
    return root


def ids(result):
    return [one.id for one in result.findings]


@pytest.mark.parametrize(
    ("package", "version", "affected"),
    [
        ("jinja2", "2.11.2", True),
        ("JINJA2", "2.11.3", False),
        ("jinja2", "2.11.3rc1", True),  # before the fix, as PEP 440 orders it
        ("jinja2", "2.9", True),  # not "2.9" > "2.11" as text
        ("jinja2", "2.11.2+local.1", True),
        ("ranged-package", "1.9", False),
        ("ranged_package", "2.0", True),
        ("Ranged.Package", "2.4.1", False),
        ("ranged.package", "2.9", False),
        ("ranged.package", "3.0a1", True),
        ("ranged.package", "3.0.2", False),
        ("lasting", "0.9", False),
        ("lasting", "1.5", True),
        ("lasting", "1.5.1", False),
        ("listed", "1.0.0", True),
        ("listed", "1.0.post1", True),
        ("listed", "1.1", False),
        ("malicious", "0.0.1", True),
        ("retracted", "1.0", False),
        ("limited", "1.9", True),
        ("limited", "2.0", False),
        ("unheard-of", "1.0", False),
    ],
)
def test_versions_are_matched_as_osv_says(folder, package, version, affected):
    result = advisories.check([(package, version)], folder)
    assert bool(result.findings) is affected
    expected = verdicts.Outcome.FAILED if affected else verdicts.Outcome.PASSED
    assert result.verdict.outcome is expected


def test_one_flaw_known_under_two_ids_is_one_finding_that_names_its_cure(folder):
    result = advisories.check([("Jinja2", "2.10")], folder)
    (found,) = result.findings
    assert found.id == "GHSA-g3rq-g295-4j3m"
    assert found.aliases == ("CVE-2020-28493", "PYSEC-2021-66")
    assert (found.fixed, found.severity) == (("2.11.3",), "MODERATE")
    assert "fixed in 2.11.3" in result.verdict.reasons[0]


def test_accepted_advisories_do_not_fail_but_are_kept(folder):
    result = advisories.check([("jinja2", "2.10")], folder, accept=["CVE-2020-28493"])
    assert result.verdict.passed
    assert len(result.accepted) == 1


def test_a_passed_verdict_says_how_much_was_compared_and_how_new(folder):
    result = advisories.check([("numpy", "2.0"), ("scipy", "1.0")], folder)
    assert result.verdict.passed
    assert result.verdict.reasons == ("2 packages against 8 advisories, the newest of 2026-11-01: none applies",)


def test_no_database_is_not_checked():
    result = advisories.check([("numpy", "2.0")], None)
    assert result.verdict.outcome is verdicts.Outcome.NOT_CHECKED
    assert "no advisory database" in result.verdict.reasons[0]


def test_no_packages_is_not_checked(folder):
    assert advisories.check([], folder).verdict.outcome is verdicts.Outcome.NOT_CHECKED


@pytest.mark.parametrize("what", ["absent", "empty", "broken zip", "no advisories"])
def test_a_database_that_holds_nothing_is_not_checked(tmp_path, what):
    path = tmp_path / "osv"
    if what == "empty":
        path.mkdir()
    elif what == "broken zip":
        path.write_bytes(b"PK\x03\x04 broken")
    elif what == "no advisories":
        path.write_text(json.dumps([{"id": "GO-1", "affected": []}]))
    result = advisories.check([("numpy", "2.0")], path)
    assert result.verdict.outcome is verdicts.Outcome.NOT_CHECKED
    assert result.verdict.reasons


def test_a_broken_advisory_makes_a_clean_answer_not_checked_but_hides_no_finding(folder):
    (folder / "broken.json").write_text("{")
    assert advisories.check([("numpy", "2.0")], folder).verdict.outcome is verdicts.Outcome.NOT_CHECKED
    result = advisories.check([("malicious", "1.0")], folder)
    assert result.verdict.outcome is verdicts.Outcome.FAILED
    assert ids(result) == ["MAL-2026-1"]


@pytest.mark.parametrize("version", ["", "git+https://example.org/x", "not a version"])
def test_a_version_that_cannot_be_compared_is_not_checked(folder, version):
    result = advisories.check([("jinja2", version), ("numpy", "2.0")], folder)
    assert result.verdict.outcome is verdicts.Outcome.NOT_CHECKED
    assert "PEP 440" in result.verdict.reasons[0]


def test_an_advisory_that_names_commits_only_is_not_checked(folder):
    result = advisories.check([("commits", "1.0")], folder)
    assert result.verdict.outcome is verdicts.Outcome.NOT_CHECKED
    assert "GIT-1" in result.verdict.reasons[0]


def test_an_advisory_with_a_version_nobody_can_order_is_not_checked(tmp_path):
    path = tmp_path / "one.json"
    path.write_text(json.dumps(advisory("X-1", "odd", [{"introduced": "0"}, {"fixed": "2004d"}])))
    assert advisories.check([("odd", "1.0")], path).verdict.outcome is verdicts.Outcome.NOT_CHECKED
    path.write_text(json.dumps(advisory("X-1", "odd", [{"introduced": "0"}, {"fixed": "2004d"}], ["1.0"])))
    assert advisories.check([("odd", "1.0")], path).verdict.outcome is verdicts.Outcome.FAILED
    assert advisories.check([("odd", "1.1")], path).verdict.passed


def test_the_zip_that_osv_publishes_and_a_list_in_one_file_are_read(tmp_path):
    packed = tmp_path / "all.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in DATABASE:
            archive.writestr(f"{one['id']}.json", json.dumps(one))
        archive.writestr("README.txt", "not an advisory")
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps(DATABASE))
    for database in (packed, listed):
        assert ids(advisories.check([("malicious", "1")], database)) == ["MAL-2026-1"]


def test_findings_are_written_as_json(folder):
    (found,) = advisories.check([("lasting", "1.2")], folder).findings
    assert json.loads(json.dumps(found.to_dict()))["id"] == "GHSA-last"
    assert "no fixed version" in str(found)
