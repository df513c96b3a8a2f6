"""The image, running read-only, without privileges, with a store."""

from types import SimpleNamespace
from typing import Any

import pytest
from support.engine import LOCKED_DOWN, PROGRAM, PYTHON, until

from ovh_proxy.sandbox import grants

pytestmark = pytest.mark.container

# What is measured is in docs/deployment.md.
MOST_IDLE_KIB = 80 * 1024
MOST_HEALTHCHECK_S = 0.2

SLOW = {"X-Sandbox-Fault": "delay=3"}
ASK = """
import sys, urllib.request, urllib.error
body = bytes({body_bytes}) or None
request = urllib.request.Request("http://127.0.0.1:8080" + {target!r}, body, {headers!r})
try:
    answer = urllib.request.urlopen(request, timeout=20)
except urllib.error.HTTPError as error:
    answer = error
except OSError:
    sys.exit(print("no response"))
print(answer.status, answer.read().decode())
"""


@pytest.fixture
def proxy(request, engine, image, store) -> Any:
    """A locked-down proxy with a sandbox on its loopback interface, without network.

    The parameter adds flags for the engine.
    """
    mounted = ("--volume", f"{store}:/etc/ovh-proxy:ro", *getattr(request, "param", ()))
    name = engine.start(image, "--network", "none", *LOCKED_DOWN, *mounted)
    listen = ("sandbox", "--listen", "127.0.0.1:8180")
    engine.start(image, "--network", f"container:{name}", command=listen)

    def ask(target: str, body_bytes: int = 0, **headers: str) -> str:
        code = ASK.format(target=target, body_bytes=body_bytes, headers=headers)
        return engine.beside(image, name, code)

    until(lambda: ask("/me").startswith("200"))
    return SimpleNamespace(name=name, ask=ask)


def test_a_call_is_signed(proxy):
    answer = proxy.ask("/me")

    assert '"nichandle"' in answer


def test_the_container_runs_as_an_unprivileged_user(engine, proxy):
    status = engine.say("exec", proxy.name, PYTHON, "-c", "print(open('/proc/1/status').read())")

    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split() == ["65532"] * 4
    assert (facts["CapEff"], facts["NoNewPrivs"]) == ("0000000000000000", "1")
    assert int(facts["VmRSS"].split()[0]) < MOST_IDLE_KIB


def test_the_health_check_succeeds(engine, proxy):
    if engine.program.endswith("podman"):
        engine.say("healthcheck", "run", proxy.name)
        return

    health = until(
        lambda: (
            engine.inspect(proxy.name)["State"]["Health"]["Status"].replace("starting", "") or None
        )
    )

    assert health == "healthy"


def test_the_health_check_is_cheap(engine, proxy):
    code = (
        "import resource, subprocess\n"
        f"for _ in range(5): subprocess.run(['{PROGRAM}', 'healthcheck'], check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print((used.ru_utime + used.ru_stime) / 5)"
    )

    seconds = float(engine.say("exec", proxy.name, PYTHON, "-c", code))

    assert seconds < MOST_HEALTHCHECK_S


@pytest.mark.parametrize(
    ("proxy", "answered"),
    [((), "503 "), (("--tmpfs", "/tmp"), "404 ")],
    indirect=["proxy"],
    ids=["without", "with"],
)
def test_a_large_body_needs_a_writable_directory(proxy, answered):
    answer = proxy.ask("/nowhere", body_bytes=2 * 1024 * 1024)

    assert answer.startswith(answered)


def test_a_changed_store_is_reloaded(engine, image, proxy, store):
    text = (
        "profiles:\n"
        "  other:\n"
        "    endpoint: http://127.0.0.1:8180/1.0\n"
        f"    access_token: {grants.ACCESS_TOKEN}\n"
    )
    engine.write(image, store, "credentials.yaml", text)

    engine.say("kill", "--signal", "HUP", proxy.name)

    assert until(lambda: '"other"' in proxy.ask("/-/profiles"))


def test_stopping_waits_for_the_request_in_flight(engine, image, proxy):
    asked = engine.start(
        image,
        *("--network", f"container:{proxy.name}", "--entrypoint", PYTHON),
        command=("-c", ASK.format(target="/me", body_bytes=0, headers=SLOW)),
    )
    until(lambda: "in_flight 2" in proxy.ask("/-/metrics").replace(".0", ""))

    engine.say("stop", "--time", "20", proxy.name)

    until(lambda: engine.inspect(asked)["State"]["Status"] == "exited")
    assert engine.say("logs", asked).startswith("200")
    assert engine.inspect(proxy.name)["State"]["ExitCode"] == 0


def test_the_log_contains_no_secret(engine, proxy):
    proxy.ask("/me?secret=QUERYVALUE")

    result = engine.ask("logs", proxy.name)

    log = result.stdout + result.stderr
    assert '"path": "/me' in log
    for secret in (grants.APPLICATION_SECRET, grants.CONSUMER_KEY, "QUERYVALUE"):
        assert secret not in log
