"""What is counted, in prometheus-client's terms."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ovh_proxy import __version__
from ovh_proxy.core.credentials import kind_of
from ovh_proxy.core.settings import Settings
from ovh_proxy.server.exchange import Exchange
from ovh_proxy.upstream.clock import Clocks
from ovh_proxy.upstream.credential_states import STATES, CredentialStates

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# From a warm call on the same continent to the five minutes that some calls take.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "ovh_proxy_requests",
            "Requests answered, refused ones included; code is the proxy's own error, if any.",
            ("profile", "client", "method", "status", "code"),
            registry=registry,
        )
        self._duration = Histogram(
            "ovh_proxy_request_duration_seconds",
            "From the head of a request to the end of its answer.",
            ("profile",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._upstream = Histogram(
            "ovh_proxy_upstream_duration_seconds",
            "From the call sent to OVHcloud to the head of its answer, retries included.",
            ("profile",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "ovh_proxy_requests_in_flight", "Requests being served.", registry=registry
        )
        self._delta = Gauge(
            "ovh_proxy_clock_delta_seconds",
            "How far OVHcloud's clock is ahead of this machine's.",
            ("endpoint",),
            registry=registry,
        )
        self._state = Gauge(
            "ovh_proxy_credential_state",
            "1 for the state that a profile's credential is in.",
            ("profile", "kind", "state"),
            registry=registry,
        )
        self._expires = Gauge(
            "ovh_proxy_credential_expires_timestamp_seconds",
            "When a profile's credential ends, where that is known.",
            ("profile",),
            registry=registry,
        )
        self._reload = Gauge(
            "ovh_proxy_config_last_reload_successful",
            "Whether the configuration in use is the one on disk.",
            registry=registry,
        )
        self._reload.set(1)
        Gauge(
            "ovh_proxy_build_info", "The version that runs.", ("version",), registry=registry
        ).labels(__version__).set(1)

    def reloaded(self, is_successful: bool) -> None:
        """Notes how the last attempt to read the settings again ended."""
        self._reload.set(is_successful)

    def count(self, exchange: Exchange, ended: float) -> None:
        """Counts a request that has been answered."""
        self._requests.labels(
            exchange.profile,
            exchange.client,
            exchange.method,
            f"{exchange.status // 100}xx",
            exchange.code or "",
        ).inc()
        self._duration.labels(exchange.profile).observe(ended - exchange.began)
        if exchange.attempts.count:
            self._upstream.labels(exchange.profile).observe(exchange.upstream_s)

    def exposition(
        self, settings: Settings, clocks: Clocks, states: CredentialStates, in_flight: int
    ) -> bytes:
        """All of them in Prometheus' text format, with what is only known when asked."""
        self._in_flight.set(in_flight)
        self._state.clear()
        self._expires.clear()
        self._delta.clear()
        for profile in settings.store.profiles.values():
            known = states.of(profile)
            for state in STATES:
                labels = profile.name, kind_of(profile.credential), state
                self._state.labels(*labels).set(state == known.state)
            if known.expires is not None:
                self._expires.labels(profile.name).set(known.expires)
            delta = clocks.of(profile.endpoint).delta
            if delta is not None:
                self._delta.labels(profile.endpoint.name).set(delta)
        return generate_latest(self.registry)
