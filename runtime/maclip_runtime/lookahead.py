"""Working ahead of whoever takes the results, in order and by a bounded number of jobs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Job(Protocol):
    """Work that was begun."""

    def done(self) -> bool:
        """Whether it has a result, or has failed."""

    def cancel(self) -> object:
        """Let it not begin if it has not."""


J = TypeVar("J", bound=Job)


def run_ahead(items: Iterable[T], start: Callable[[T], J], ahead: int) -> Iterator[J]:
    """Start a job for each item and yield the jobs in order, at most `ahead` of them started early.

    A job that is done is yielded before another item is taken. If taking an item raises, the jobs that were
    started come out first.
    """
    under_way: deque[J] = deque()
    source: Iterator[T] | None = iter(items)
    failure: Exception | None = None
    try:
        while True:
            while (
                source is not None
                and len(under_way) <= ahead
                and not (under_way and under_way[0].done())
            ):
                try:
                    under_way.append(start(next(source)))
                except StopIteration:
                    source = None
                except Exception as error:  # noqa: BLE001  whatever the caller's iterable raises
                    source, failure = None, error
            if not under_way:
                break
            yield under_way.popleft()
        if failure is not None:
            raise failure
    finally:  # also when the caller stops early
        for job in under_way:
            job.cancel()
