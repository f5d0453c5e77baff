"""Reads conda files and requirements files into pip syntax.

How a conda pin becomes a pip requirement
-----------------------------------------
``pkg==1.2``, ``pkg 1.2`` and ``pkg=1.2=build`` name one version: ``pkg==1.2`` (the build, conda's own, is dropped).
``pkg=1.2`` is conda's fuzzy pin, "1.2 and whatever begins with 1.2.": ``pkg==1.2.*``. It is never read as exact,
whatever its length, for two reasons: ``pandas=1.4`` must install 1.4.4 as conda does and not the first 1.4.0; and
PyPI releases sometimes have one component more than conda's (``opencv=4.5.5`` is ``4.5.5.64`` on PyPI), which an exact
pin would not find. Where only the very version exists, both readings install the same.
"""

from __future__ import annotations

import difflib
import errno
import io
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ruamel.yaml
from packaging import requirements as requirements_

from doubleloop.base import errors
from doubleloop.environments import model

Reader = Callable[[str], str]
"""Given a path relative to the conda file, its text. Raises OSError, or InvalidInput for a path out of bounds."""

_KEYS = ("name", "channels", "dependencies", "prefix", "variables", "platforms", "category", "build_dependencies")
_MATCH_SPEC = re.compile(r"^(?:[^\s:\[]+::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9._-]*)\s*(?P<rest>.*)$")
_VERSION = re.compile(r"^v?(\d+!)?\d+(\.\d+)*([-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?\d*)?(-\d+|[-_.]?(post|rev|r)[-_.]?\d*)?([-_.]?dev[-_.]?\d*)?(\+[a-z0-9._-]+)?$", re.I)  # fmt: skip  # noqa: E501
_RELEASE = re.compile(r"^\d+(\.\d+)*$")
_OPTION = re.compile(r"^(?P<name>--?[a-z-]+)(?:\s*=\s*|\s+|$)(?P<value>.*)$")
_BY_NAME = re.compile(r"^[A-Za-z0-9]")
_CONDA_PIN = re.compile(r"^([A-Za-z0-9._-]+)\s*=\s*([A-Za-z0-9.*+!_-]+)$")
_COMMENT = re.compile(r"(^|\s+)#.*$")

# Names that conda and PyPI spell differently.
RENAMED = {
    "dask-core": "dask", "matplotlib-base": "matplotlib", "msgpack-python": "msgpack",
    "opencv": "opencv-python-headless",
    "psycopg2": "psycopg2-binary", "py-opencv": "opencv-python-headless", "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost", "py-xgboost-gpu": "xgboost", "pyqt": "pyqt5", "pytables": "tables",
    "python-graphviz": "graphviz", "pytorch": "torch", "pytorch-cpu": "torch", "pytorch-gpu": "torch",
    "ruamel-yaml": "ruamel.yaml", "seaborn-base": "seaborn", "tensorflow-gpu": "tensorflow",
    "tensorflow-mkl": "tensorflow",
}  # fmt: skip

# What conda installs beside Python packages: compilers, C libraries, other languages. Wheels bring what they need.
_CONDA_ONLY = re.compile(
    r"^(_.*|r|r-.*|binutils.*|blas|bzip2|c-compiler|ca-certificates|compilers|conda|cpuonly|cuda.*|cudnn|curl|cxx-compiler|"
    r"cython-blis|ffmpeg|fortran-compiler|freetype|gcc.*|gfortran.*|git|git-lfs|glib|gxx.*|icu|intel-openmp|jpeg|"
    r"kernel-headers.*|ld_impl.*|lib(blas|cblas|cxx|edit|ffi|gcc|gfortran|gomp|iconv|jpeg|lapack|ntlm|openblas|png|"
    r"protobuf|sndfile|sqlite|stdcxx|tiff|uuid|xml2|zlib)([-_].*)?|libclang|libllvm.*|llvm-openmp|make|mamba|mkl|mpich|"
    r"nccl|ncurses|nodejs|nomkl|openblas|openjdk|openmpi|openssl|pandoc|perl|pip|pkg-config|python_abi|python-abi|"
    r"pytorch-cuda|pytorch-mutex|readline|rust|sqlite|sysroot.*|tk|ucx|unzip|vc|vs20.*|wget|xz|zip|zlib|zstd)$"
)

_INDEX_OPTIONS = {
    "-i": "--index-url", "--index-url": "--index-url", "--extra-index-url": "--extra-index-url", "-f": "--find-links",
    "--find-links": "--find-links", "--no-index": "--no-index", "--no-binary": "--no-binary",
    "--only-binary": "--only-binary",
}  # fmt: skip
_URL_OPTIONS = ("--index-url", "--extra-index-url", "--find-links")
_IGNORED_OPTIONS = (
    "--prefer-binary",
    "--require-hashes",
    "--trusted-host",
    "--use-feature",
    "--use-pep517",
    "--upgrade",
    "-U",
)


def parse(text: str, file: str, read: Reader | None = None) -> model.CondaSpec:
    """A conda file as a spec. ``read`` fetches files it names (``-r requirements.txt``).

    Raises InvalidInput naming file and line.
    """
    body = _load(text, file)
    found = _Found(read)
    for index, entry in enumerate(_list(body, "dependencies", file)):
        line = _line(body["dependencies"], index)
        if isinstance(entry, dict):
            _take_sections(entry, file, found)
        elif entry is not None:
            _take_conda(str(entry), file, line, found)
    if body.get("variables"):
        found.notices.append(f"{file}: 'variables' are not set; write them as the job's environment_variables")
    channels = tuple(str(channel) for channel in _list(body, "channels", file))
    return replace(found.spec(), name=str(body.get("name") or ""), channels=channels)


def requirements(text: str, file: str, read: Reader | None = None) -> model.CondaSpec:
    """A requirements file (pip's own format) as a spec. Raises InvalidInput naming file and line."""
    found = _Found(read)
    _take_file(text, file, found)
    return found.spec()


def beside(folder: Path) -> Reader:
    """Reads files below ``folder`` and nothing else."""

    def read(path: str) -> str:
        target = (folder / path).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise errors.InvalidInput(f"'{path}' lies outside of {folder}", cure="Keep it in the project's folder.")
        return target.read_text(encoding="utf-8")

    return read


def carried(files: Mapping[str, str]) -> Reader:
    """Reads the files that came with a conda file, by their paths seen from it."""

    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(errno.ENOENT, "it did not come with the conda file", path)
        return files[path]

    return read


@dataclass
class _Found:
    """What has been read so far."""

    read: Reader | None
    python: str = ""
    python_where: errors.Where | None = None
    requirements: list[model.Requirement] = field(default_factory=list)
    constraints: list[model.Requirement] = field(default_factory=list)
    options: list[model.Requirement] = field(default_factory=list)
    prereleases: bool = False
    notices: list[str] = field(default_factory=list)
    reading: tuple[str, ...] = ()
    folder: str = ""  # of the file being read, seen from the conda file's

    def spec(self) -> model.CondaSpec:
        return model.CondaSpec(
            self.python, tuple(self.requirements), (), tuple(self.constraints), tuple(self.options), self.prereleases,
            notices=tuple(self.notices), python_where=self.python_where,
        )  # fmt: skip


# -- the conda level -------------------------------------------------------------------------------------------------


def _load(text: str, file: str) -> Any:
    try:
        body: Any = ruamel.yaml.YAML().load(io.StringIO(text))
    except ruamel.yaml.error.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise errors.InvalidInput(f"not YAML: {error.problem}", where=errors.Where(file, line)) from error
    if body is None:
        return {}
    if not hasattr(body, "keys"):
        raise errors.InvalidInput("a conda file is a mapping with 'dependencies'", where=errors.Where(file, 1))
    for key in body:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, 1)
            cure = f"Did you mean '{near[0]}'?" if near else f"Known keys: {', '.join(_KEYS)}."
            raise errors.InvalidInput(
                f"unknown key '{key}' in a conda file", where=errors.Where(file, body.lc.key(key)[0] + 1), cure=cure
            )
    return body


def _list(body: Any, key: str, file: str) -> list[Any]:
    value = body.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        line = body.lc.key(key)[0] + 1
        raise errors.InvalidInput(f"'{key}' must be a list", where=errors.Where(file, line, key))
    return value


def _line(items: Any, index: int) -> int:
    return int(items.lc.item(index)[0]) + 1


def _take_sections(entry: Any, file: str, found: _Found) -> None:
    for key, lines in entry.items():
        line = entry.lc.key(key)[0] + 1
        if key != "pip":
            raise errors.InvalidInput(
                f"'{key}' cannot be a section of dependencies", where=errors.Where(file, line),
                cure="Only 'pip:' can hold a list; write conda packages as 'name=version'.",
            )  # fmt: skip
        if lines is None:
            continue
        if not isinstance(lines, list):
            raise errors.InvalidInput("'pip' must be a list", where=errors.Where(file, line, "dependencies.pip"))
        for index, item in enumerate(lines):
            _take_pip("" if item is None else str(item), file, _line(lines, index), found)


def _take_conda(entry: str, file: str, line: int, found: _Found) -> None:
    where = errors.Where(file, line)
    match = _MATCH_SPEC.match(entry.strip())
    if not match:
        raise errors.InvalidInput(f"'{entry}' is not a conda package", where=where, cure="Write 'name=version'.")
    name, version = match["name"], _pip_version(match["rest"].strip(), entry, where)
    known = model.normal_name(name)
    if known == "python":
        found.python, found.python_where = _python(version, entry, where), where
    elif _CONDA_ONLY.match(name.lower()) or _CONDA_ONLY.match(known):
        if known != "pip" or version:
            found.notices.append(f"{where}: '{entry}' is not installed: conda's own part, no Python package")
    else:
        renamed = RENAMED.get(known, name)
        if renamed != name:
            found.notices.append(f"{where}: conda's '{name}' is '{renamed}' on the package index")
        found.requirements.append(model.Requirement(renamed + version, line, file))


def _pip_version(rest: str, entry: str, where: errors.Where) -> str:
    """What follows a conda package's name, as a pip version specifier (empty for any version)."""
    bracket = re.match(r"^\[(.*)\]$", rest)
    if bracket:
        inner = re.search(r"version\s*=\s*['\"]?([^'\"\]]+?)['\"]?\s*(?:,\s*\w+\s*=|$)", bracket[1])
        rest = inner[1].strip() if inner else ""
        rest = f"=={rest}" if _VERSION.match(rest) else rest
    if not rest or rest == "*":
        return ""
    rest = re.sub(r"([<>=!~,|])\s+", r"\1", rest)  # '>= 1.2' is one word; what follows a space is a build
    rest = rest.split()[0]
    exact = re.match(r"^={0,2}([^=<>!~,|*]+)=[^=]+$", rest)  # version=build
    if exact:
        return _one_version(f"=={exact[1]}", entry, where)
    if "|" in rest:
        raise errors.InvalidInput(
            f"'{entry}': pip has no 'or' between versions", where=where, cure="Write one range, such as '>=1.2,<2'."
        )
    return ",".join(filter(None, (_one_version(part, entry, where) for part in rest.split(","))))


def _one_version(part: str, entry: str, where: errors.Where) -> str:
    match = re.match(r"^(==|!=|>=|<=|~=|=|>|<)?(.+?)(\.?\*)?$", part)
    if part == "*":
        return ""
    if not match or not _VERSION.match(match[2]):
        raise errors.InvalidInput(
            f"'{entry}': '{part}' is not a version that the package index knows",
            where=where, cure="Write versions as in PEP 440: 1.2, 1.2.3, 1.2rc1.",
        )  # fmt: skip
    operator, version, star = match[1] or "==", match[2], match[3]
    if operator == "=":
        operator, star = "==", "*" if _RELEASE.match(version) else None
    return f"{operator}{version}" + (".*" if star and operator in ("==", "!=") else "")


def _python(version: str, entry: str, where: errors.Where) -> str:
    """``==3.11.*`` and ``==3.11`` are the pin ``3.11``; ranges stay as they are."""
    pin = re.match(r"^==(\d+(?:\.\d+){0,2})(?:\.\*)?$", version)
    if pin and "." not in pin[1]:
        return f">={pin[1]},<{int(pin[1]) + 1}"
    if version and not pin and not re.match(r"^[<>=!~]", version):
        raise errors.InvalidInput(f"'{entry}' is not a Python version", where=where, cure="Write 'python=3.11'.")
    return pin[1] if pin else version


# -- the pip level ---------------------------------------------------------------------------------------------------


def _take_pip(text: str, file: str, line: int, found: _Found) -> None:
    text = _COMMENT.sub("", text).strip()
    if not text:
        return
    option = _OPTION.match(text) if text.startswith("-") else None
    if option:
        _take_option(option["name"], option["value"].strip(), model.Requirement(text, line, file), found)
    else:
        text = re.sub(r"\s+--hash[= ]\S+", "", text)
        _check_syntax(text, errors.Where(file, line))
        found.requirements.append(model.Requirement(text, line, file))


def _check_syntax(text: str, where: errors.Where) -> None:
    """Raise InvalidInput for a line that begins like a package by name and is no requirement (PEP 508). Addresses,
    paths and lines with variables are the installer's to judge."""
    elsewhere = any(mark in text for mark in ("/", "#", "${")) or text.endswith((".whl", ".zip", ".gz"))
    if elsewhere or not _BY_NAME.match(text):
        return
    try:
        requirements_.Requirement(re.split(r"\s+--", text)[0])
    except requirements_.InvalidRequirement as error:
        conda_pin = _CONDA_PIN.match(text)
        cure = f"pip wants two equals signs: {conda_pin[1]}=={conda_pin[2]}" if conda_pin else "Write name==version."
        said = str(error).splitlines()[0]
        raise errors.InvalidInput(f"'{text}' is not a pip requirement: {said}", where=where, cure=cure) from None


def _take_option(name: str, value: str, written: model.Requirement, found: _Found) -> None:
    if name in ("-r", "--requirement"):
        _include(value, written, found)
    elif name in ("-c", "--constraint"):
        inner = _Found(found.read, reading=found.reading, folder=found.folder)
        _include(value, written, inner)
        found.constraints.extend(inner.requirements)
    elif name in _INDEX_OPTIONS:
        _take_index(_INDEX_OPTIONS[name], value, written, found)
    elif name == "--pre":
        found.prereleases = True
    elif name in ("-e", "--editable"):
        found.requirements.append(model.Requirement(written.text, written.line, written.file))
    elif name in _IGNORED_OPTIONS:
        found.notices.append(f"{written.where}: '{name}' has no meaning here and is left out")
    else:
        raise errors.InvalidInput(
            f"unknown option '{name}'", where=written.where, cure="See pip's requirements format."
        )


def _take_index(name: str, value: str, written: model.Requirement, found: _Found) -> None:
    if name in _URL_OPTIONS and not re.match(r"^https?://", value):
        raise errors.InvalidInput(
            f"'{name}' must be an http(s) address", where=written.where, cure="Publish the packages on an index."
        )
    if "${" in value:
        raise errors.InvalidInput(
            f"'{name}': variables are not filled in here, so that no secret of this installation can be asked for",
            where=written.where, cure="Let the platform team set the index and its credentials up for uv.",
        )  # fmt: skip
    if re.match(r"^https?://[^/@]+@", value):
        found.notices.append(f"{written.where}: this address holds a password that whoever sees the lock can read")
    found.options.append(replace(written, text=f"{name} {value}".strip()))


def _include(path: str, written: model.Requirement, found: _Found) -> None:
    """Read another requirements file; its path counts from the file that names it."""
    if found.read is None:
        raise errors.InvalidInput(
            f"'{path}' is not at hand here", where=written.where, cure="Write its lines into the conda file itself."
        )
    below = posixpath.normpath(posixpath.join(found.folder, path))
    try:
        text = found.read(below)
    except OSError as error:
        raise errors.InvalidInput(
            f"'{path}' cannot be read: {error.strerror or error}", where=written.where,
            cure="Its path counts from the file that names it.",
        ) from error  # fmt: skip
    outer, found.folder = found.folder, posixpath.dirname(below)
    _take_file(text, posixpath.normpath(posixpath.join(posixpath.dirname(written.file), path)), found)
    found.folder = outer


def _take_file(text: str, file: str, found: _Found) -> None:
    if file in found.reading:
        raise errors.InvalidInput(f"'{file}' includes itself", where=errors.Where(file))
    found.reading += (file,)
    line, started = "", 0
    for number, part in enumerate(text.splitlines(), 1):
        started = started if line else number
        if part.rstrip().endswith("\\") and not part.lstrip().startswith("#"):
            line += part.rstrip()[:-1]
            continue
        _take_pip(line + part, file, started, found)
        line = ""
    _take_pip(line, file, started, found)
    found.reading = found.reading[:-1]
