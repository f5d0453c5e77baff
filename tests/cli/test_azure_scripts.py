"""People's `az` scripts, run by a real shell with the shim first on PATH, against the real API."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

COMPONENT = """$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
name: train_model
version: 3
type: command
command: echo ${{inputs.rate}}
environment: {image: python}
inputs: {rate: {type: number, default: 0.1}}
"""


@pytest.fixture
def shell(installed: Any) -> Any:
    """``shell(script)``: what bash says of it, with ``az`` being ours."""
    made = installed("az-shim", str(installed.folder / "bin"))
    assert made.code == 0 and "PATH" in made.err
    environ = {**installed.environ, "PATH": f"{installed.folder / 'bin'}:{os.environ['PATH']}"}

    def run(script: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "-c", script], cwd=installed.folder, env=environ, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done

    run.file = installed.file  # type: ignore[attr-defined]
    return run


def test_a_script_sets_up_and_reads_back_as_on_azure(shell: Any) -> None:
    shell.file("component.yml", COMPONENT)
    shell.file("data.csv", "a,b\n1,2\n")
    done = shell("""
set -e
az extension add -n ml -y
az login >/dev/null
az account set -s "11111111-2222-3333-4444-555555555555"
az ml workspace create -n scripts -g team -l westeurope -o none
az configure --defaults group=team workspace=scripts location=westeurope
SUBSCRIPTION=$(az account show --query id -o tsv)
GROUP=$(az configure -l --query "[?name=='group'].value | [0]" -o tsv)
WORKSPACE=$(az config get --query "defaults[?name == 'workspace'].value" -o tsv)
LOCATION=$(az group show --query location -o tsv)
echo "$SUBSCRIPTION/$GROUP/$WORKSPACE/$LOCATION"
az ml compute create --name cpu-cluster --type AmlCompute --min-instances 0 --max-instances 3 --size Standard_DS3_v2 -o none
az ml compute show --name cpu-cluster --query "[type, max_instances, provisioning_state]" -o tsv
az ml data create --name rides --version 1 --type uri_file --path data.csv -o none
az ml data list --name rides --query "[].version" -o tsv
if ! az ml component show --name train_model --label latest >/dev/null 2>&1; then
  az ml component create --file component.yml --query version -o tsv
fi
az ml component show --name train_model --version 3 --query "inputs.rate.default" -o tsv
MLFLOW=$(az ml workspace show --query mlflow_tracking_uri -o tsv)
echo "${MLFLOW##*/mlflow}"
TOKEN=$(az account get-access-token --query accessToken -o tsv)
[ -n "$TOKEN" ] && echo token
az ml online-endpoint create --name rides-endpoint --auth-mode key --query provisioning_state -o tsv
az ml online-endpoint get-credentials -n rides-endpoint -o tsv --query primaryKey | wc -l
az ml online-endpoint delete --name rides-endpoint --yes --no-wait
az version --query extensions.ml -o tsv
""")  # noqa: E501
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == [
        "11111111-2222-3333-4444-555555555555/team/scripts/westeurope", "amlcompute", "3", "Succeeded", "1", "3", "0.1",
        "/w/scripts", "token", "Succeeded", "1", "2.40.1", "",
    ]  # fmt: skip


def test_what_is_azures_alone_says_so_and_fails(shell: Any) -> None:
    for words in ("storage account list", "vm create -n x", "acr build .", "role assignment create", "", "mll"):
        done = shell(f"az {words}")
        assert done.returncode != 0 and done.stdout == "", words
        assert "This is not Azure" in done.stderr and "`az ml …`" in done.stderr
    assert shell("az extension add -n aks-preview").returncode != 0
    scaling = shell("az monitor autoscale create --min-count 1 --max-count 5")
    assert scaling.returncode != 0 and "write `scale_settings`" in scaling.stderr


def test_curl_to_azures_management_is_answered_and_all_else_is_curls_own(installed: Any) -> None:
    folder = installed.folder / "bin"
    assert installed("az-shim", "--curl", str(folder)).code == 0
    real = installed.folder / "real"
    real.mkdir()
    (real / "curl").write_text('#!/bin/sh\necho real "$@"\n')
    (real / "curl").chmod(0o755)
    environ = {**installed.environ, "PATH": f"{folder}:{real}:{os.environ['PATH']}"}

    def curl(*words: str) -> tuple[int, str]:
        done = subprocess.run(["curl", *words], env=environ, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    code, told = curl("-sS", "-X", "DELETE", "https://ml.azure.com/api/models/m:2", "-H", "Authorization: Bearer x")
    assert (code, json.loads(told)["error"]["code"]) == (0, "NotSupported")
    assert curl("-f", "https://management.azure.com/subscriptions") == (22, "")
    assert curl("-s", "http://127.0.0.1:1/x", "a b") == (0, "real -s http://127.0.0.1:1/x a b\n")


def test_errors_reach_the_script_as_exit_codes(shell: Any) -> None:
    done = shell("if az ml workspace show --name none; then echo there; else echo code $?; fi")
    assert done.stdout == "code 3\n" and "error:" in done.stderr
    assert "Did you mean 'job'?" in shell("az ml jobb create").stderr
    assert "Did you mean 'create'" in shell("az ml job creat").stderr


def test_json_is_what_az_prints_unless_told_otherwise(shell: Any) -> None:
    listed = shell("az ml workspace list")
    assert json.loads(listed.stdout) == [
        each for each in json.loads(listed.stdout) if each["name"]
    ]  # fmt: skip
    shell("az config set core.output=tsv")
    assert not shell("az ml workspace list").stdout.startswith("[")
    assert shell("az account show -o json").stdout.startswith("{")


def test_the_shim_replaces_itself_and_nothing_else(stranger: Any, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    assert stranger("az-shim", str(folder)).code == 0
    assert stranger("az-shim", str(folder)).code == 0
    assert os.access(folder / "az", os.X_OK)
    (folder / "az").write_text("#!/bin/sh\nexec azure\n")
    refused = stranger("az-shim", str(folder))
    assert refused.code == 5 and "not ours" in refused.err
    assert (folder / "az").read_text() == "#!/bin/sh\nexec azure\n"


def test_workspaces_computes_and_registries_come_and_go_by_hand(installed: Any) -> None:
    assert installed("workspace", "create", "-n", "hand", "--description", "by hand").json["kind"] == "preproduction"
    again = installed("workspace", "update", "-n", "hand", "--set", "description=changed")
    assert again.json["description"] == "changed", again.err
    made = installed("compute", "create", "-n", "c1", "-t", "amlcompute", "--max-instances", "2", "-w", "hand")
    assert (made.json["name"], made.json["max_instances"]) == ("c1", 2)
    more = installed("compute", "update", "-n", "c1", "--max-instances", "5", "-w", "hand")
    assert more.json["max_instances"] == 5 and more.json["type"] == "amlcompute"
    assert installed("compute", "delete", "-n", "c1", "--yes", "-w", "hand").code == 0
    gone = installed("compute", "delete", "-n", "c1", "--yes", "-w", "hand")
    assert gone.code == 3 and "compute create" in gone.err
    assert installed("registry", "create", "-n", "shared", "-l", "westeurope").json["is_registry"] is True
    assert installed("registry", "delete", "-n", "shared", "--yes").code == 0
    installed("data", "create", "-n", "d", "--path", installed.file("d.csv", "x"), "-t", "uri_file", "-w", "hand")
    full = installed("workspace", "delete", "-n", "hand", "--yes")
    assert full.code == 5, full.err
    assert installed("workspace", "delete", "-n", "hand", "--yes", "--all-resources").code == 0
    assert installed("workspace", "show", "-n", "hand").code == 3


def test_components_and_environments_are_archived_and_labelled(installed: Any) -> None:
    installed("workspace", "create", "-n", "hand")
    file = installed.file("component.yml", COMPONENT)
    assert installed("component", "create", "-f", file, "-w", "hand").json["version"] == "3"
    assert installed("component", "label", "-n", "train_model", "-l", "good", "-w", "hand").json["labels"] == ["good"]
    assert installed("component", "show", "train_model@good", "-w", "hand").json["command"].startswith("echo")
    assert installed("component", "archive", "-n", "train_model", "-w", "hand").json["archived"] is True
    assert installed("component", "list", "-w", "hand").json == []
    assert [each["name"] for each in installed("component", "list", "--include-archived", "-w", "hand").json]
    assert installed("component", "restore", "-n", "train_model", "-v", "3", "-w", "hand").code == 0
    assert installed("registry", "create", "-n", "shared").code == 0
    shared = ("-v", "3", "--registry-name", "shared", "--share-with-name", "train_here", "--share-with-version", "9")
    made = installed("component", "share", "-n", "train_model", *shared, "-w", "hand")
    assert (made.json["workspace"], made.json["name"], made.json["version"]) == ("shared", "train_here", "9"), made.err
    nowhere = installed("component", "share", "-n", "train_model", "-w", "hand")
    assert nowhere.code == 2 and "--registry-name" in nowhere.err
    packed = installed("model", "package", "-n", "m", "-v", "1", "--file", "package.yml")
    assert packed.code != 0 and "container image" in packed.err
    update = installed("component", "update", "-n", "train_model", "--set", "description=x", "-w", "hand")
    assert update.code != 0 and "never changes" in update.err
