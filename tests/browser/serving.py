"""Serving the page, and standing in for the rest of the world."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from web.serve import PageHandler


class RecordingHandler(PageHandler):
    """The page's server, which remembers what it was asked for."""

    asked: list[tuple[str, str]]

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        if parsed:
            self.asked.append((self.command, self.path))
        return parsed


class PlainHandler(RecordingHandler):
    """The same as any static server has it: without the headers that isolate the page."""

    def send_header(self, keyword: str, value: str) -> None:
        if not keyword.startswith("Cross-Origin"):
            super().send_header(keyword, value)


class Site:
    """A folder being served: its address, and what was asked for."""

    def __init__(self, folder: Path, handler: type[RecordingHandler]) -> None:
        self.asked: list[tuple[str, str]] = []
        recording = type("Handler", (handler,), {"asked": self.asked})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(recording, directory=folder))
        self.address = f"http://127.0.0.1:{self.server.server_port}/"


@contextmanager
def serve(folder: Path, handler: type[RecordingHandler] = RecordingHandler) -> Iterator[Site]:
    site = Site(folder, handler)
    with running(site.server):
        yield site


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[None]:
    """A server at work as long as it is needed."""
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class World:
    """Everything outside this machine: a proxy that notes who is called and answers nobody."""

    def __init__(self) -> None:
        called: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                line = self.rfile.readline(65536).decode("latin-1")
                self.close_connection = True
                if line:
                    called.append(line.strip())

        self.called = called
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def option(self) -> str:
        """The browser's option by which whatever is not on this machine goes through it."""
        return f"--proxy-server=http://127.0.0.1:{self.server.server_port}"
