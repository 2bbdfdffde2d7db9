"""Running Triton's server on a model repository: started, found ready, and ended with all its processes."""

from __future__ import annotations

import ctypes
import http.client
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from maclip_runtime.engines.driver import find_driver
from maclip_runtime.errors import EngineError, Remedy, UsageError
from maclip_runtime.serving.distribution import TritonDistribution
from maclip_runtime.serving.picture_model import UNDER_WAY

_PR_SET_PDEATHSIG = 1  # of prctl(2)
_POLL = 0.05  # seconds between two looks at a server that starts
_SHARED_MEMORY = Path("/dev/shm")
# What a client has no business with: these make the server write files that the client names, or read
# memory of other processes. A key that nobody is told locks them.
_LOCKED = "shared-memory,model-repository,trace,logging"


@dataclass(frozen=True)
class Addresses:
    """Where a server listens: one host, and a port for each protocol (0: a free one)."""

    host: str = "127.0.0.1"
    http: int = 8000
    grpc: int = 8001
    metrics: int = 8002

    def reserve(self) -> Addresses:
        """The same with every port known to be free; UsageError for one that is taken."""
        with ExitStack() as stack:
            ports = [
                stack.enter_context(_bind(self.host, getattr(self, name), f"{name}_port"))
                for name in ("http", "grpc", "metrics")
            ]
            http, grpc, metrics = (int(held.getsockname()[1]) for held in ports)
            return replace(self, http=http, grpc=grpc, metrics=metrics)

    def show(self, protocol: str) -> str:
        """`host:port` of a protocol, IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{getattr(self, protocol)}"


@dataclass
class Server:
    """A server that is ready."""

    process: subprocess.Popen[bytes]
    addresses: Addresses

    def wait(self) -> None:
        """Wait for its end, which is an EngineError: nobody asked for it."""
        raise _explain_end(self.process.wait())


@contextmanager
def run_server(
    distribution: TritonDistribution,
    repository: Path,
    backends: Path,
    addresses: Addresses,
    *,
    start_timeout: float = 120.0,
    stop_timeout: int = 10,
    verbose: bool = False,
) -> Iterator[Server]:
    """Run a server until the block ends; it is ready for requests when the block begins.

    What it logs goes to stderr. start_timeout: seconds until it must be ready. stop_timeout: seconds that
    pictures under way get to end, and as many that the server then gets to close its models; then all its
    processes are killed. If this process dies, it ends too. Raises EngineError where it does not get ready.
    """
    prefix = f"maclip_{os.getpid()}_{secrets.token_hex(4)}"
    process = subprocess.Popen(
        [
            distribution.server,
            *_list_options(repository, backends, addresses, prefix, stop_timeout, verbose),
        ],
        env=distribution.environment,
        stdin=subprocess.DEVNULL,
        stdout=2,
        start_new_session=True,  # Ctrl-C is for us, and a group to kill is of its processes alone
        preexec_fn=_die_with_parent,
    )
    try:
        _wait_until_ready(process, addresses, start_timeout)
        yield Server(process, addresses)
    finally:
        _end(process, addresses, stop_timeout)
        for region in _SHARED_MEMORY.glob(f"{prefix}*"):
            region.unlink(missing_ok=True)


def _list_options(
    repository: Path,
    backends: Path,
    addresses: Addresses,
    prefix: str,
    stop_timeout: int,
    verbose: bool,
) -> list[str]:
    key = secrets.token_hex(16)
    options = {
        "model-repository": repository,
        "backend-directory": backends,
        "backend-config": f"python,shm-region-prefix-name={prefix}",
        "strict-readiness": "true",
        "http-address": addresses.host,
        "http-port": addresses.http,
        "http-restricted-api": f"{_LOCKED}:maclip-key={key}",
        "grpc-address": addresses.host,
        "grpc-port": addresses.grpc,
        "grpc-restricted-protocol": f"{_LOCKED}:maclip-key={key}",
        "metrics-address": addresses.host,
        "metrics-port": addresses.metrics,
        "exit-timeout-secs": stop_timeout,
        "log-info": str(verbose).lower(),
    }
    if find_driver() is None:  # or it says several times that there is none
        options["allow-gpu-metrics"] = "false"
    # The configurations are complete, or wrong.
    return ["--disable-auto-complete-config", *(f"--{k}={v}" for k, v in options.items())]


def _wait_until_ready(
    process: subprocess.Popen[bytes], addresses: Addresses, timeout: float
) -> None:
    """Ask the server whether it is ready until it is."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        status = process.poll()
        if status is not None:
            raise _explain_end(status)
        if _ask(f"{addresses.show('http')}/v2/health/ready") is not None:
            return
        time.sleep(_POLL)
    raise EngineError(
        f"Triton's server was not ready after {timeout:g} s",
        Remedy(
            "see its lines above, or give it longer with {start_timeout}",
            settings={"start_timeout": None},
        ),
    )


def _explain_end(status: int) -> EngineError:
    """Why a server that nobody stopped has ended."""
    how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    return EngineError(f"Triton's server ended {how}", "its lines above say why")


def _drain(addresses: Addresses, timeout: int) -> None:
    """Wait until no picture waits or is being scored, twice in a row: one may be on its way between.

    A server that was asked to stop still answers requests under way, but the picture model calls the
    encoder for each of them, and those calls would be new.
    """
    deadline = time.monotonic() + timeout
    idle = 0
    while idle < 2 and time.monotonic() < deadline:
        metrics = _ask(f"{addresses.show('metrics')}/metrics")
        if metrics is None:
            return
        counts = [
            float(line.rsplit(" ", 1)[1])
            for line in metrics.splitlines()
            if line.startswith((f"{UNDER_WAY}{{", "nv_inference_pending_request_count{"))
        ]
        idle = 0 if any(counts) else idle + 1
        time.sleep(_POLL)


def _ask(url: str) -> str | None:
    """The text at an address of the server's; None where it does not answer, or not with success."""
    # No proxy of the environment's may answer for it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{url}", timeout=5) as answer:
            return str(answer.read(), "utf-8", "replace")
    except (OSError, http.client.HTTPException):  # urllib's errors are OSErrors
        return None


def _end(process: subprocess.Popen[bytes], addresses: Addresses, timeout: int) -> None:
    """Stop a server and whatever it has started, first by asking."""
    try:
        if process.poll() is None:
            _drain(addresses, timeout)
            process.send_signal(signal.SIGTERM)
            process.wait(timeout + 5)  # what it takes itself beyond its own limit
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _die_with_parent() -> None:
    """In the new process: end when the parent does, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _bind(host: str, port: int, option: str) -> socket.socket:
    """A socket that holds a port; UsageError if it is taken or there is no such address."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_PASSIVE
        )[0]
        with ExitStack() as opened:
            held = opened.enter_context(socket.socket(family, kind, protocol))
            # What an ended server has left of its connections does not count.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(address)
            held.listen()
            opened.pop_all()
            return held
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"{host}:{port}: cannot be served there ({reason})",
            Remedy(f"choose another {{{option}}}", settings={option: None}),
        ) from None
