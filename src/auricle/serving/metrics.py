"""What Prometheus may ask for. Each server has a registry of its own, so that two in a process do not add up."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LATENCY = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 300)
_REAL_TIME = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)


class Metrics:
    """Counters of one server. Labels are routes and names of our own: no request can invent one."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "auricle_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.latency = Histogram(
            "auricle_request_seconds", "From a request's head to its last byte.", ["route"], buckets=_LATENCY,
            registry=registry,
        )  # fmt: skip
        self.audio_seconds = Counter("auricle_audio_seconds", "Seconds of recordings recognised.", registry=registry)
        self.busy_seconds = Counter(
            "auricle_recognition_seconds", "Seconds of work spent on recognising them.", registry=registry
        )
        self.real_time_factor = Histogram(
            "auricle_real_time_factor", "Seconds of work for each second recognised.", buckets=_REAL_TIME,
            registry=registry,
        )  # fmt: skip
        self.batch_clips = Histogram(
            "auricle_batch_clips", "Clips recognised together.", buckets=(1, 2, 4, 8, 16, 32, 64), registry=registry
        )
        self.rejections = Counter("auricle_rejections", "Requests refused.", ["reason"], registry=registry)
        self.accepted = Gauge("auricle_requests_in_progress", "Recordings being read or recognised.", registry=registry)
        self.queue = Gauge("auricle_queue_clips", "Clips that wait for recognition.", registry=registry)
        self.jobs = Gauge("auricle_jobs_waiting", "Jobs that wait or run.", registry=registry)

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Read the queue's length when it is asked for."""
        self.queue.set_function(length)

    def recognised(self, *, audio_seconds: float, busy_seconds: float) -> None:
        """Count a piece of work."""
        self.audio_seconds.inc(audio_seconds)
        self.busy_seconds.inc(busy_seconds)
        if audio_seconds:
            self.real_time_factor.observe(busy_seconds / audio_seconds)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self.registry)
