"""The environment variables of a scorer: a short list of harmless ones from ours, never our secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from doubleloop.gateway import desired

PASSED = {"HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "USER", "LOGNAME", "SSL_CERT_FILE", "SSL_CERT_DIR"}
PASSED_PREFIXES = ("LC_", "LD_", "OPENBLAS_", "OMP_", "MKL_", "CUDA_", "NVIDIA_")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
           "VECLIB_MAXIMUM_THREADS")  # fmt: skip


def of_scorer(deployment: desired.Deployment, model_parent: Path | None) -> dict[str, str]:
    """``model_parent``: the folder that AZUREML_MODEL_DIR names (scripts only)."""
    inherited: Mapping[str, str] = os.environ
    result = {name: value for name, value in inherited.items() if name in PASSED or name.startswith(PASSED_PREFIXES)}
    binaries = Path(deployment.python).parent
    result["PATH"] = f"{binaries}{os.pathsep}{inherited.get('PATH', os.defpath)}"
    # One thread each: scorers share the cores with each other, and two OpenMP threads on a busy core are slower.
    result |= dict.fromkeys(THREADS, "1")
    result |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "MLFLOW_DISABLE_TELEMETRY": "true",
               "DO_NOT_TRACK": "true"}  # fmt: skip
    if model_parent is not None:
        result["AZUREML_MODEL_DIR"] = str(model_parent)
        result["AZUREML_ENTRY_SCRIPT"] = deployment.scoring_script or ""
        result["AML_APP_ROOT"] = deployment.code_dir or ""
    return result | dict(deployment.environment_variables)
