"""The Triton that pip installs: nvidia-pytriton's files, and whether this Python can run models in it.

Of that package only the server is used. It has the Python backend alone, which starts a program of its own
for each model, the stub, with a Python library inside: it must be this Python's.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from maclip_runtime.errors import EngineError
from maclip_runtime.serving import onnxruntime_backend

_STUB = "triton_python_backend_stub"
_VERSION = """\
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.Py_GetVersion.restype = ctypes.c_char_p
print(library.Py_GetVersion().decode().split()[0])
"""


@dataclass(frozen=True)
class TritonDistribution:
    """Where things are: the server's program, its libraries, its backends, and this Python's stub."""

    server: Path
    libraries: Path
    backends: Path
    stub: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which the server's stubs find this Python, its packages and its library."""
        found = [str(self.libraries), sysconfig.get_config_var("LIBDIR") or ""]
        found.append(os.environ.get("LD_LIBRARY_PATH", ""))
        return {
            **os.environ,
            "LD_LIBRARY_PATH": ":".join(filter(None, found)),
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
        }

    def lay_out_backends(self, folder: Path) -> None:
        """Make the folder that the server searches for backends: Python, and onnxruntime in Python."""
        python = folder / "python"
        python.mkdir(parents=True)
        for path in (*self.backends.joinpath("python").iterdir(), self.stub):
            if path.is_file():
                shutil.copy(
                    path, python
                )  # a link would lead out of the folder, which Triton refuses
        model = folder / "onnxruntime" / "model.py"
        model.parent.mkdir()
        model.write_text(
            f"from {onnxruntime_backend.__name__} import TritonPythonModel\n", encoding="utf-8"
        )


def find_distribution() -> TritonDistribution:
    """The server in this Python's packages; EngineError if it is not there, or cannot run models here."""
    spec = find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise EngineError(
            "Triton's server is not installed",
            "install it with: pip install 'maclip-edge[serve]', on Python 3.10 to 3.12",
        )
    package = Path(spec.origin).parent
    root = package / "tritonserver"
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    distribution = TritonDistribution(
        root / "bin" / "tritonserver",
        package.parent / "nvidia_pytriton.libs",
        root / "backends",
        root / "python_backend_stubs" / minor / _STUB,
    )
    if not distribution.server.is_file() or not distribution.stub.is_file():
        raise EngineError(
            f"{root}: has no server for Python {minor} on {platform.machine()}",
            "install nvidia-pytriton 0.7, on Python 3.10 to 3.12",
        )
    check_stub(distribution)
    return distribution


def check_stub(distribution: TritonDistribution) -> None:
    """Raise EngineError unless the stub has the library of this very Python.

    With another one's it fails in the standard library (`RLock has no attribute _recursion_count`), or
    hangs. Where the system has no `ldd` to ask, nothing is known, and nothing raised.
    """
    ldd = shutil.which("ldd")
    if ldd is None:
        return
    linked = subprocess.run(
        [ldd, distribution.stub], env=distribution.environment, capture_output=True, text=True
    )
    match = re.search(r"(libpython\S+) => (not found|/\S+)", linked.stdout)
    if match is None:
        return
    name, path = match.groups()
    version = platform.python_version()
    remedy = (
        f"run maclip in an environment of a Python that has its shared library, as Debian's "
        f"/usr/bin/python3 with lib{_name_python()} installed"
    )
    if path == "not found":
        raise EngineError(
            f"Triton's Python stub needs {name}, which is not on this machine", remedy
        )
    asked = subprocess.run(
        [sys.executable, "-c", _VERSION, path], capture_output=True, text=True, check=False
    )
    found = asked.stdout.strip()
    if found != version:
        raise EngineError(
            f"Triton's Python stub would load {path}, of Python {found or 'unknown'}, and this is "
            f"Python {version}",
            remedy,
        )


def _name_python() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"
