"""Refuse an unsupported Python with one sentence, before anything is installed.

    python3 tools/check_python.py

`make` runs it with whichever Python was chosen, so its syntax must be valid in every version.
"""  # noqa: INP001 - a script

import os
import platform
import sys
import sysconfig

OLDEST = (3, 11)
NEWEST = (3, 15)
"""The newest version for which each pinned dependency has a wheel; `make lock` may raise it."""


def refusal():  # noqa: ANN201 - Python 2 reads this file too
    """Return the reason why this Python is not supported, or None."""
    kind, version = platform.python_implementation(), sys.version_info[:2]
    if kind != "CPython" or not OLDEST <= version <= NEWEST:
        text = "Ironkeep needs CPython {} to {}, and {} is {} {}: {}."
        named = _named(OLDEST), _named(NEWEST), sys.executable, kind, _named(version), _advice()
        return text.format(*named)
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        text = "{} is a free-threaded Python, for which not every dependency has a wheel: {}."
        return text.format(sys.executable, _advice())
    try:
        import ensurepip  # noqa: F401, PLC0415 - tests that it is installed
        import venv  # noqa: F401, PLC0415
    except ImportError:
        text = "{} cannot make virtual environments: install python{}-venv or its equivalent."
        return text.format(sys.executable, _named(version))
    return None


def _named(version):  # noqa: ANN001, ANN202
    return "{}.{}".format(*version)


def _advice():  # noqa: ANN202
    """Return the advice to use a supported Python of this machine, or to install one."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = "python3.{}".format(minor)  # noqa: UP032 - no f-strings in Python 2
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            if os.access(os.path.join(folder, name), os.X_OK):  # noqa: PTH118
                return "run `make PYTHON={} demo`".format(name)  # noqa: UP032
    return "install one and run `make PYTHON=/path/to/it demo`"


if __name__ == "__main__":
    sys.exit(refusal())
