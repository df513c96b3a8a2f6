import socket
import threading
import time
from collections.abc import Iterator

import pytest
from benchmarks.open_rate import OpenLoad, is_complete, percentile

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("part", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)], ids=str
)
def test_a_percentile_is_the_value_at_the_nearest_rank(part: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), part) == expected


@pytest.mark.parametrize(
    ("received", "expected"),
    [(b"", False), (ANSWER[:-2], False), (ANSWER[:-1], False), (ANSWER, True)],
    ids=["nothing", "the head", "half a body", "all"],
)
def test_a_response_is_complete_with_its_last_byte(received: bytes, expected: bool) -> None:
    assert is_complete(received) is expected


def test_an_error_status_is_an_error() -> None:
    with pytest.raises(ValueError, match="401 Unauthorized"):
        is_complete(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def slow_server() -> Iterator[int]:
    """The port of a server that answers one request per connection at a time, after 50 ms each."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def answer(connection: socket.socket) -> None:
            with connection:
                while connection.recv(65_536):
                    time.sleep(0.05)
                    connection.sendall(ANSWER)

        def accept() -> None:
            threads = []
            try:
                while True:
                    threads.append(threading.Thread(target=answer, args=(listener.accept()[0],)))
                    threads[-1].start()
            except OSError:  # the listener was shut down
                for thread in threads:
                    thread.join(5)

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(10)


def test_requests_are_sent_on_schedule_before_any_response(slow_server: int) -> None:
    began = time.perf_counter()
    with OpenLoad(slow_server, b"GET / HTTP/1.1\r\n\r\n") as load:
        load.run(rate=200, seconds=0.2)
    took = time.perf_counter() - began

    assert len(load.latencies) == 40
    assert min(load.latencies) >= 0.05
    assert took < 1.8  # one after the other, they would take two seconds
