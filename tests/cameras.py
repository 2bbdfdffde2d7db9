"""A camera for the tests: a real RTSP server in a process of its own."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

SYSTEM_PYTHON = "/usr/bin/python3"  # GStreamer's bindings belong to Debian's own Python
SERVER = Path(__file__).parent / "rtsp_server.py"


class Camera:
    """Can be killed, frozen, and brought back on the same port."""

    def __init__(self) -> None:
        self.port = "0"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, str(SERVER), self.port], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = self._process.stdout.readline().strip()
        assert self.port, "the RTSP server did not start"

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def freeze(self) -> None:
        """Keep the connection and send nothing."""
        self._process.send_signal(signal.SIGSTOP)
