"""A real Triton answers: the library's scores, shared batches, errors that are their request's alone."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maclip_runtime import Scorer

TOLERANCE = 1e-6  # batches of other sizes round differently: some 1e-7
PROTOCOLS = ["http", "grpc"]
SAMPLES = sorted(Path(__file__).parents[2].joinpath("samples").glob("*.jpg"))


def encode(frame: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, kind)
    return stream.getvalue()


@pytest.fixture(scope="module")
def scorer(bundle_of):
    with Scorer(bundle_of("rn-small"), threads=1) as opened:
        yield opened


def assert_is_score(found, want) -> None:
    for name in ("score", "similarity", "magnitude", "weight"):
        assert found[name].item() == pytest.approx(getattr(want, name), abs=TOLERANCE), name
    names = [name.decode() for name in found["attribute_names"]]
    assert names == list(want.attributes)
    np.testing.assert_allclose(
        found["attributes"], list(want.attributes.values()), rtol=0, atol=TOLERANCE
    )
    for name in ("views", "width", "height", "enlarged"):
        assert found[name].item() == getattr(want, name), name


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_photograph_gets_the_scorers_score(served, scorer, protocol, path):
    assert_is_score(served.score(protocol, path.read_bytes()), scorer.score(path))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_small_picture_is_enlarged_and_says_so(served, scorer, protocol, frame):
    encoded = encode(frame[:150, :300])
    found = served.score(protocol, encoded)
    assert found["enlarged"].item()
    assert_is_score(found, scorer.score(encoded))


def test_a_picture_of_more_views_than_a_batch_has_all_of_them(served, scorer, frame):
    encoded = encode(np.tile(frame, (3, 3, 1)))
    found = served.score("grpc", encoded)
    assert found["views"].item() == 7 * 10 + 1
    assert_is_score(found, scorer.score(encoded))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_score_graphs_take_raw_frames(served, scorer, protocol, frame):
    want = scorer.score(frame)
    found = served.infer(protocol, "maclip_score", frame=frame)
    for name in ("score", "similarity", "magnitude"):
        assert found[name].shape == (1,)
        assert found[name].item() == pytest.approx(getattr(want, name), abs=TOLERANCE)
    np.testing.assert_allclose(
        found["attributes"], list(want.attributes.values()), rtol=0, atol=TOLERANCE
    )


def test_a_score_graph_of_one_size_takes_that_size(served, scorer, frame):
    fitting = np.ascontiguousarray(np.tile(frame, (2, 2, 1))[:480, :640])
    found = served.infer("grpc", "maclip_score_480x640", frame=fitting)
    assert found["score"].item() == pytest.approx(scorer.score(fitting).score, abs=TOLERANCE)


def test_the_encoder_takes_views_of_ones_own(served, scorer, frame):
    from maclip_runtime.method.views import iterate_views

    (pixels,) = iterate_views(frame, scorer.bundle.manifest.method.views, 16)
    found = served.infer("grpc", "maclip_encoder", pixels=pixels)
    want = scorer.engine.encode(frame)
    np.testing.assert_allclose(found["features"], want, rtol=0, atol=TOLERANCE * np.abs(want).max())


def test_views_of_concurrent_requests_share_batches(served, scorer, frame):
    pictures = [encode(np.roll(frame, 10 * shift, axis=1)[:224, :224]) for shift in range(12)]
    before = served.count("maclip_encoder")
    with ThreadPoolExecutor(len(pictures)) as pool:
        found = list(pool.map(lambda picture: served.score("grpc", picture), pictures))
    requests, views, executions = np.subtract(served.count("maclip_encoder"), before)
    for outputs, picture in zip(found, pictures, strict=True):
        assert_is_score(outputs, scorer.score(picture))
    assert (requests, views) == (12, 24)
    # Two pictures are decoded at a time, so at most two requests are joined: 6 executions if all are.
    assert 6 <= executions < 12


BAD_PICTURES = {
    "nothing": b"",
    "no picture": b"this is no picture",
    "a truncated JPEG": SAMPLES[0].read_bytes()[:5000],
    "a broken PNG": encode(np.zeros((300, 300, 3), np.uint8)).replace(b"IDAT", b"IDAX"),
    "too many pixels": encode(np.zeros((1, 1, 3), np.uint8), "PPM").replace(b"1 1", b"20000 20000"),
    "32 bits a pixel": (lambda s: (Image.new("F", (300, 300)).save(s, "TIFF"), s.getvalue())[1])(
        io.BytesIO()
    ),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_a_bad_picture_is_the_error_of_its_request_alone(served, scorer, protocol, kind):
    from tritonclient.utils import InferenceServerException

    good = SAMPLES[0].read_bytes()
    with ThreadPoolExecutor(3) as pool:
        bad = pool.submit(served.score, protocol, BAD_PICTURES[kind])
        others = [pool.submit(served.score, protocol, good) for _ in range(2)]
        with pytest.raises(InferenceServerException) as caught:
            bad.result()
        for other in others:
            assert_is_score(other.result(), scorer.score(good))
    assert caught.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")
    message = caught.value.message()
    assert message.startswith("picture: ")
    assert "\n" not in message
    assert "Traceback" not in message


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_picture_of_too_many_bytes_is_refused(served, protocol):
    from tritonclient.utils import InferenceServerException

    with pytest.raises(
        InferenceServerException, match="2000001 bytes, and this server takes 2000000"
    ):
        served.score(protocol, b"x" * 2_000_001)


WRONG_REQUESTS = {
    "two pictures": ("maclip_picture", {"picture": np.array([[b"a"], [b"b"]], np.object_)}),
    "two pictures in a row": ("maclip_picture", {"picture": np.array([[b"a", b"b"]], np.object_)}),
    "no batch": ("maclip_picture", {"picture": np.array([b"a"], np.object_)}),
    "pixels for a picture": ("maclip_picture", {"picture": np.zeros((1, 1), np.uint8)}),
    "another input": ("maclip_picture", {"image": np.array([[b"a"]], np.object_)}),
    "views of another size": ("maclip_encoder", {"pixels": np.zeros((1, 3, 192, 192), np.float32)}),
    "views of bytes": ("maclip_encoder", {"pixels": np.zeros((1, 3, 224, 224), np.uint8)}),
    "more views than a batch": ("maclip_encoder", {"pixels": np.zeros((17, 3, 224, 224), np.float32)}),
    "a frame with alpha": ("maclip_score", {"frame": np.zeros((300, 300, 4), np.uint8)}),
    "a frame without colour": ("maclip_score", {"frame": np.zeros((300, 300), np.uint8)}),
    "a frame smaller than a view": ("maclip_score", {"frame": np.zeros((100, 100, 3), np.uint8)}),
    "a frame of another size": ("maclip_score_480x640", {"frame": np.zeros((480, 641, 3), np.uint8)}),
    "another model": ("maclip_nothing", {"frame": np.zeros((300, 300, 3), np.uint8)}),
}  # fmt: skip


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", WRONG_REQUESTS)
def test_a_wrong_request_is_an_error_and_no_more(served, scorer, protocol, kind):
    from tritonclient.utils import InferenceServerException

    model, inputs = WRONG_REQUESTS[kind]
    with pytest.raises(InferenceServerException):
        served.infer(protocol, model, **inputs)
    good = SAMPLES[0].read_bytes()
    assert_is_score(served.score(protocol, good), scorer.score(good))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\x00" * 1000,
        b'{"inputs": [{"name": "picture", "shape": [1, 1], "datatype": "BYTES"}]}',
        b'{"inputs": [{"name": "picture", "shape": [-1, 1], "datatype": "BYTES", "data": ["a"]}]}',
        b'{"inputs": [{"name": "picture", "shape": [1, 99999999999], "datatype": "BYTES"}]}',
        json.dumps(
            {"inputs": [{"name": "picture", "shape": [1, 1], "datatype": "BYTES", "data": [None]}]}
        ).encode(),
    ],
    ids=["nothing", "half", "a list", "zeros", "no data", "a negative size", "a huge size", "null"],
)
def test_a_body_that_is_no_request_is_an_error(served, body):
    status, text = served.ask("v2/models/maclip_picture/infer", body)
    assert status in (400, 500)  # Triton's own choice for JSON that it cannot read
    assert json.loads(text)["error"]
    assert served.ask("v2/health/ready")[0] == 200


def test_binary_data_that_is_shorter_than_it_says_is_an_error(served):
    header = json.dumps(
        {
            "inputs": [
                {"name": "picture", "shape": [1, 1], "datatype": "BYTES",
                 "parameters": {"binary_data_size": 1_000_000}}
            ]
        }
    ).encode()  # fmt: skip
    sizes = {"Inference-Header-Content-Length": str(len(header))}
    status, _ = served.ask("v2/models/maclip_picture/infer", header + b"\xff" * 10, **sizes)
    assert status == 400
    # Bytes of a string that claims to be longer than all that was sent.
    header = header.replace(b"1000000", b"10")
    sizes = {"Inference-Header-Content-Length": str(len(header))}
    status, _ = served.ask("v2/models/maclip_picture/infer", header + b"\xff" * 10, **sizes)
    assert status in (400, 500)
    assert served.ask("v2/health/ready")[0] == 200


def test_a_client_that_leaves_in_the_middle_is_forgotten(served, scorer):
    host, port = served.http.rsplit(":", 1)
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v2/models/maclip_picture/infer HTTP/1.1\r\nHost: a\r\n"
            b"Content-Length: 100000000000\r\n\r\n{"
        )
    good = SAMPLES[0].read_bytes()
    assert_is_score(served.score("http", good), scorer.score(good))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("v2/logging", b'{"log_file": "/tmp/anything"}'),
        ("v2/trace/setting", b'{"trace_file": "/tmp/anything"}'),
        ("v2/systemsharedmemory/region/a/register", b'{"key": "/a", "offset": 0, "byte_size": 1}'),
        ("v2/repository/models/maclip_picture/unload", b"{}"),
    ],
)
def test_what_would_change_the_server_is_locked(served, path, body):
    status, text = served.ask(path, body)
    assert status == 403
    assert "not allowed" in text or "restricted" in text.lower(), text


def test_grpc_locks_the_same(served):
    import tritonclient.grpc
    from tritonclient.utils import InferenceServerException

    with tritonclient.grpc.InferenceServerClient(served.grpc) as client:
        for forbidden in (
            lambda: client.update_log_settings({"log_file": "/tmp/anything"}),
            lambda: client.update_trace_settings(settings={"trace_file": "/tmp/anything"}),
            lambda: client.register_system_shared_memory("a", "/a", 1),
            lambda: client.unload_model("maclip_picture"),
        ):
            with pytest.raises(InferenceServerException, match="UNAVAILABLE|restricted"):
                forbidden()


def test_metrics_count_requests_and_their_failures(served):
    served.score("http", SAMPLES[0].read_bytes())
    metrics = served.read_metrics()
    for name in (
        'nv_inference_request_success{model="maclip_picture"',
        'nv_inference_request_failure{model="maclip_picture"',
        'nv_inference_count{model="maclip_encoder"',
        'nv_inference_exec_count{model="maclip_encoder"',
        'nv_inference_queue_duration_us{model="maclip_picture"',
        'nv_inference_compute_infer_duration_us{model="maclip_encoder"',
        'nv_inference_pending_request_count{model="maclip_picture"',
    ):
        assert name in metrics, name


def test_it_listens_on_this_machine_alone(served):
    listening = set()
    for table in ("tcp", "tcp6"):  # gRPC holds an IPv4 address as one of IPv6
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            local, _, state = line.split()[1:4]
            if state == "0A":
                address, port = local.split(":")
                listening.add((int(port, 16), address.removeprefix("0000000000000000FFFF0000")))
    for place in (served.http, served.grpc, served.metrics.split("/")[2]):
        port = int(place.rsplit(":", 1)[1])
        assert {address for found, address in listening if found == port} == {"0100007F"}


def test_it_says_nothing_of_requests_in_its_log(served):
    # Whoever sends rubbish must not fill the disk. What else is there tells that there is no GPU.
    before = served.log.read_text()
    served.ask("v2/models/maclip_picture/infer", b"{")
    for model, inputs in WRONG_REQUESTS.values():
        with suppress(Exception):  # which the tests above look at
            served.infer("grpc", model, **inputs)
    assert served.log.read_text() == before


def test_the_client_of_the_docs_prints_score_and_attributes(served, scorer, tmp_path):
    text = Path(__file__).parents[2].joinpath("docs", "serving.md").read_text(encoding="utf-8")
    client = text.split("```python\n")[1].split("```")[0]
    assert len(client.splitlines()) <= 11  # ten lines, and an empty one
    (tmp_path / "photo.jpg").write_bytes(SAMPLES[0].read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", client.replace("localhost:8000", served.http)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    want = scorer.score(SAMPLES[0])
    score, attributes = done.stdout.split(" ", 1)
    assert float(score) == pytest.approx(want.score, abs=TOLERANCE)
    for name in want.attributes:
        assert f"b'{name}': " in attributes
