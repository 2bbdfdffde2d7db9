"""Serve an assembled page on this machine: `python web/serve.py FOLDER [PORT]`.

Any static server will do. This one also sends the headers that isolate the page (COOP and COEP), without
which WebAssembly has one thread.
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


def main(folder: str, port: int) -> None:
    """Serve until it is interrupted."""
    handler = partial(PageHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        sys.stderr.write(f"http://127.0.0.1:{server.server_port}/\n")
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8000)
