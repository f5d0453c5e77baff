"""Packages that were built against numpy 1 and do not run with numpy 2, which their metadata on the index does not say.

conda's builds of them say so (``numpy <2``), so that a conda file which names them means a numpy that they run with.
"""

from __future__ import annotations

from collections.abc import Iterable

from packaging.version import InvalidVersion, Version

# The first release of each whose wheels run with numpy 2, from its release notes.
_RUNS_WITH_NUMPY_2 = {
    "contourpy": "1.2.1", "h5py": "3.11.0", "matplotlib": "3.8.4", "numba": "0.60.0", "numexpr": "2.10.0",
    "onnx": "1.17.0", "onnxruntime": "1.19.0", "opencv-contrib-python": "4.10.0.84", "opencv-python": "4.10.0.84",
    "opencv-python-headless": "4.10.0.84", "pandas": "2.2.2", "pyarrow": "16.1.0", "pycocotools": "2.0.8",
    "pywavelets": "1.6.0", "scikit-image": "0.24.0", "scikit-learn": "1.4.2", "scipy": "1.13.0", "spacy": "3.8.0",
    "statsmodels": "0.14.2", "tables": "3.9.3", "thinc": "8.3.0", "torch": "2.3.0",
}  # fmt: skip


def constraints(pins: Iterable[str]) -> list[str]:
    """Requirements to add to what ``pins`` (``name==version``) were found for; none when all of them fit."""
    found = dict(pin.split("==", 1) for pin in pins)
    numpy = _version(found.get("numpy", "0"))
    if numpy is None or numpy.major < 2:
        return []
    older = [name for name, first in _RUNS_WITH_NUMPY_2.items() if _is_older(found.get(name), first)]
    return ["numpy<2"] if older else []


def _is_older(version: str | None, first: str) -> bool:
    known = _version(version) if version else None
    return known is not None and known < Version(first)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
