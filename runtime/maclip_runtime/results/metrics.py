"""What is seen of streams as metrics for Prometheus, served over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from maclip_runtime.errors import UsageError
from maclip_runtime.stream.status import Observation, SourceStatus
from maclip_runtime.vocabulary import EVENTS

# Seconds: from a frame at once to one that waited for a second and more.
_LATENCY_BUCKETS = (0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """The metrics of all sources, each labelled `source`; UsageError where the library is missing."""

    def __init__(self, statuses: Sequence[SourceStatus]) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError:
            hint = "pip install 'maclip-edge[metrics]'"
            raise UsageError("metrics need prometheus_client", hint) from None
        self.registry = registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"maclip_{name}", text, ("source", *labels), registry=registry)

        self._score = gauge("score", "Quality score of the last frame; higher is better.")
        self._similarity = gauge("similarity", "Similarity cue of the last frame.")
        self._magnitude = gauge("magnitude", "Magnitude cue of the last frame.")
        self._attribute = gauge(
            "attribute", "Probability of a prompt pair's good one.", "attribute"
        )
        self._fresh = gauge("fresh", "Part of the views that are fresh, 0 to 1.")
        self._refreshed = gauge("views_refreshed", "Views encoded for the last frame.")
        self._alert = gauge("alert", "1 while an alert goes on.")
        up = gauge("up", "1 while the source is open and not lost.")
        rate = gauge("fps", "Frames scored a second, over the last seconds.")
        labels = ("source",)
        self._frames = Counter("maclip_frames", "Frames scored.", labels, registry=registry)
        self._dropped = Counter(
            "maclip_dropped", "Frames replaced by newer ones.", labels, registry=registry
        )
        self._events = Counter("maclip_events", "Events.", ("source", "event"), registry=registry)
        self._latency = Histogram(
            "maclip_latency_seconds",
            "From a frame's arrival to its score.",
            labels,
            registry=registry,
            buckets=_LATENCY_BUCKETS,
        )
        self._statuses = {status.name: status for status in statuses}
        for status in statuses:
            # What changes without a frame is read when it is asked for.
            up.labels(status.name).set_function(partial(getattr, status, "up"))
            rate.labels(status.name).set_function(partial(getattr, status, "frame_rate"))
            self._frames.labels(status.name)
            self._dropped.labels(status.name)
            self._alert.labels(status.name)
            for event in EVENTS:  # from 0 on, so that the first of a kind shows as an increase
                self._events.labels(status.name, event)
        self._dropped_before = dict.fromkeys(self._statuses, 0)

    def note(self, seen: Observation) -> None:
        """Take in the next observation, after its source's status has."""
        name = seen.source
        self._dropped.labels(name).inc(seen.dropped - self._dropped_before[name])
        self._dropped_before[name] = seen.dropped
        self._alert.labels(name).set(self._statuses[name].alert)
        if seen.event is not None:
            self._events.labels(name, seen.event.name).inc()
        if seen.latency is not None:
            self._latency.labels(name).observe(seen.latency)
        reading = seen.reading
        if reading is None:
            return
        self._frames.labels(name).inc()
        self._score.labels(name).set(reading.score)
        self._similarity.labels(name).set(reading.similarity)
        self._magnitude.labels(name).set(reading.magnitude)
        self._fresh.labels(name).set(reading.fresh)
        self._refreshed.labels(name).set(reading.refreshed)
        for attribute, value in reading.attributes.items():
            self._attribute.labels(name, attribute).set(value)

    @contextmanager
    def serve(self, host: str, port: int) -> Iterator[tuple[str, int]]:
        """Serve `/metrics` at this address alone, which is given (port 0: a free one)."""
        from prometheus_client import start_http_server

        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(f"{host}:{port}: metrics cannot be served there ({reason})") from None
        try:
            yield str(server.server_address[0]), int(server.server_address[1])
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
