"""What the metrics page shows that is known when it is asked for, and is nowhere counted."""

import time
from collections.abc import Callable

from ovh_proxy import __version__
from ovh_proxy.auth.clock import Clocks
from ovh_proxy.auth.credential_states import STATES, CredentialStates
from ovh_proxy.core.credentials import kind_of
from ovh_proxy.core.settings import Settings
from ovh_proxy.observability.metrics import Samples


class ReloadStatus:
    """How the last attempt to read the settings ended.

    Attributes:
        is_good: whether the settings in use are those on disk.
        good_at: seconds since the epoch, when they were last found good.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.is_good = True
        self.good_at = now()

    def record(self, is_good: bool) -> None:
        """Another attempt has ended."""
        self.is_good = is_good
        if is_good:
            self.good_at = self._now()


def gauges(
    settings: Settings, clocks: Clocks, states: CredentialStates, reloads: ReloadStatus
) -> Samples:
    """Clocks, credentials, reloads and the version, by family name."""
    profiles = settings.store.profiles.values()
    known = {profile.name: states.of(profile) for profile in profiles}
    deltas = {one.endpoint.name: clocks.of(one.endpoint).delta for one in profiles}
    return {
        "ovh_proxy_credential_state": [
            ((profile.name, kind_of(profile.credential), state), state == known[profile.name].state)
            for profile in profiles
            for state in STATES
        ],
        "ovh_proxy_credential_expires_timestamp_seconds": [
            ((name,), one.expires) for name, one in known.items() if one.expires is not None
        ],
        "ovh_proxy_clock_delta_seconds": [
            ((endpoint,), delta) for endpoint, delta in deltas.items() if delta is not None
        ],
        "ovh_proxy_config_last_reload_successful": [((), reloads.is_good)],
        "ovh_proxy_config_last_reload_success_timestamp_seconds": [((), reloads.good_at)],
        "ovh_proxy_build_info": [((__version__,), 1)],
    }
