"""Several threads decode for one engine: order, errors in their place, and how many there are."""

import io
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from maclip_runtime import PictureError, Scorer
from maclip_runtime import scorer as scorer_module
from maclip_runtime.under_way import count_decoders

DECODERS = 4
PATIENCE = 60  # seconds, after which a test has failed


def encode(value):
    """A PNG by whose width it is known again."""
    stream = io.BytesIO()
    Image.new("RGB", (224 + value, 224), (value, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def scorer(monkeypatch):
    """One whose pictures are decoded by several threads; `submitted` has what its engine was given."""
    monkeypatch.setattr(scorer_module, "count_decoders", lambda engine: DECODERS)
    with Scorer("demo") as scorer:
        submit, scorer.submitted = scorer.engine.submit, []

        def note(frame, views=None):
            scorer.submitted.append(frame.shape[1] - 224)
            return submit(frame, views)

        monkeypatch.setattr(scorer.engine, "submit", note)
        yield scorer


def change_decoding(monkeypatch, scorer, decode):
    """Put `decode(prepare, picture)` in the place of `Scorer.prepare`."""
    prepare = scorer.prepare

    def changed(picture, **options):
        return decode(lambda: prepare(picture, **options), picture)

    monkeypatch.setattr(scorer, "prepare", changed)


def test_as_many_pictures_are_decoded_at_once_as_there_are_threads(scorer, monkeypatch):
    together = threading.Barrier(DECODERS)

    def decode(prepare, picture):
        together.wait(PATIENCE)
        return prepare()

    change_decoding(monkeypatch, scorer, decode)
    results = list(scorer.score_many([encode(value) for value in range(2 * DECODERS)]))
    assert [result.width - 224 for result in results] == list(range(2 * DECODERS))


def test_frames_are_submitted_in_order_whichever_is_decoded_first(scorer, monkeypatch):
    """The first is ready when all others are, one of which is broken."""
    many = [encode(0), b"broken", encode(2), encode(3)]
    ready = {picture: threading.Event() for picture in many}

    def decode(prepare, picture):
        try:
            return prepare()
        finally:
            if picture is many[0]:
                assert all(ready[other].wait(PATIENCE) for other in many[1:])
            ready[picture].set()

    change_decoding(monkeypatch, scorer, decode)
    first, second, *others = scorer.score_many(many)
    assert isinstance(second, PictureError)
    assert scorer.submitted == [0, 2, 3]
    assert [result.width - 224 for result in (first, *others)] == [0, 2, 3]


def test_arrays_and_files_may_be_mixed(scorer):
    kinds = [encode, lambda value: np.full((224, 224 + value, 3), (value, 0, 0), np.uint8)]
    many = [kinds[value // 2 % 2](value) for value in range(16)]
    results = list(scorer.score_many(many))
    assert scorer.submitted == list(range(16))
    assert [r.score for r in results] == [
        pytest.approx(scorer.score(encode(v)).score, abs=1e-6) for v in range(16)
    ]


def test_no_more_pictures_are_taken_than_are_worked_on(scorer):
    taken = []

    def offer():
        for value in range(50):
            taken.append(value)
            yield encode(value)

    results = scorer.score_many(offer())
    next(results)
    results.close()
    assert len(taken) <= scorer.engine.ahead + DECODERS


def test_a_live_frame_is_alone_however_many_threads_there_are(scorer):
    taken = []

    def offer():
        for value in range(4):
            taken.append(value)
            yield encode(value)

    for number, result in enumerate(scorer.score_many(offer(), ahead=0), start=1):
        assert len(taken) == number
        assert result.width == 223 + number


def test_pictures_that_nobody_waits_for_any_more_are_not_decoded(scorer, monkeypatch):
    """A caller who stops early waits only for those that a thread has begun."""
    begun, go_on = [], threading.Event()

    def decode(prepare, picture):
        begun.append(picture)
        if len(begun) > 1:
            go_on.wait(PATIENCE)
        return prepare()

    change_decoding(monkeypatch, scorer, decode)
    results = scorer.score_many([encode(value) for value in range(30)], ahead=20)
    next(results)
    closer = threading.Thread(target=results.close, daemon=True)
    closer.start()
    go_on.set()
    closer.join(PATIENCE)
    assert not closer.is_alive()
    assert len(begun) <= 21 + 1


@pytest.mark.parametrize(
    ("device", "cores", "expected"), [(None, 16, 1), (0, 16, 4), (0, 2, 2), (0, 1, 1)]
)
def test_several_threads_decode_only_beside_a_gpu(device, cores, expected, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)))
    assert count_decoders(SimpleNamespace(device=device)) == expected
