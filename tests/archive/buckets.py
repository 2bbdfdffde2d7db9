"""A real S3 server on this machine (moto's), for this process and those it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def serve_s3() -> Iterator[Callable[[str, bytes], None]]:
    """What puts an object, `BUCKET/KEY`, while the server runs and the environment points at it."""
    from moto.server import ThreadedMotoServer
    from pyarrow import fs

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        system = fs.S3FileSystem(
            endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True
        )

        def put(path: str, data: bytes) -> None:
            system.create_dir(path.partition("/")[0])
            with system.open_output_stream(path) as stream:
                stream.write(data)

        try:
            yield put
        finally:
            server.stop()
