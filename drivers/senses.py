"""Senses beside the bus: what a twin's world knows and a bench would see by camera, over a loopback socket.

    server -> client    {"stamp": 12.3, "fields": {"part_position": [0.2, 0.0, 0.01]}}            at a rate
    client -> server    {"cmd": "reset", "seed": 7}        ->   {"reply": "reset"}
    client -> server    {"cmd": "judge"}                   ->   {"reply": "judge", "verdict": {...}}

One JSON object per line. The server has no thread: the process that owns the world calls `service` between its
steps, so a callback may touch the world. Anything that is too long or not understood closes that connection.
"""

import json
import logging
import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from select import select
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from ..robots.errors import BusError, RefusedError

log = logging.getLogger(__name__)

MAX_LINE = 65_536  # bytes of one message
MAX_CLIENTS = 8
REPLY_TIMEOUT = 10.0  # s for a world to reset
JUDGE_TIMEOUT = 2.0  # s for a world to say how the task stands; the arm holds meanwhile
STALE_AFTER = 0.3  # s without a sample after which a sense counts as dead
LOOPBACK = ("127.0.0.1", "localhost")

Fields = Mapping[str, Sequence[float]]


class SenseServer:
    """Publishes fields of a world and passes on the wish to reset or judge it."""

    def __init__(
        self,
        sample: Callable[[], Fields],
        *,
        reset: Callable[[int], None] | None = None,
        judge: Callable[[], Mapping[str, object]] | None = None,
        rate_hz: float = 60.0,
        port: int = 0,
    ) -> None:
        """Listen on the loopback.

        Args:
            sample: Newest value of each field, called at the rate while someone listens.
            reset: Puts the world to the start that a seed gives.
            judge: Says how the task stands.
            rate_hz: Samples per second.
            port: TCP port; any free one if 0.
        """
        self._sample = sample
        self._reset = reset
        self._judge = judge
        self._period = 1.0 / rate_hz
        self._next = 0.0
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        self._clients: dict[socket.socket, bytearray] = {}
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def sockets(self) -> list[socket.socket]:
        """What to wait on for reading."""
        return [self._listener, *self._clients]

    def wait_time(self, now: float) -> float | None:
        """Time in s until the next sample is due; None while no one listens.

        Args:
            now: Monotonic time, s.
        """
        return max(self._next - now, 0.0) if self._clients else None

    def service(self, now: float) -> None:
        """Accept, answer and publish whatever is due; never waits.

        Args:
            now: Monotonic time, s.
        """
        for ready in select(self.sockets(), [], [], 0)[0]:
            if ready is self._listener:
                self._accept()
            else:
                self._hear(ready)
        if self._clients and now >= self._next:
            self._next = now + self._period
            fields = {name: [float(v) for v in values] for name, values in self._sample().items()}
            for client in list(self._clients):
                self._say(client, {"stamp": now, "fields": fields})

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if len(self._clients) >= MAX_CLIENTS:
            client.close()
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._clients[client] = bytearray()
        self._next = 0.0

    def _drop(self, client: socket.socket) -> None:
        self._clients.pop(client, None)
        client.close()

    def _hear(self, client: socket.socket) -> None:
        buffer = self._clients[client]
        try:
            chunk = client.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        buffer += chunk
        if not chunk or len(buffer) > MAX_LINE:
            self._drop(client)
            return
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            if not self._obey(client, line):
                self._drop(client)
                return

    def _obey(self, client: socket.socket, line: bytes) -> bool:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return False
        if not isinstance(message, dict):
            return False
        command, seed = message.get("cmd"), message.get("seed", 0)
        try:
            if command == "reset" and self._reset and isinstance(seed, int) and not isinstance(seed, bool):
                self._reset(seed)
                self._say(client, {"reply": "reset"})
            elif command == "judge" and self._judge:
                self._say(client, {"reply": "judge", "verdict": dict(self._judge())})
            else:
                self._say(client, {"reply": "error", "text": f"command {command!r} is not offered here"})
        except (ValueError, RuntimeError) as error:
            self._say(client, {"reply": "error", "text": str(error)})
        return True

    def _say(self, client: socket.socket, message: Mapping[str, object]) -> None:
        data = json.dumps(message, default=_plain).encode() + b"\n"
        try:
            if client.send(data) != len(data):
                self._drop(client)  # a client that does not read must not hold up the world
        except BlockingIOError:
            self._drop(client)
        except OSError:
            self._drop(client)

    def close(self) -> None:
        """Hang up."""
        for client in list(self._clients):
            self._drop(client)
        self._listener.close()


def _plain(value: object) -> object:
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    raise TypeError(f"{type(value).__name__} cannot travel as JSON")


class RemoteSense:
    """A `Sense` fed by a `SenseServer`; `read` never waits."""

    def __init__(self, url: str, *, name: str = "twin", timeout: float = 5.0) -> None:
        """Connect and wait for the first sample, which tells the fields.

        Args:
            url: `socket://127.0.0.1:port`.
            name: Name for people.
            timeout: Patience for the first sample, s.

        Raises:
            RefusedError: If the URL is not a loopback socket.
            BusError: If no one answers there.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme != "socket" or parts.hostname not in LOOPBACK or port is None:
            raise RefusedError(f"sense {url!r}: expected socket://127.0.0.1:PORT, as the twin prints it")
        self.name = name
        self.url = url
        self._buffer = bytearray()
        self._values: dict[str, tuple[float, ...]] = {}
        self._received = 0.0
        self._reply: dict[str, object] | None = None
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        except OSError as error:
            raise BusError(f"sense {url}: nothing answers there; start the twin first") from error
        self._socket.setblocking(False)
        try:
            self._await(lambda: bool(self._values), timeout, "first sample")
        except BusError:
            self._socket.close()
            raise
        self.fields = tuple(self._values)

    def __enter__(self) -> Self:
        """Stay connected."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        self.close()

    @property
    def age(self) -> float:
        """Time in s since the newest sample came in."""
        return time.perf_counter() - self._received

    def read(self) -> Mapping[str, tuple[float, ...]]:
        """Newest value of each field.

        Raises:
            BusError: If the server has hung up or has sent nothing new for `STALE_AFTER`: old values move no arm.
        """
        self._drain()
        if self.age > STALE_AFTER:
            raise BusError(
                f"sense {self.url}: no sample for {self.age:.1f} s (limit {STALE_AFTER} s); "
                "see whether what serves it still runs"
            )
        return self._values

    def reset(self, seed: int) -> None:
        """Put the world to the start that a seed gives, and drop what was sensed before it.

        Args:
            seed: The episode's seed.

        Raises:
            BusError: If the server does not answer or refuses.
        """
        self._ask({"cmd": "reset", "seed": seed})
        before = self._received
        self._await(lambda: self._received > before, REPLY_TIMEOUT, "sample after the reset")

    def judge(self) -> dict[str, object]:
        """How the task stands, by the world's own truth.

        Raises:
            BusError: If the server does not answer or refuses.
        """
        verdict = self._ask({"cmd": "judge"}, JUDGE_TIMEOUT).get("verdict")
        if not isinstance(verdict, dict):
            raise BusError(f"sense {self.url}: the verdict is not a table")
        return verdict

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _ask(self, message: Mapping[str, object], timeout: float = REPLY_TIMEOUT) -> dict[str, object]:
        self._drain()
        self._reply = None
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise self._gone() from error
        self._await(lambda: self._reply is not None, timeout, f"answer to {message['cmd']!r}")
        reply: dict[str, object] = self._reply or {}
        if reply.get("reply") == "error":
            raise BusError(f"sense {self.url}: {reply.get('text')}")
        return reply

    def _await(self, ready: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = time.perf_counter() + timeout
        self._drain()
        while not ready():
            left = deadline - time.perf_counter()
            if left <= 0.0 or not select([self._socket], [], [], left)[0]:
                raise BusError(f"sense {self.url}: no {what} within {timeout:.0f} s")
            self._drain()

    def _gone(self) -> BusError:
        return BusError(f"sense {self.url}: the twin has hung up")

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while True:
                try:
                    chunk = self._socket.recv(65_536)
                except BlockingIOError:
                    raise
                except OSError as error:
                    raise self._gone() from error
                if not chunk:
                    raise self._gone()
                self._buffer += chunk
                self._digest()

    def _digest(self) -> None:
        *lines, rest = bytes(self._buffer).split(b"\n")
        if len(rest) > MAX_LINE:
            raise BusError(f"sense {self.url}: a message is longer than {MAX_LINE} bytes")
        self._buffer[:] = rest
        for line in lines:
            try:
                message = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BusError(f"sense {self.url}: a message is not JSON") from error
            if not isinstance(message, dict):
                raise BusError(f"sense {self.url}: a message is not a table")
            if "reply" in message:
                self._reply = message
                continue
            values = self._fields_of(message)
            for name, row in self._values.items():
                if len(values.get(name, ())) != len(row):
                    raise BusError(f"sense {self.url}: field {name!r} had {len(row)} values and no longer has")
            self._values = values
            self._received = time.perf_counter()

    def _fields_of(self, message: Mapping[str, object]) -> dict[str, tuple[float, ...]]:
        table = message.get("fields")
        values: dict[str, tuple[float, ...]] = {}
        for name, row in table.items() if isinstance(table, dict) else ():
            try:
                values[str(name)] = tuple(float(v) for v in row)
            except (TypeError, ValueError, OverflowError) as error:
                raise BusError(f"sense {self.url}: field {name!r} is not a list of numbers") from error
            if not all(math.isfinite(v) for v in values[str(name)]):
                raise BusError(f"sense {self.url}: field {name!r} is not finite")
        return values
