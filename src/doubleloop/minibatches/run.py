"""Entry point, run by file path inside the user's environment: ``run.py SPEC.json`` (``run.py --worker SPEC.json``
is what it starts further processes with).

The folder of this file must not stay on ``sys.path``: a user's ``rows.py`` or ``worker.py`` would meet ours. So the
folder is loaded as a package with a private name, and its path entry is removed before anything else.
"""

import importlib
import importlib.util
import os
import sys

PACKAGE = "_doubleloop_minibatches"


def bootstrap():
    # type: () -> None
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.getcwd()) != folder]
    load(PACKAGE, folder)


def load(package, folder):
    # type: (str, str) -> None
    """Make the code in ``folder`` the package of that name."""
    spec = importlib.util.spec_from_file_location(
        package, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    # Bytecode would be written beside our own files and into the user's code snapshot.
    sys.dont_write_bytecode = True
    bootstrap()
    part = "worker" if sys.argv[1] == "--worker" else "coordinator"
    sys.exit(importlib.import_module(PACKAGE + "." + part).main(sys.argv[-1]))
