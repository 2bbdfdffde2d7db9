"""`maclip serve` from its start to its end: ready, stopped, killed, refused; no process is ever left."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from triton_server import ServedBundle, is_alive, wait_until

from maclip_runtime import EngineError, Scorer, open_bundle
from maclip_runtime.serving.distribution import check_stub, find_distribution
from maclip_runtime.serving.repository import write_repository
from maclip_runtime.serving.server import Addresses, run_server
from maclip_runtime.serving.settings import ServingSettings

SAMPLE = Path(__file__).parents[2] / "samples" / "coffee.jpg"
FREE = ("--http-port", 0, "--grpc-port", 0, "--metrics-port", 0)
FEW = ("--instances", 1)


def assert_all_ended(processes: dict[int, str]) -> None:
    assert {"tritonserver", "triton_python_b"} <= set(processes.values())  # names of 15 letters
    wait_until(lambda: not any(map(is_alive, processes)), "all of its processes have ended")


def list_regions(pid: int) -> list[Path]:
    return list(Path("/dev/shm").glob(f"maclip_{pid}_*"))


def test_requests_under_way_are_answered_when_it_is_stopped(tmp_path, frame):
    stream = io.BytesIO()
    large = np.tile(frame, (4, 4, 1))
    Image.fromarray(large).save(stream, "PNG")
    encoded = stream.getvalue()
    with ServedBundle("demo", tmp_path, *FEW, "--stop-timeout", 60) as server:
        assert list_regions(server.process.pid)
        warmed, _, _ = server.count("maclip_encoder")
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(server.score, "grpc", encoded)
            # The first of its views are encoded, and others are to come.
            wait_until(
                lambda: answer.done() or server.count("maclip_encoder")[0] > warmed,
                "it is under way",
            )
            assert not answer.done()
            server.process.send_signal(signal.SIGTERM)
            with Scorer("demo") as scorer:
                want = scorer.score(encoded)
            assert answer.result()["score"].item() == pytest.approx(want.score, abs=1e-6)
        assert server.process.wait(60) == 0
    assert server.log.read_text().splitlines()[-1] == "maclip: stopped by SIGTERM"
    assert_all_ended(server.processes)
    assert not list(server.temporary.glob("maclip-*"))
    assert not list_regions(server.process.pid)


def test_ctrl_c_is_an_end_without_an_error(tmp_path):
    with ServedBundle("demo", tmp_path, *FEW) as server:
        assert server.stop(signal.SIGINT) == 0
    assert server.log.read_text().splitlines()[-1] == "maclip: stopped by SIGINT"
    assert_all_ended(server.processes)


def test_no_process_outlives_a_maclip_that_is_killed(tmp_path):
    with ServedBundle("demo", tmp_path, *FEW) as server:
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        assert_all_ended(server.processes)


def test_a_server_that_dies_is_one_line_and_an_error(tmp_path):
    with ServedBundle("demo", tmp_path, *FEW) as server:
        (triton,) = (pid for pid, name in server.processes.items() if name == "tritonserver")
        os.kill(triton, signal.SIGKILL)
        assert server.process.wait(60) == 2
    said = server.log.read_text().splitlines()[-1]
    assert said == "maclip: Triton's server ended by SIGKILL; its lines above say why"
    assert_all_ended(server.processes)
    assert not list(server.temporary.glob("maclip-*"))
    assert not list_regions(server.process.pid)


@pytest.mark.parametrize("option", ["--http-port", "--grpc-port", "--metrics-port"])
def test_a_port_that_is_taken_is_one_line(maclip, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = dict(zip(FREE[::2], FREE[1::2], strict=True)) | {option: port}
        done = maclip("serve", "demo", *(part for pair in ports.items() for part in pair))
    assert done.returncode == 2
    assert done.stderr == (
        f"maclip: 127.0.0.1:{port}: cannot be served there (address already in use); "
        f"choose another {option} ...\n"
    )


def test_a_host_that_is_not_this_machine_is_one_line(maclip):
    done = maclip("serve", "demo", *FREE, "--host", "192.0.2.1")
    assert done.returncode == 2
    assert done.stderr.startswith("maclip: 192.0.2.1:0: cannot be served there (")
    assert done.stderr.count("\n") == 1


def test_a_damaged_bundle_is_refused_before_anything_starts(maclip, tmp_path):
    bundle = tmp_path / "damaged.maclip"
    shutil.copytree(open_bundle("demo").path, bundle)
    graph = bundle / "image_encoder.fp32.onnx"
    data = bytearray(graph.read_bytes())
    data[1000] ^= 1
    graph.write_bytes(data)
    done = maclip("serve", bundle, *FREE, TMPDIR=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        f"maclip: {graph}: checksum differs from the manifest's; copy or export the bundle again\n"
    )
    assert list(tmp_path.iterdir()) == [bundle]


def test_an_unsigned_bundle_is_refused_where_keys_are_trusted(maclip, tmp_path):
    bundle = tmp_path / "unsigned.maclip"
    shutil.copytree(open_bundle("demo").path, bundle)
    (tmp_path / "keys").mkdir()
    done = maclip("serve", bundle, *FREE, MACLIP_TRUSTED_KEYS=str(tmp_path / "keys"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"maclip: {bundle}")
    assert done.stderr.count("\n") == 1


def test_without_a_server_it_says_what_to_install(monkeypatch):
    import maclip_runtime.serving.distribution as distribution

    monkeypatch.setattr(distribution, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"pip install 'maclip-edge\[serve\]'"):
        find_distribution()


def test_a_stub_without_its_python_is_one_line():
    # This Python's own stub works here, as the other tests show; those of other versions cannot.
    found = find_distribution()
    other = "3.9" if sys.version_info[:2] != (3, 9) else "3.10"
    stub = found.stub.parents[1] / other / found.stub.name
    with pytest.raises(
        EngineError, match=rf"needs libpython{other}\.so\.1\.0, which is not on this"
    ):
        check_stub(replace(found, stub=stub))


def test_a_stub_with_another_python_is_one_line():
    # The wheel has a library of Python 3.13 for that version's stub.
    found = find_distribution()
    stub = found.stub.parents[1] / "3.13" / found.stub.name
    version = ".".join(map(str, sys.version_info[:3]))
    with pytest.raises(EngineError) as caught:
        check_stub(replace(found, stub=stub))
    assert "of Python 3.13." in str(caught.value)
    assert f"and this is Python {version}; run maclip in an environment" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_server_loads_the_repository_for_any_device(bundle_of, tmp_path):
    # What `maclip triton` writes by default, as it is; the graphs run in the stand-in for onnxruntime.
    repository, backends = tmp_path / "models", tmp_path / "backends"
    write_repository(open_bundle(bundle_of("vit-small")), repository, ServingSettings(instances=1))
    distribution = find_distribution()
    distribution.lay_out_backends(backends)
    addresses = Addresses(http=0, grpc=0, metrics=0).reserve()
    with run_server(distribution, repository, backends, addresses, stop_timeout=10) as server:
        client = ServedBundle.__new__(ServedBundle)
        client.http, client.grpc = addresses.show("http"), addresses.show("grpc")
        found = client.score("http", SAMPLE.read_bytes())
        with Scorer(bundle_of("vit-small")) as scorer:
            want = scorer.score(SAMPLE)
        assert found["score"].item() == pytest.approx(want.score, abs=1e-6)
    assert server.process.poll() is not None


def test_a_repository_that_does_not_load_is_an_error(bundle_of, tmp_path, capfd):
    repository, backends = tmp_path / "models", tmp_path / "backends"
    write_repository(open_bundle("demo"), repository, ServingSettings(instances=1))
    (repository / "maclip_encoder" / "1" / "model.onnx").write_bytes(b"no graph")
    distribution = find_distribution()
    distribution.lay_out_backends(backends)
    addresses = Addresses(http=0, grpc=0, metrics=0).reserve()
    with (
        pytest.raises(EngineError, match="Triton's server ended with status 1"),
        run_server(distribution, repository, backends, addresses),
    ):
        pytest.fail("it is not ready")
    assert "failed to load 'maclip_encoder'" in capfd.readouterr().err


def test_a_server_that_is_not_ready_in_time_is_an_error_and_ended(tmp_path):
    repository, backends = tmp_path / "models", tmp_path / "backends"
    write_repository(open_bundle("demo"), repository, ServingSettings(instances=1))
    model = repository / "maclip_picture" / "1" / "model.py"
    model.write_text("import threading\nthreading.Event().wait()\n")  # as a stub that hangs
    distribution = find_distribution()
    distribution.lay_out_backends(backends)
    addresses = Addresses(http=0, grpc=0, metrics=0).reserve()
    with (
        pytest.raises(EngineError, match="was not ready after 2 s"),
        run_server(distribution, repository, backends, addresses, start_timeout=2, stop_timeout=0),
    ):
        pytest.fail("it is not ready")


def test_a_full_queue_refuses_and_a_wait_has_an_end(tmp_path, frame):
    from tritonclient.utils import InferenceServerException

    stream = io.BytesIO()
    Image.fromarray(np.tile(frame, (4, 4, 1))).save(stream, "PNG")
    large, small = stream.getvalue(), SAMPLE.read_bytes()
    waiting = 'nv_inference_pending_request_count{model="maclip_picture",version="1"} 1'
    with (
        ServedBundle("demo", tmp_path, *FEW, "--queue", 1) as server,
        ThreadPoolExecutor(2) as pool,
    ):

        def occupy():
            before, _, _ = server.count("maclip_encoder")
            answer = pool.submit(server.score, "grpc", large)
            wait_until(
                lambda: answer.done() or server.count("maclip_encoder")[0] > before,
                "it is under way",
            )
            return answer

        first = occupy()
        second = pool.submit(server.score, "grpc", small)
        wait_until(lambda: waiting in server.read_metrics(), "the second one waits")
        with pytest.raises(InferenceServerException, match="maximum queue size") as full:
            server.score("grpc", small)
        assert first.result()["score"].item() != second.result()["score"].item()
        first = occupy()
        with pytest.raises(InferenceServerException, match="timeout") as late:
            server.score("grpc", small, timeout=1000)
        first.result()
        for refused in (full, late):
            assert refused.value.status() == "StatusCode.UNAVAILABLE"
