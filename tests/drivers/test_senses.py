"""Senses over the loopback: newest values, no waiting, nothing that does not belong."""

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from genba.drivers.senses import MAX_LINE, RemoteSense, SenseServer
from genba.robots.errors import BusError, RefusedError
from genba.robots.station import Sense


class World:
    def __init__(self) -> None:
        self.seed = 0
        self.count = 0.0

    def sample(self) -> dict[str, tuple[float, ...]]:
        self.count += 1.0
        return {"part_position": (0.2, 0.1, float(self.seed)), "count": (self.count,)}

    def reset(self, seed: int) -> None:
        if seed < 0:
            raise ValueError("seed must not be negative")
        self.seed = seed

    def judge(self) -> dict[str, object]:
        return {"is_success": self.seed == 7}


@pytest.fixture
def server() -> Iterator[SenseServer]:
    world = World()
    server = SenseServer(world.sample, reset=world.reset, judge=world.judge, rate_hz=500.0)
    done = threading.Event()

    def live() -> None:
        while not done.wait(0.001):
            server.service(time.perf_counter())

    thread = threading.Thread(target=live)
    thread.start()
    yield server
    done.set()
    thread.join()
    server.close()


def test_a_remote_sense_is_a_sense(server: SenseServer) -> None:
    with RemoteSense(server.url) as sense:
        assert isinstance(sense, Sense)
        assert sense.fields == ("part_position", "count")
        assert sense.read()["part_position"] == (0.2, 0.1, 0.0)
        assert 0.0 <= sense.age < 5.0


def test_a_reset_is_seen_in_what_is_read_next(server: SenseServer) -> None:
    with RemoteSense(server.url) as sense:
        sense.reset(7)
        assert sense.read()["part_position"][2] == 7.0
        assert sense.judge() == {"is_success": True}
        with pytest.raises(BusError, match="must not be negative"):
            sense.reset(-1)
        assert sense.judge() == {"is_success": True}


def test_reading_never_waits(server: SenseServer) -> None:
    with RemoteSense(server.url) as sense:
        begun = time.process_time()
        for _ in range(1000):
            sense.read()
        assert time.process_time() - begun < 1.0


@pytest.mark.parametrize("line", [b"not json\n", b"[1]\n", b"{" * 3000 + b"\n", b"x" * (MAX_LINE + 4096)])
def test_a_client_that_talks_rubbish_is_hung_up_on(server: SenseServer, line: bytes) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as client:
        try:
            client.sendall(line)
            while client.recv(65536):
                continue
        except ConnectionError:
            pass
    with RemoteSense(server.url) as sense:  # others are served on
        assert sense.read()


@pytest.mark.parametrize("url", ["socket://192.0.2.1:7000", "http://127.0.0.1:80", "socket://127.0.0.1", "/dev/null"])
def test_only_the_loopback_is_listened_to(url: str) -> None:
    with pytest.raises(RefusedError, match=r"socket://127\.0\.0\.1"):
        RemoteSense(url)


def test_nobody_there() -> None:
    with pytest.raises(BusError, match="start the twin"):
        RemoteSense("socket://127.0.0.1:1")


@pytest.mark.parametrize("message", [{"fields": {"a": [float("nan")]}}, [1], "text"])
def test_a_server_that_talks_rubbish_is_refused(message: object) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(json.dumps(message).encode() + b"\n")
                client.settimeout(5.0)
                try:
                    client.recv(1)
                except OSError:
                    return

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(BusError, match="sense socket"):
            RemoteSense(f"socket://127.0.0.1:{listener.getsockname()[1]}", timeout=2.0)
        thread.join()
