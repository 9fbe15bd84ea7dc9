"""What the process counts about itself, for Prometheus: statuses, codes and seconds; no client, number or document.

The meters of a request are plain numbers of the one thread that answers requests; they become Prometheus' families
when they are asked for.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BOUNDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
LABELS: Final = (*(repr(bound) for bound in BOUNDS), "+Inf")


class Metrics(Collector):
    """The meters of one process in a registry of their own, so that two apps in one process do not meet.

    `answers` by status, `refusals` by code, `in_flight` requests being answered, `streams` and sockets that are open,
    `webhooks` by store and state; `received`: answers to events by status, `events` by verdict; `alarms` tells how many
    there were.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, alarms: Callable[[], int] = int) -> None:
        self._alarms = alarms
        self.answers: Counter[int] = Counter()
        self.refusals: Counter[str] = Counter()
        self.received: Counter[int] = Counter()
        self.events: Counter[str] = Counter()
        self.in_flight = 0
        self.streams = 0
        self.webhooks: dict[str, Mapping[str, int]] = {}
        self._slower_than = [0] * len(LABELS)
        self._seconds = 0.0
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def answered(self, status: int, seconds: float) -> None:
        """An answer left, so long after its request came."""
        self.answers[status] += 1
        self._slower_than[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def collect(self) -> Iterator[Metric]:
        """The meters as Prometheus' families."""
        answers = CounterMetricFamily("cdp_answers", "GraphQL answers by HTTP status.", labels=["status"])
        for status, count in self.answers.items():
            answers.add_metric([str(status)], count)
        received = CounterMetricFamily("cdp_intake_answers", "Answers to events by HTTP status.", labels=["status"])
        for status, count in self.received.items():
            received.add_metric([str(status)], count)
        events = CounterMetricFamily("cdp_events", "Events over HTTP by their verdict.", labels=["verdict"])
        for verdict, count in self.events.items():
            events.add_metric([verdict], count)
        refusals = CounterMetricFamily("cdp_refusals", "Refused requests by code.", labels=["code"])
        for code, count in self.refusals.items():
            refusals.add_metric([code], count)
        yield CounterMetricFamily("cdp_honey_opened", "Honey customers that were opened.", self._alarms())
        seconds = HistogramMetricFamily(
            "cdp_request_seconds", "From the first byte of a GraphQL request to the last of its answer."
        )
        seconds.add_metric([], list(zip(LABELS, accumulate(self._slower_than), strict=True)), self._seconds)
        yield from (answers, received, events, refusals, seconds)
        yield GaugeMetricFamily("cdp_requests_in_flight", "GraphQL requests being answered.", self.in_flight)

        yield GaugeMetricFamily("cdp_streams_open", "Event streams and sockets that are open.", self.streams)
        webhooks = GaugeMetricFamily("cdp_webhooks", "Endpoints of webhooks.", labels=["store", "state"])
        for store, states in self.webhooks.items():
            for state, count in states.items():
                webhooks.add_metric([store, state], count)
        yield webhooks

    def text(self) -> bytes:
        """The registry in Prometheus' text format."""
        return generate_latest(self._registry)
