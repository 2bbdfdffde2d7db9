"""`maclip serve` in a process of its own, and clients of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

DEADLINE = 300.0  # seconds, for what ends by itself or has failed
OUTPUTS = ("score", "similarity", "magnitude", "weight", "attributes", "attribute_names")
OUTPUTS += ("views", "width", "height", "enlarged")


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """What the condition gives once it gives something."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain until {what}")


def list_descendants(pid: int) -> dict[int, str]:
    """The processes that come from one, by their number, with their programs."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = status.read_text().split("(", 1)[1].rsplit(") ", 1)
        except (OSError, IndexError):  # it has ended
            continue
        if rest[0] != "Z":
            parents[int(status.parent.name)] = (int(rest.split()[1]), name)
    found: dict[int, str] = {}
    generation = {pid}
    while generation:
        generation = {child for child, (parent, _) in parents.items() if parent in generation}
        found |= {child: parents[child][1] for child in generation}
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


class ServedBundle:
    """A bundle that `maclip serve` serves at free ports; temporary files go into a folder of the test."""

    def __init__(self, bundle: object, folder: Path, *options: object) -> None:
        self.folder = folder
        self.log = folder / "stderr.txt"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        ports = ["--http-port", 0, "--grpc-port", 0, "--metrics-port", 0]
        command = [sys.executable, "-m", "maclip_runtime", "serve", bundle, *ports, *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self.temporary), "OMP_NUM_THREADS": "1"},
            )

    def __enter__(self) -> ServedBundle:
        line = re.compile(r"at http://(\S+) and grpc://(\S+), metrics at (\S+)")
        match = wait_until(
            lambda: line.search(self.log.read_text()) or self.process.poll() is not None,
            "it is ready",
        )
        assert match is not True, self.log.read_text()
        self.http, self.grpc, self.metrics = match.groups()
        self.processes = list_descendants(self.process.pid)
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
        """Status and text of the HTTP server's answer."""
        request = urllib.request.Request(f"http://{self.http}/{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def count(self, model: str) -> tuple[int, int, int]:
        """Requests answered, entries in them, and executions, of a model since the start."""
        _, text = self.ask(f"v2/models/{model}/stats")
        (found,) = json.loads(text)["model_stats"]
        requests = found["inference_stats"]["success"]["count"]
        return requests, found["inference_count"], found["execution_count"]

    def read_metrics(self) -> str:
        with urllib.request.urlopen(self.metrics, timeout=DEADLINE) as answer:
            return answer.read().decode()

    def infer(
        self, protocol: str, model: str, /, timeout: int | None = None, **inputs: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Every output of a model. Raises tritonclient's exception for an error.

        timeout: microseconds that the request may wait in the server.
        """
        import tritonclient.grpc
        import tritonclient.http

        module, url = {
            "http": (tritonclient.http, self.http),
            "grpc": (tritonclient.grpc, self.grpc),
        }[protocol]
        given = []
        for name, value in inputs.items():
            kind = {"uint8": "UINT8", "float32": "FP32", "object": "BYTES"}[str(value.dtype)]
            tensor = module.InferInput(name, list(value.shape), kind)
            tensor.set_data_from_numpy(value)
            given.append(tensor)
        limits = {"network_timeout": DEADLINE, "connection_timeout": DEADLINE}
        with module.InferenceServerClient(url, **limits if protocol == "http" else {}) as client:
            answer = client.infer(model, given, timeout=timeout)
        response = answer.get_response()
        outputs = response["outputs"] if protocol == "http" else response.outputs
        names = [port["name"] if protocol == "http" else port.name for port in outputs]
        return {name: answer.as_numpy(name) for name in names}

    def score(
        self, protocol: str, encoded: bytes, timeout: int | None = None
    ) -> dict[str, np.ndarray]:
        """The picture model's outputs for one encoded picture, without the batch's dimension."""
        picture = np.array([[encoded]], np.object_)
        found = self.infer(protocol, "maclip_picture", timeout, picture=picture)
        return {name: value[0] for name, value in found.items()}
