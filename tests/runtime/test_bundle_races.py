"""Several processes at one bundle: nothing that was added is lost, nothing that appeared is replaced."""

import multiprocessing
import shutil

import pytest

from maclip_runtime import BundleError, open_bundle
from maclip_runtime.bundle.manifest import BundleFile, PlanOrigin
from maclip_runtime.bundle.staging import add_file, stage_bundle

PROCESSES, FILES = 4, 25
PLAN = PlanOrigin("tensorrt", "10.3", ("87",), "Orin", "frame.any.fp16.onnx", "0", {})


def add_files(path, process):
    bundle = open_bundle(path)
    for number in range(FILES):
        name = f"extra-{process}-{number}.plan"
        add_file(bundle, BundleFile(name, "frame_graph", 0, "", plan=PLAN), name.encode())


def test_files_added_by_several_processes_are_all_there(tmp_path):
    bundle = open_bundle(shutil.copytree(open_bundle("demo").path, tmp_path / "b"))
    before = {file.path for file in bundle.manifest.files}
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=add_files, args=(bundle.path, n)) for n in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    opened = open_bundle(bundle.path)
    assert len(opened.manifest.files) == len(before) + PROCESSES * FILES
    for file in opened.manifest.files:
        opened.locate(file)
    listed = {file.path for file in opened.manifest.files}
    assert {path.name for path in bundle.path.iterdir()} == {"manifest.json", *listed}


def test_a_bundle_that_appears_meanwhile_is_not_replaced(tmp_path):
    with (  # noqa: PT012
        pytest.raises(BundleError, match="exists already"),
        stage_bundle(tmp_path / "b", replace=False) as directory,
    ):
        (directory / "manifest.json").write_text("mine")
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "manifest.json").write_text("theirs")
    assert (tmp_path / "b" / "manifest.json").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_folder_that_appears_meanwhile_is_not_replaced_either(tmp_path):
    with (  # noqa: PT012
        pytest.raises(BundleError, match="not a bundle"),
        stage_bundle(tmp_path / "b", replace=True) as directory,
    ):
        (directory / "manifest.json").write_text("mine")
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "photo.jpg").write_text("theirs")
    assert (tmp_path / "b" / "photo.jpg").exists()


def test_a_replaced_bundle_keeps_its_permissions_and_its_link(tmp_path):
    bundle = shutil.copytree(open_bundle("demo").path, tmp_path / "b")
    bundle.chmod(0o750)
    link = tmp_path / "link"
    link.symlink_to(bundle)
    with stage_bundle(link, replace=True) as staging:
        (staging / "new").touch()
    assert link.is_symlink()
    assert [path.name for path in bundle.iterdir()] == ["new"]
    assert bundle.stat().st_mode & 0o777 == 0o750
    assert len(list(tmp_path.iterdir())) == 2


def test_a_bundle_that_cannot_be_written_is_one_line(tmp_path):
    bundle = open_bundle(shutil.copytree(open_bundle("demo").path, tmp_path / "b"))
    shutil.rmtree(bundle.path)
    (tmp_path / "b").write_text("a file now")
    with pytest.raises(BundleError, match="cannot be written") as caught:
        add_file(bundle, BundleFile("x.plan", "frame_graph", 0, "", plan=PLAN), b"x")
    assert "\n" not in str(caught.value)
