"""Assemble the page into a folder that any static server can serve: `python web/assemble.py FOLDER`.

What npm locks (package-lock.json) is installed first; everything else is this repository's.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).parent
ROOT = WEB.parent
RUNTIME = ROOT / "runtime/maclip_runtime"
LIBRARY = WEB / "node_modules/onnxruntime-web"

# The library's two builds: the CPU's, and WebGPU's, which is loaded only where there is one.
LIBRARY_FILES = (
    "ort.wasm.bundle.min.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.bundle.min.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)


def install_packages() -> None:
    """Install exactly what the lock file names, unless that is there already."""
    installed = WEB / "node_modules/.package-lock.json"
    lock = WEB / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(command, cwd=WEB, check=True)
        installed.touch()


def assemble(folder: Path) -> None:
    """Write the page, the library, the demo bundle and the samples into a folder, anew."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(WEB / "page", folder, ignore=shutil.ignore_patterns("*.js"))
    emit_modules(folder)
    shutil.copy(RUNTIME / "bundle/manifest.schema.json", folder / "bundle")
    shutil.copytree(RUNTIME / "demo", folder / "demo")
    (folder / "ort").mkdir()
    for name in LIBRARY_FILES:
        shutil.copy(LIBRARY / "dist" / name, folder / "ort")
    (folder / "samples").mkdir()
    for sample in (ROOT / "samples").glob("*.jpg"):
        shutil.copy(sample, folder / "samples")
    (folder / "licences.txt").write_text(collect_licences(), encoding="utf-8")


def emit_modules(folder: Path) -> None:
    """Check the modules' types, and write them without comments, a quarter of their bytes."""
    compiler = [str(WEB / "node_modules/.bin/tsc"), "--project", str(WEB)]
    options = ["--noEmit", "false", "--removeComments", "--outDir", str(folder.resolve())]
    subprocess.run([*compiler, *options], check=True)


def collect_licences() -> str:
    """The licences of all that the folder holds, in one text."""
    parts = {
        "maclip-edge (Apache-2.0)": (ROOT / "LICENSE").read_text("utf-8"),
        "ONNX Runtime Web (MIT), in ort/": (WEB / "licences/onnxruntime.txt").read_text("utf-8"),
        "The photographs in samples/": (ROOT / "samples/README.md").read_text("utf-8"),
    }
    return (
        "\n\n".join(f"{name}\n{'=' * len(name)}\n\n{text.strip()}" for name, text in parts.items())
        + "\n"
    )


if __name__ == "__main__":
    install_packages()
    assemble(Path(sys.argv[1]))
