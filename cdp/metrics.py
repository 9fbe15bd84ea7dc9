"""What the process counts about itself, for Prometheus: statuses, codes and seconds; no client, number or document."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """The meters of one process in a registry of their own, so that two apps in one process do not meet."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = Counter("cdp_answers", "GraphQL answers by HTTP status.", ["status"], registry=self.registry)
        self.refusals = Counter("cdp_refusals", "Refused requests by code.", ["code"], registry=self.registry)
        self.seconds = Histogram(
            "cdp_request_seconds",
            "From the first byte of a GraphQL request to the last of its answer.",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=self.registry,
        )
        self.in_flight = Gauge("cdp_requests_in_flight", "GraphQL requests being answered.", registry=self.registry)

    def text(self) -> bytes:
        """The registry in Prometheus' text format."""
        return generate_latest(self.registry)
