"""Serve an assembled page on this machine: `python web/serve.py FOLDER [PORT]`.

Any static server will do. This one also sends the headers that isolate the page, without which WebAssembly has one
thread; docs of other servers call them COOP and COEP.
"""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-cache",
}


class PageHandler(SimpleHTTPRequestHandler):
    """A static file with the headers above."""

    extensions_map = {  # noqa: RUF012  as the base class has it
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".onnx": "application/octet-stream",
        ".npz": "application/octet-stream",
    }

    def end_headers(self) -> None:
        """Add the headers to every reply."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""


if __name__ == "__main__":
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
    with ThreadingHTTPServer(
        ("127.0.0.1", port), partial(PageHandler, directory=sys.argv[1])
    ) as server:
        print(f"http://127.0.0.1:{server.server_port}/")
        server.serve_forever()
