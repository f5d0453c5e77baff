"""Which names a pickle may mention. Default deny: a name passes only by a rule below or by the workspace's policy.

A pickle calls what it names, so the list holds things whose construction only stores what it is given. Whole libraries
are never allowed, only their classes (``CapWords`` and defined there) and single functions: a module of an allowed
library may well import ``os``, and ``sklearn.x`` + ``os.system`` would be a way out.
"""

from __future__ import annotations

import _compat_pickle
import re
from dataclasses import dataclass

from doubleloop.quarantine.model import Policy, Severity


@dataclass(frozen=True)
class Judgement:
    severity: Severity
    why: str


_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_CLASS = re.compile(r"_{0,2}[A-Z]\w*(\.[A-Z]\w*)*", re.ASCII)
_CYTHON = re.compile(r"__pyx_unpickle_[A-Z_]\w*", re.ASCII)

_PLAIN = frozenset({
    "builtins": "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple type "
                "Ellipsis NotImplemented reversed enumerate zip",
    "collections": "OrderedDict defaultdict deque Counter ChainMap UserDict UserList",
    "copyreg": "_reconstructor __newobj__ __newobj_ex__",
    "_codecs": "encode",
    "functools": "partial",
    "operator": "itemgetter",
    "array": "array _array_reconstructor",
    "datetime": "date datetime time timedelta timezone",
    "zoneinfo": "ZoneInfo ZoneInfo._unpickle",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID SafeUUID",
    "random": "Random",
    "re": "_compile",
    "types": "SimpleNamespace",
    "pathlib": "PurePosixPath PureWindowsPath PurePath",
}.items())  # fmt: skip

_NUMPY_TYPES = (
    "bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intc intp uintc uintp longlong ulonglong long ulong "
    "float16 float32 float64 longdouble complex64 complex128 clongdouble str_ bytes_ object_ void datetime64 "
    "timedelta64 generic number integer floating signedinteger unsignedinteger inexact"
)
_NUMPY_FUNCTIONS = (
    "abs absolute add arccos arcsin arctan cbrt ceil clip cos cosh deg2rad divide equal exp exp2 expm1 fabs floor "
    "greater greater_equal hypot isfinite isnan less less_equal log log10 log1p log2 logaddexp maximum max mean median "
    "min minimum mod multiply nan_to_num nanmax nanmean nanmedian nanmin nanstd nansum negative not_equal ones power "
    "prod rad2deg ravel reciprocal rint round sign sin sinh sqrt square std subtract sum tan tanh true_divide trunc "
    "var zeros"
)
_PANDAS = (
    "DataFrame Series Index RangeIndex MultiIndex CategoricalIndex DatetimeIndex TimedeltaIndex PeriodIndex "
    "IntervalIndex Categorical Timestamp Timedelta Period Interval NaT NA BooleanDtype StringDtype CategoricalDtype "
    "DatetimeTZDtype PeriodDtype IntervalDtype SparseDtype ArrowDtype Float32Dtype Float64Dtype Int8Dtype Int16Dtype "
    "Int32Dtype Int64Dtype UInt8Dtype UInt16Dtype UInt32Dtype UInt64Dtype"
)
_TORCH_STORAGES = (
    "FloatStorage DoubleStorage HalfStorage BFloat16Storage IntStorage LongStorage ShortStorage CharStorage "
    "ByteStorage BoolStorage ComplexFloatStorage ComplexDoubleStorage"
)
_TORCH_TYPES = "float32 float64 float16 bfloat16 int8 int16 int32 int64 uint8 bool complex64 complex128 strided"
_RANDOM = "MT19937 PCG64 PCG64DXSM Philox SFC64"

# Exact names per module. ``numpy.core`` became ``numpy._core`` in numpy 2; both stay for ever in files.
_NAMES: dict[str, frozenset[str]] = {module: frozenset(names.split()) for module, names in [
    *_PLAIN,
    ("numpy", f"ndarray dtype matrix recarray record memmap {_NUMPY_TYPES} {_NUMPY_FUNCTIONS}"),
    *((f"numpy.{core}.multiarray", "_reconstruct scalar") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    *((f"numpy.{core}.{module}", _NUMPY_FUNCTIONS)
      for core in ("core", "_core") for module in ("_multiarray_umath", "umath", "fromnumeric", "_methods")),
    ("pandas", _PANDAS),
    ("numpy.ma", "MaskedArray"),
    ("numpy.ma.core", "MaskedArray MaskedConstant _mareconstruct"),
    ("numpy.matrixlib.defmatrix", "matrix"),
    ("numpy.random._pickle", "__bit_generator_ctor __generator_ctor __randomstate_ctor"),
    ("numpy.random.mtrand", "RandomState __randomstate_ctor"),
    (
        "numpy.random.bit_generator",
        "SeedSequence SeedlessSeedSequence __pyx_unpickle_SeedSequence __pyx_unpickle_SeedlessSeedSequence",
    ),
    *((f"numpy.random.{module}", _RANDOM) for module in ("_mt19937", "_pcg64", "_philox", "_sfc64")),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"),
    ("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"),
    ("pandas._libs.tslibs.timedeltas", "_timedelta_unpickle"),
    ("pandas._libs.tslibs.nattype", "_nat_unpickle NaT"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"),
    ("pandas.core.indexes.period", "_new_PeriodIndex"),
    ("pandas.core.internals.blocks", "new_block"),
    ("pyarrow.lib", "type_for_alias array ChunkedArray chunked_array _restore_array Buffer py_buffer scalar"),
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    ("joblib.numpy_pickle_compat", "NDArrayWrapper ZNDArrayWrapper"),
    ("sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper NDArrayWrapper ZNDArrayWrapper"),
    ("sklearn.preprocessing._function_transformer", "_identity"),
    ("sklearn.cluster._kmeans", "_kmeans_single_elkan _kmeans_single_lloyd"),
    ("scipy._lib.array_api_compat.numpy._aliases", "asarray astype"),
    ("sklearn.externals.array_api_compat.numpy._aliases", "asarray astype"),
    ("sklearn.feature_extraction.text", "strip_accents_ascii strip_accents_unicode"),
    ("sklearn.feature_selection._univariate_selection", "chi2 f_classif f_oneway f_regression r_regression"),
    ("sklearn.feature_selection._mutual_info", "mutual_info_classif mutual_info_regression"),
    ("sklearn.metrics._dist_metrics", "newObj"),
    ("sklearn.neighbors._kd_tree", "newObj"),
    ("sklearn.neighbors._ball_tree", "newObj"),
    ("scipy.spatial._ckdtree", "cKDTree"),
    ("scipy.spatial._kdtree", "KDTree"),
    ("scipy.special._ufuncs", "expit logit boxcox boxcox1p inv_boxcox inv_boxcox1p erf erfinv gammaln"),
    ("torch", f"Size device dtype Tensor {_TORCH_STORAGES} {_TORCH_TYPES}"),
    ("torch._utils", "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter "
                     "_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor"),
    ("torch._tensor", "_rebuild_from_type_v2"),
    ("torch.serialization", "_get_layout"),
    ("torch.nn.parameter", "Parameter Buffer"),
    ("torch.storage", "UntypedStorage TypedStorage"),
]}  # fmt: skip

# Libraries whose classes may be built, and within them the places whose classes may not.
_CLASSES_OF = (
    "sklearn", "scipy.sparse", "scipy.interpolate", "scipy.optimize", "pandas.core", "pandas._libs", "pandas.arrays",
    "numpy.dtypes", "numpy.polynomial", "lightgbm.basic", "lightgbm.sklearn", "xgboost.core", "xgboost.sklearn",
    "catboost.core", "_catboost", "statsmodels", "imblearn", "category_encoders",
    "torch.nn.modules", "torchvision.models",
)  # fmt: skip
_LOWER_CASE_CLASSES = re.compile(r"(csr|csc|coo|bsr|dia|dok|lil)_(matrix|array)|interp1d", re.ASCII)
_EXCEPT = (
    "sklearn.externals", "sklearn.datasets", "sklearn.utils._testing", "sklearn.utils._test_common",
    "sklearn.utils.estimator_checks", "sklearn.utils.fixes", "sklearn.callback", "sklearn.tests", "sklearn.conftest",
    "sklearn._build_utils",
    "pandas.core.computation", "pandas.core.interchange", "statsmodels.datasets", "statsmodels.tools.testing",
    "statsmodels.iolib", "statsmodels.compat", "torch.nn.modules.lazy",
)  # fmt: skip
# CapWords that those libraries import from elsewhere and that do more than store.
_BORROWED_WORDS = (
    "Path PosixPath Popen Process Pool ThreadPool ThreadPoolExecutor ProcessPoolExecutor Thread Timer Parallel Memory "
    "StringIO BytesIO TextIOWrapper TemporaryDirectory NamedTemporaryFile URLError Request FunctionType CodeType "
    "MethodType ModuleType Queue LocaleTime ThreadpoolController Parameter HDFStore ExcelFile ExcelWriter Template"
)
_BORROWED = frozenset(_BORROWED_WORDS.split())
_METRIC_FUNCTION = re.compile(
    r"[a-z]\w*_(score|loss|error|distances?|similarity|kernel|deviance|auc)|auc|max_error", re.ASCII
)

_CODE_MODULES = re.compile(
    r"((joblib\.externals\.|sklearn\.externals\.joblib\.externals\.)?cloudpickle(\.cloudpickle(_fast)?)?|dill(\._dill)?"
    r"|pyspark\.cloudpickle(\.\w+)*)",
    re.ASCII,
)
_CODE_NAMES = frozenset({"types.CodeType", "types.FunctionType", "types.LambdaType", "types.MethodType",
                         "types.CellType", "builtins.code"})  # fmt: skip

_DANGEROUS_WORDS = (
    "os posix nt posixpath ntpath subprocess _posixsubprocess sys importlib imp runpy pip ensurepip shutil "
    "socket _socket ssl http urllib urllib2 urllib3 requests httpx aiohttp ctypes _ctypes cffi code codeop pty "
    "commands multiprocessing _multiprocessing concurrent asyncio webbrowser marshal pickle _pickle cPickle "
    "shelve copy types inspect operator _operator functools timeit cProfile profile pdb bdb trace doctest "
    "unittest test tempfile pathlib glob io _io codecs signal _signal platform site zipimport zipfile tarfile "
    "pkgutil logging idlelib lib2to3 distutils setuptools pydoc sqlite3 telnetlib ftplib smtplib poplib imaplib "
    "xmlrpc threading _thread gc faulthandler mmap readline rlcompleter venv zipapp antigravity cgi nturl2path "
    "weakref contextlib builtins linecache tracemalloc dis ast symtable compileall py_compile atexit sched "
    "sysconfig fileinput cmd pexpect joblib dask ray fsspec paramiko fabric invoke jinja2 mako torch.hub "
    "torch.jit torch.package torch.storage torch.serialization torch._inductor torch.utils numpy.testing "
    "numpy.f2py numpy.distutils numpy.lib numpy.ctypeslib pandas.io pandas.core.computation "
    "sklearn.utils._testing sklearn.datasets sklearn.externals scipy.io numexpr IPython ipykernel notebook "
)
_DANGEROUS_MODULES = frozenset(_DANGEROUS_WORDS.split())
_DANGEROUS_NAMES = frozenset({
    "numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile", "numpy.memmap.__new__", "numpy.save",
    "pandas.eval", "pandas.read_pickle", "pandas.read_csv", "pandas.read_hdf", "torch.load", "torch.save",
    "torch.storage._load_from_bytes", "torch.ops.load_library", "torch.classes.load_library",
})  # fmt: skip


def real_name(module: str, name: str, protocol: int) -> tuple[str, str]:
    """The name Python 3 looks up: below protocol 3 it translates the names of Python 2's library."""
    if protocol < 3:
        if (module, name) in _compat_pickle.NAME_MAPPING:
            return _compat_pickle.NAME_MAPPING[(module, name)]
        return _compat_pickle.IMPORT_MAPPING.get(module, module), name
    return module, name


def judge(module: str, name: str, policy: Policy) -> Judgement | None:
    """None when a pickle may name it; else how bad that is and why."""
    full = f"{module}.{name}"
    if policy.names(full):
        return None
    if not _MODULE.fullmatch(module) or not _MODULE.fullmatch(name):
        return Judgement(Severity.HIGH, "is not a name that Python writes; somebody built it by hand")
    if _CODE_MODULES.fullmatch(module) or full in _CODE_NAMES:
        return _code(policy)
    if _is_allowed(module, name):
        return None
    dangerous = _danger(module, name)
    if dangerous:
        return Judgement(Severity.HIGH, dangerous)
    if policy.allows(full):
        return None
    if module == "__main__":
        return Judgement(Severity.MEDIUM, "lives in the script that saved the model, which is not in the model")
    if "." in name:
        return Judgement(Severity.HIGH, "reaches through an object for one of its attributes")
    return Judgement(Severity.MEDIUM, "is not on the list of names a model may load")


def is_dangerous(module: str, name: str) -> bool:
    return bool(_danger(module, name))


def _code(policy: Policy) -> Judgement:
    if policy.allow_code:
        return Judgement(Severity.LOW, "carries code inside the pickle (allowed by policy)")
    return Judgement(Severity.HIGH, "carries code inside the pickle, which runs when the model is loaded or used")


def _is_allowed(module: str, name: str) -> bool:
    if name in _NAMES.get(module, ()):
        return True
    if any(_within(module, place) for place in _EXCEPT):
        return False
    if not any(_within(module, place) for place in _CLASSES_OF):
        return False
    if any(part in _BORROWED for part in name.split(".")):
        return False
    if _CLASS.fullmatch(name) or _CYTHON.fullmatch(name):
        return True
    if _within(module, "scipy") and _LOWER_CASE_CLASSES.fullmatch(name):
        return True
    return _within(module, "sklearn.metrics") and _METRIC_FUNCTION.fullmatch(name) is not None


def _danger(module: str, name: str) -> str:
    if f"{module}.{name}" in _DANGEROUS_NAMES:
        return "can read or run other files"
    parents = module.split(".")
    for length in range(len(parents), 0, -1):
        if ".".join(parents[:length]) in _DANGEROUS_MODULES:
            return "can run code, start programs, open files or the network"
    reached = name.split(".")
    if len(reached) > 1 and (reached[0] in _DANGEROUS_MODULES or any(part.startswith("__") for part in reached)):
        return "reaches through an allowed module for something that can run code"
    return ""


def _within(module: str, place: str) -> bool:
    return module == place or module.startswith(place + ".")
