"""Builds the server from its parts."""

from dataclasses import dataclass

from ovh_proxy.core.settings import Settings
from ovh_proxy.server.admin import Admin
from ovh_proxy.server.gate import Gate
from ovh_proxy.server.logs import Log
from ovh_proxy.server.metrics import Metrics
from ovh_proxy.server.middleware import Middleware
from ovh_proxy.server.ops import Life, Ops
from ovh_proxy.server.proxy import Proxy
from ovh_proxy.server.recorder import NoRecorder, Recorder
from ovh_proxy.store.live import LiveSettings
from ovh_proxy.store.recording_file import Recording
from ovh_proxy.upstream.calls import Calls
from ovh_proxy.upstream.clock import Clocks
from ovh_proxy.upstream.credential_query import CredentialQuery
from ovh_proxy.upstream.credential_states import CredentialStates
from ovh_proxy.upstream.pool import Pool
from ovh_proxy.upstream.schema import Schemas
from ovh_proxy.upstream.signers import Signers
from ovh_proxy.upstream.token_cache import TokenCache


@dataclass(frozen=True, slots=True)
class App:
    """The parts that outlive requests; made inside the running loop."""

    live: LiveSettings
    log: Log
    life: Life
    pool: Pool
    clocks: Clocks
    tokens: TokenCache
    states: CredentialStates
    query: CredentialQuery
    gate: Gate
    metrics: Metrics
    recorder: Recorder | NoRecorder
    front: Middleware
    admin: Middleware

    async def close(self) -> None:
        """Ends what is under way towards OVHcloud."""
        await self.recorder.close()
        await self.clocks.close()
        await self.tokens.close()
        await self.pool.close()


def build(settings: Settings, log: Log, recording: Recording | None = None) -> App:
    """All parts for the settings, none of them listening yet."""
    live = LiveSettings(settings)
    pool = Pool(settings.upstream, settings.timeouts)
    clocks, tokens = Clocks(pool), TokenCache(pool)
    metrics, life = Metrics(), Life()
    states = CredentialStates()
    signers, calls = Signers(clocks, tokens, states), Calls(pool)
    ops = Ops(metrics, clocks, life, states)
    recorder = Recorder(recording, Schemas(pool), log) if recording else NoRecorder()
    gate = Gate()
    proxy = Proxy(live, signers, calls, ops, life, recorder, gate)
    return App(
        live=live,
        log=log,
        life=life,
        pool=pool,
        clocks=clocks,
        tokens=tokens,
        states=states,
        query=CredentialQuery(states, signers, calls),
        gate=gate,
        metrics=metrics,
        recorder=recorder,
        front=Middleware(proxy, log, metrics, life),
        admin=Middleware(Admin(live, ops), log, metrics, life),
    )
