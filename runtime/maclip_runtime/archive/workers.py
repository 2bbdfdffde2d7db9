"""Workers as whoever fills an archive sees them, and those on Ray, watched from another process.

Ray runs in a process of its own, so that one that hangs can be killed and one that dies takes nothing
along: the rest of the shard goes to the next. Nothing of Ray is imported here.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Protocol

from maclip_runtime.archive.scoring import Scored
from maclip_runtime.archive.units import Unit
from maclip_runtime.errors import EngineError

_GOODBYE = 30.0  # seconds that Ray has to end in good order


class WorkersLostError(EngineError):
    """Workers that were lost or hang: what they had begun can be given to others."""


@dataclass(frozen=True)
class Crew:
    """What workers say of themselves first. `attributes`: the names of all."""

    settings: Mapping[str, str]
    attributes: Sequence[str]
    workers: int
    gpus: bool


class Workers(Protocol):
    """Whoever scores units."""

    def introduce(self) -> Crew:
        """Say what they are; EngineError where they cannot score."""

    def score(self, units: Sequence[Unit]) -> Iterator[Scored]:
        """Score units, in any order, each in the order of its pictures.

        A unit whose worker died is missing, or its end is. Raises WorkersLostError if all of them are gone.
        """


@dataclass(frozen=True)
class Fault:
    """Why workers cannot score. lost: others might."""

    cause: str
    remedy: str = ""
    lost: bool = True


@dataclass(frozen=True)
class End:
    """All units have been tried."""


Message = Crew | Scored | Fault | End


class RayWorkers:
    """Workers on a Ray cluster, or on a Ray of their own on this machine. A context manager.

    options: of each worker's `Scorer`. address: of the cluster, None for this machine alone. limit: of
    workers, by default one for each GPU, or for each core where there are none. stall: seconds without a
    result after which Ray counts as hung. log: where Ray's own messages go.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        address: str | None,
        limit: int | None,
        stall: float,
        log: Path,
    ) -> None:
        self._arguments = (dict(options), address, limit, str(log))
        self._stall = stall
        self._log = log
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._crew: Crew | None = None

    def introduce(self) -> Crew:
        """Start Ray, if it is not running, and the first worker."""
        if self._process is None or self._crew is None:
            self._start()
            message = self._receive()
            assert isinstance(message, Crew), message
            self._crew = message
        return self._crew

    def score(self, units: Sequence[Unit]) -> Iterator[Scored]:
        """See `Workers`. After WorkersLostError the next call starts Ray anew."""
        self.introduce()
        assert self._connection is not None
        try:
            self._connection.send(list(units))
        except OSError:
            self._kill()
            raise WorkersLostError(f"Ray's process died; see {self._log}") from None
        while True:
            message = self._receive()
            if not isinstance(message, Scored):
                return
            yield message

    def close(self) -> None:
        """End Ray, where it was this machine's own, and leave the cluster where it was not."""
        if self._process is not None and self._connection is not None:
            with suppress(OSError):
                self._connection.send(None)
                self._process.join(_GOODBYE)
        self._kill()

    def __enter__(self) -> RayWorkers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self._kill()

    def _start(self) -> None:
        from maclip_runtime.archive.on_ray import drive

        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=drive, args=(theirs, *self._arguments), name="maclip-ray", daemon=True
        )
        self._process.start()
        theirs.close()

    def _receive(self) -> Message:
        """The next message; WorkersLostError if none comes, EngineError if it is a fault that will stay."""
        assert self._connection is not None
        try:
            if not self._connection.poll(self._stall):
                self._kill()
                raise WorkersLostError(
                    f"nothing came from Ray for {self._stall:g} seconds; see {self._log}"
                )
            message: Message = self._connection.recv()
        except (EOFError, OSError):
            self._kill()
            raise WorkersLostError(f"Ray's process died; see {self._log}") from None
        if isinstance(message, Fault):
            self._kill()
            raise (WorkersLostError if message.lost else EngineError)(message.cause, message.remedy)
        return message

    def _kill(self) -> None:
        """End Ray's process at once; its workers end with it."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None
