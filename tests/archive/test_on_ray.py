"""Archives on a real Ray cluster of three nodes, whatever dies: every picture exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archives import check_rows, fill_archive, plan_archive, read_archive
from buckets import serve_s3

from maclip_runtime.archive.filling import fill
from maclip_runtime.archive.plan import FOLDER
from maclip_runtime.archive.workers import RayWorkers

pytest.importorskip("ray", reason="needs maclip-edge[ray]")

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
NODE = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
OPTIONS = {"bundle": "demo", "engine": "onnxruntime-cpu"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args=NODE)
    for _ in range(2):
        started.add_node(**{k: v for k, v in NODE.items() if k != "include_dashboard"})
    yield started
    started.shutdown()


@pytest.fixture
def workers(cluster: Any, tmp_path: Path) -> Iterator[RayWorkers]:
    with RayWorkers(
        OPTIONS, address=cluster.address, limit=None, stall=180, log=tmp_path / "ray.log"
    ) as found:
        yield found


def find_actors(node: Any) -> list[int]:
    """The processes of a node that score."""
    raylets = {str(started.process.pid) for started in node.all_processes["raylet"]}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = process.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            title = process.joinpath("cmdline").read_bytes()
        except OSError:
            continue
        if parent in raylets and title.startswith(b"ray::") and b"_Worker" in title:
            found.append(int(process.name))
    return found


def test_an_actor_killed_loses_no_picture(cluster, workers, make_pictures, records, tmp_path):
    files = make_pictures(tmp_path / "in", 150)
    plan = plan_archive(tmp_path / "in", tmp_path / "out", workers, shard=150)
    seen, killed = [], []

    def advance(path: str) -> None:
        seen.append(path)
        if len(seen) == 1:
            killed.extend(pid for node in cluster.list_all_nodes() for pid in find_actors(node)[:1])
            os.kill(killed[0], signal.SIGKILL)

    fill_archive(plan, workers, advance)
    assert killed
    check_rows(read_archive(tmp_path / "out"), files, records)
    assert len(seen) == len(files)


def test_an_actor_killed_and_a_node_removed_at_once_lose_no_picture(
    cluster, workers, make_pictures, records, tmp_path
):
    files = make_pictures(tmp_path / "in", 250)
    plan = plan_archive(tmp_path / "in", tmp_path / "out", workers, shard=200)
    assert workers.introduce().workers == 3
    seen, killed = [], []

    def advance(path: str) -> None:
        seen.append(path)
        if len(seen) == 1:
            head, *others = cluster.list_all_nodes()
            goes = min(others, key=lambda node: len(find_actors(node)))
            killed.extend(pid for n in (head, *others) if n is not goes for pid in find_actors(n))
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            cluster.remove_node(goes, allow_graceful=False)

    fill_archive(plan, workers, advance)
    assert killed
    check_rows(read_archive(tmp_path / "out"), files, records)
    assert len(seen) == len(files)


def test_a_ray_that_hangs_is_ended_and_the_rest_given_to_another(
    workers, make_pictures, records, tmp_path
):
    files = make_pictures(tmp_path / "in", 100)
    plan = plan_archive(tmp_path / "in", tmp_path / "out", workers)
    crew, seen, said = workers.introduce(), [], []

    def advance(path: str) -> None:
        seen.append(path)
        if len(seen) == 1:
            os.kill(workers._process.pid, signal.SIGSTOP)
            workers._stall = 1

    def tell(message: str) -> None:
        said.append(message)
        workers._stall = 180

    fill(plan, workers, crew, advance=advance, tell=tell)
    assert len(said) == 1
    assert said[0].startswith("nothing came from Ray for 1 seconds")
    check_rows(read_archive(tmp_path / "out"), files, records)


def test_the_driver_killed_and_resumed_loses_no_picture(cluster, make_pictures, records, tmp_path):
    files = make_pictures(tmp_path / "in", 200)
    output = tmp_path / "out"
    command = [
        sys.executable, "-m", "maclip_runtime", "archive", tmp_path / "in", "--output", output,
        "--bundle", "demo", "--shard-pictures", "80", "--address", cluster.address,
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as driver:
        journal = output / FOLDER / "shard-00001.parquet.partial"
        deadline = time.monotonic() + 60
        while not (journal.exists() and journal.read_bytes().count(b"\n") > 1):
            assert driver.poll() is None, driver.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        driver.kill()
    finished = (output / "shard-00000.parquet").stat().st_mtime_ns
    assert not (output / "shard-00002.parquet").exists()

    refused = subprocess.run(command, capture_output=True, text=True)
    assert (refused.returncode, "--resume" in refused.stderr) == (2, True)
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "200 pictures in 3 files, 1 of them could not be scored" in done.stderr
    check_rows(read_archive(output), files, records)
    assert (output / "shard-00000.parquet").stat().st_mtime_ns == finished


def test_a_bucket_is_scored_on_a_cluster(cluster, maclip, encoded, records, tmp_path):
    with serve_s3() as put:
        for index, data in enumerate(encoded):
            put(f"on-ray/{index}.jpg", data)
        done = maclip(
            "archive", "s3://on-ray", "--output", tmp_path / "out", "--bundle", "demo",
            "--address", cluster.address,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = {row["path"]: row["score"] for row in read_archive(tmp_path / "out")}
    assert rows == {f"s3://on-ray/{n}.jpg": record["score"] for n, record in enumerate(records)}


def test_a_signal_ends_it_with_what_was_scored_kept(cluster, make_pictures, tmp_path):
    make_pictures(tmp_path / "in", 3)
    command = [
        sys.executable, "-m", "maclip_runtime", "archive", tmp_path / "in",
        "--output", tmp_path / "out", "--bundle", "demo", "--address", cluster.address,
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert "about 3 pictures" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        *_, kept, last = process.stderr.read().splitlines()
    assert (process.returncode, last) == (143, "maclip: ended by SIGTERM")
    assert kept.endswith("go on with --resume")


def test_where_there_are_gpus_each_has_a_worker_that_takes_four_units_at_a_time(
    cluster, maclip, make_pictures, records, tmp_path
):
    """Ray is told of a GPU that is not there; what is asked of it runs on the CPU."""
    files = make_pictures(tmp_path / "in", 70)
    node = cluster.add_node(num_cpus=1, num_gpus=1, object_store_memory=80_000_000)
    try:
        done = maclip(
            "archive", tmp_path / "in", "--output", tmp_path / "out", "--bundle", "demo",
            "--engine", "onnxruntime-cpu", "--threads", "1", "--address", cluster.address,
        )  # fmt: skip
    finally:
        cluster.remove_node(node)
    assert done.returncode == 1, done.stderr
    assert "; 1 GPU workers" in done.stderr
    check_rows(read_archive(tmp_path / "out"), files, records)
