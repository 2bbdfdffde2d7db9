"""The process that drives Ray: units come in through a pipe, results go out through it.

Ray Data streams: a pool of actors, each with a scorer of its own, takes units as it can; only references
and results pass through Ray, never pictures.
"""

from __future__ import annotations

import logging
import os
import pickle
import platform
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import connection as connections
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import Any

from maclip_runtime.archive.scoring import open_unit_scorer
from maclip_runtime.archive.units import Unit
from maclip_runtime.archive.workers import Crew, End, Fault
from maclip_runtime.errors import EngineError, MaclipError

_CONCURRENT = 4  # units at a time on a GPU: it would wait for one thread that decodes
_LEAST_STORE = (
    80_000_000  # bytes of Ray's own memory for objects; only references and results go there
)
_CONNECTING = 10.0  # seconds
_PASSED_ON = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")  # to workers, of the driver's environment


def drive(
    pipe: Connection, options: Mapping[str, Any], address: str | None, limit: int | None, log: str
) -> None:
    """Connect to Ray, say what the workers are, and score what comes until None does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to act on
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _write_to(log)
    try:
        _connect(address, limit)
        crew = _introduce(options, limit)
        pipe.send(crew)
        while (units := pipe.recv()) is not None:
            for message in _score(units, options, crew.settings, limit):
                pipe.send(message)
            pipe.send(End())
    except (EOFError, BrokenPipeError):  # the parent has gone
        os._exit(1)
    except MaclipError as error:
        pipe.send(Fault(error.cause, error.remedy.text, lost=False))
    except Exception as error:  # whatever Ray raises
        logging.getLogger(__name__).exception("Ray")
        told = str(error).strip().splitlines() or [type(error).__name__]
        pipe.send(Fault(f"Ray: {told[-1]:.300}; see {log}"))
    import ray

    ray.shutdown()


def _end_with_parent() -> None:
    """End this process, and with it its workers, when its parent was killed."""
    parent = parent_process()
    assert parent is not None
    connections.wait([parent.sentinel])
    os._exit(1)


def _write_to(log: str) -> None:
    """Have what Ray prints go to a file: messages are the parent's."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _connect(address: str | None, limit: int | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EngineError(
            f"ray cannot be imported ({error})", "pip install 'maclip-edge[ray]'"
        ) from None
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    settings: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.WARNING,
        "runtime_env": {"env_vars": passed_on} if passed_on else None,
    }
    if address is None:
        settings |= {"include_dashboard": False, "object_store_memory": _LEAST_STORE}
        if limit is not None:
            settings["num_cpus"] = max(limit, 1)
    else:
        _check_address(address)
    try:
        # "local": never a cluster that happens to run on this machine.
        ray.init(address=address or "local", **settings)
    except (ConnectionError, ValueError) as error:
        raise _refuse_address(address, str(error).splitlines()[0][:200]) from None


def _check_address(address: str) -> None:
    """Raise EngineError where nothing listens: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not host or not port.isdigit() or "/" in host:
        raise _refuse_address(address, "not HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECTING).close()
    except (OSError, OverflowError) as error:
        raise _refuse_address(address, str(error)) from None


def _refuse_address(address: str | None, reason: str) -> EngineError:
    return EngineError(
        f"{address}: no Ray cluster answers there ({reason})",
        "give its head's address, such as 10.0.0.1:6379",
    )


def _count_workers(limit: int | None) -> tuple[int, bool]:
    """How many workers there is room for now, and whether they have a GPU each."""
    import ray

    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    room = gpus or int(resources.get("CPU", 1))
    return max(1, min(room, limit or room)), gpus > 0


def _introduce(options: Mapping[str, Any], limit: int | None) -> Crew:
    """Have a scorer opened where workers run; what it says holds for all of them."""
    import ray

    workers, gpus = _count_workers(limit)
    look = ray.remote(num_cpus=1, num_gpus=int(gpus), max_retries=3)(_describe)
    found = ray.get(look.remote(_adapt(options, gpus)))
    if isinstance(found, Fault):
        raise EngineError(found.cause, found.remedy)
    settings, attributes = found
    return Crew(settings, attributes, workers, gpus)


def _describe(options: Mapping[str, Any]) -> tuple[dict[str, str], list[str]] | Fault:
    try:
        scorer = open_unit_scorer(options)
    except MaclipError as error:
        return Fault(error.cause, error.remedy.text)
    return scorer.settings, scorer.attributes


def _adapt(options: Mapping[str, Any], gpus: bool) -> dict[str, Any]:
    """A worker without a GPU has one core: pictures beside each other are faster than threads in one."""
    return dict(options) if gpus else {**options, "threads": options.get("threads") or 1}


def _score(
    units: Sequence[Unit],
    options: Mapping[str, Any],
    settings: Mapping[str, str],
    limit: int | None,
) -> Iterator[Any]:
    """Score units on a pool of actors.

    An actor that dies is started again where there is room, and its tasks are not: they would wait for it
    for ever where its node is gone. Their units are missing then, and the parent gives them again.
    """
    import ray.data
    from ray.data import ActorPoolStrategy

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    context.target_max_block_size = 1  # each result is handed on as it comes
    workers, gpus = _count_workers(limit)
    workers = min(workers, len(units))
    calls = _CONCURRENT if gpus else 1
    pool = ActorPoolStrategy(
        min_size=1,
        max_size=workers,
        initial_size=workers,
        max_tasks_in_flight_per_actor=2 * calls,
        max_concurrent_calls_per_actor=calls,
        enable_true_multi_threading=calls > 1,
    )
    items = [{"unit": pickle.dumps(unit)} for unit in units]
    dataset = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        _Worker,
        fn_constructor_args=(_adapt(options, gpus), settings),
        batch_size=1,
        batch_format="pyarrow",
        compute=pool,
        num_cpus=1,
        num_gpus=int(gpus),
        ray_remote_args_fn=_keep_from_retrying,
    )
    for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        for message in block.column("message").to_pylist():
            yield pickle.loads(message)


def _keep_from_retrying() -> dict[str, int]:
    """What Ray Data leaves to the caller only in this form."""
    return {"max_task_retries": 0}


class _Worker:
    """An actor: a scorer of units, and the seam between it and Ray."""

    def __init__(self, options: Mapping[str, Any], settings: Mapping[str, str]) -> None:
        self._scorer = open_unit_scorer(options)
        for name, mine in self._scorer.settings.items():
            if settings[name] != mine:
                raise EngineError(
                    f"{platform.node()}: scores with {name} {mine:.60}, others with "
                    f"{settings[name]:.60}"
                )

    def __call__(self, batch: Any) -> Iterator[Any]:
        import pyarrow

        for pickled in batch.column("unit").to_pylist():
            for message in self._score(pickle.loads(pickled)):
                yield pyarrow.table({"message": [pickle.dumps(message)]})

    def _score(self, unit: Unit) -> Iterator[Any]:
        try:
            yield from self._scorer.score(unit)
        except MaclipError as error:  # the engine's: pictures' are results
            yield Fault(error.cause, error.remedy.text)
