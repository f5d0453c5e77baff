"""What a path or asset field may point at, each as a small frozen dataclass; ``parse`` tells them apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from doubleloop.base import errors


@dataclass(frozen=True)
class Local:
    """A file or folder of the machine that the YAML is on: as written, or absolute once loaded."""

    path: str


@dataclass(frozen=True)
class Blob:
    """One uploaded file: ``blob:sha256:<hex>``."""

    digest: str

    def __str__(self) -> str:
        return f"blob:sha256:{self.digest}"


@dataclass(frozen=True)
class Tree:
    """An uploaded folder, or something inside it: ``tree:sha256:<hex>[/sub/path]``."""

    digest: str
    subpath: str = ""

    def __str__(self) -> str:
        return f"tree:sha256:{self.digest}" + (f"/{self.subpath}" if self.subpath else "")


@dataclass(frozen=True)
class Asset:
    """``azureml:name:version``, ``azureml:name@label`` or, for things without versions, ``azureml:name``.

    ``kind`` is known only for long forms (``azureml:/subscriptions/.../data/...``): data, models, ...
    """

    name: str
    version: str | None = None
    label: str | None = None
    kind: str | None = None

    def __str__(self) -> str:
        tail = f":{self.version}" if self.version is not None else f"@{self.label}" if self.label else ""
        return f"azureml:{self.name}{tail}"


@dataclass(frozen=True)
class RegistryAsset:
    """``azureml://registries/R/<kind>/N/versions/V`` or ``.../labels/L``; ``kind`` is environments, models, ..."""

    registry: str
    kind: str
    name: str
    version: str | None = None
    label: str | None = None

    def __str__(self) -> str:
        tail = f"/versions/{self.version}" if self.version else f"/labels/{self.label}" if self.label else ""
        return f"azureml://registries/{self.registry}/{self.kind}/{self.name}{tail}"


@dataclass(frozen=True)
class DatastorePath:
    """``azureml://datastores/X/paths/P``; an empty ``path`` is the datastore's root."""

    datastore: str
    path: str = ""

    def __str__(self) -> str:
        return f"azureml://datastores/{self.datastore}/paths/{self.path}"


@dataclass(frozen=True)
class JobOutput:
    """``azureml://jobs/J/outputs/O[/paths/P]``; the output ``artifacts`` is the job's own folder."""

    job: str
    output: str
    path: str = ""

    def __str__(self) -> str:
        return f"azureml://jobs/{self.job}/outputs/{self.output}" + (f"/paths/{self.path}" if self.path else "")


@dataclass(frozen=True)
class RunArtifact:
    """``runs:/<run id>/<path>``: an artifact of an MLflow run."""

    run: str
    path: str = ""

    def __str__(self) -> str:
        return f"runs:/{self.run}/{self.path}"


@dataclass(frozen=True)
class Url:
    """Something at an address: https, http, wasbs, abfss, s3, gs, adl, hdfs, git."""

    url: str

    @property
    def scheme(self) -> str:
        return self.url.partition(":")[0].lower()

    def __str__(self) -> str:
        return self.url


Reference = Local | Blob | Tree | Asset | RegistryAsset | DatastorePath | JobOutput | RunArtifact | Url

_CONTENT = re.compile(r"^(blob|tree):sha256:([0-9a-f]{64})(?:/(.*))?$")
_NAME = r"[^/:@\s]+"
_SHORT = re.compile(rf"^({_NAME})(?::({_NAME})|@({_NAME}))?$")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_GIT = re.compile(r"^(git\+|git@)")
_ARM = re.compile(r"/workspaces/[^/]+/(?P<kind>[a-z]+)/(?P<name>[^/]+)(?:/(?P<what>versions|labels)/(?P<tail>[^/]+))?$")

_CURE = (
    "write azureml:name:version, azureml:name@label, azureml://datastores/STORE/paths/PATH, "
    "azureml://registries/REGISTRY/KIND/NAME/versions/VERSION, azureml://jobs/JOB/outputs/OUTPUT, an https:// address "
    "or a local path"
)


def parse(text: str, where: errors.Where | None = None) -> Reference:
    """The reference that ``text`` is. Raises InvalidInput for a malformed one; a plain text is a local path."""
    if not text.strip():
        raise errors.InvalidInput("the path is empty", where=where, cure=_CURE)
    if text.startswith(("blob:", "tree:")):
        return _content(text, where)
    if text.startswith("runs:/"):
        run, _, path = text.removeprefix("runs:/").lstrip("/").partition("/")
        return RunArtifact(run, path)
    if text.lower().startswith("azureml:"):
        return _azureml(text, where)
    if text.startswith("file:"):
        return Local(_file_path(text))
    if _SCHEME.match(text) or _GIT.match(text):
        return Url(text)
    return Local(text)


def is_local(text: str) -> bool:
    """Whether ``text`` is a path of this machine, as far as its form goes."""
    if text.lower().startswith(("azureml:", "blob:", "tree:", "runs:/")) or not text.strip():
        return False
    return isinstance(parse(text), Local) and "${{" not in text


def compute_name(text: str) -> str:
    """The bare name of a compute or datastore: ``azureml:cpu-cluster`` and ``cpu-cluster`` are the same."""
    return text[len("azureml:") :] if text.lower().startswith("azureml:") else text


def _file_path(text: str) -> str:
    """``file:///a/b``, ``file://./b`` and ``file:./b`` as paths."""
    path = text.removeprefix("file:")
    return unquote(path[2:]) if path.startswith("//") else path


def _content(text: str, where: errors.Where | None) -> Reference:
    match = _CONTENT.match(text)
    subpath = (match[3] or "").strip("/") if match else ""
    if not match or ".." in subpath.split("/") or (match[1] == "blob" and subpath):
        raise errors.InvalidInput(
            f"'{text}' is not a content address",
            where=where,
            cure="write blob:sha256:<64 hex digits> or tree:sha256:...",
        )
    return Blob(match[2]) if match[1] == "blob" else Tree(match[2], subpath)


def _azureml(text: str, where: errors.Where | None) -> Reference:
    rest = text[len("azureml:") :]
    found: Reference | None = None
    if rest.startswith("/"):
        found = _long(rest)
    elif match := _SHORT.match(rest):
        found = Asset(match[1], match[2], match[3])
    if found is None:
        raise errors.InvalidInput(f"'{text}' is not a reference to an asset", where=where, cure=_CURE)
    return found


def _long(rest: str) -> Reference | None:
    """``azureml://...`` and ``azureml:/subscriptions/...``; the subscription and workspace around it are dropped."""
    path = rest.lstrip("/")
    parts = path.split("/")
    match parts:
        case ["datastores", store] if store:
            return DatastorePath(store)
        case ["datastores", store, "paths", *tail] if store:
            return DatastorePath(store, "/".join(tail))
        case ["jobs", job, "outputs", output] if job and output:
            return JobOutput(job, output)
        case ["jobs", job, "outputs", output, "paths", *tail] if job and output:
            return JobOutput(job, output, "/".join(tail))
        case ["registries", registry, kind, name] if registry and name:
            return RegistryAsset(registry, kind, name)
        case ["registries", registry, kind, name, "versions", version] if registry and name and version:
            return RegistryAsset(registry, kind, name, version)
        case ["registries", registry, kind, name, "labels", label] if registry and name and label:
            return RegistryAsset(registry, kind, name, label=label)
    if "/datastores/" in path and parts[0] in ("subscriptions", "locations"):
        return _long("datastores/" + path.partition("/datastores/")[2])
    long = _ARM.search("/" + path)
    if long and parts[0] in ("subscriptions", "locations"):
        asset_version = long["tail"] if long["what"] == "versions" else None
        asset_label = long["tail"] if long["what"] == "labels" else None
        return Asset(long["name"], asset_version, asset_label, long["kind"])
    return None
