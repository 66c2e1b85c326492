"""A connection from this program to an actor of its own: a call over it takes a twentieth of one through Ray.

A call through Ray takes about a millisecond and a half, as long as eight cells need for a step. So Ray finds the
machine, starts the actor there and says when it is lost, and what is asked of it afterwards goes over TCP. Both ends
prove with a key of 32 random bytes, which went through Ray, that they belong together; what follows is as open to
listeners as Ray itself is.
"""

import os
import secrets
import socket
import struct
from contextlib import suppress

# Framing and proof of the key are those between the processes of one program; nothing here reads a file.
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from typing import Any

import ray
from ray.exceptions import GetTimeoutError

KNOCK_S = 5.0  # to reach the other end, and for each step of proving the key
LISTEN_S = 1.0  # between two looks whether an actor that says nothing is still alive
STRANGERS = 100  # who may knock with a wrong key before a door closes

Way = tuple[str, int, bytes]  # host, port and key


class LineLostError(Exception):
    """The other end is gone, and Ray does not say why."""


class Door:
    """The actor's end before anybody has come."""

    def __init__(self) -> None:
        """Listen on the address by which Ray's other nodes know this one."""
        host = ray.util.get_node_ip_address()
        self._server = socket.create_server((host, 0))
        self._key = secrets.token_bytes(32)
        self.way: Way = host, self._server.getsockname()[1], self._key

    def wait(self, patience: float) -> Connection | None:
        """Whoever comes with the key, or None if nobody comes for so many seconds; the door is closed then."""
        with self._server:
            self._server.settimeout(patience)
            for _ in range(STRANGERS):
                try:
                    visitor, _ = self._server.accept()
                except TimeoutError:
                    return None
                with suppress(AuthenticationError, EOFError, OSError):
                    return _proven(visitor, self._key, first=True)
        return None


class Line:
    """The program's end."""

    def __init__(self, actor: Any) -> None:
        """Connect with an actor that has `door` and `serve`.

        Raises:
            OSError: If it cannot be reached from here.
            RayError: If the actor is lost.
        """
        host, port, key = ray.get(actor.door.remote())
        self._serving = actor.serve.remote(2 * KNOCK_S)
        try:
            visitor = socket.create_connection((host, port), timeout=KNOCK_S)
            self._pipe = _proven(visitor, key, first=False)
        except (AuthenticationError, EOFError) as error:
            raise OSError(f"{host}:{port} is not the actor: {error}") from error
        self._owing = False

    @property
    def whole(self) -> bool:
        """Whether nothing is under way; Ctrl-C may have left half a message."""
        return not self._owing

    def send(self, request: bytes) -> None:
        """Ask; an end that is gone is noticed by `receive`."""
        self._owing = True
        with suppress(OSError):
            self._pipe.send_bytes(request)

    def receive(self) -> bytes:
        """Wait, asleep, for the answer.

        Raises:
            RayError: If the actor is lost.
            LineLostError: If the connection is.
        """
        try:
            while not self._pipe.poll(LISTEN_S):
                if ray.wait([self._serving], timeout=0)[0]:
                    raise EOFError
            answer = self._pipe.recv_bytes()
        except (EOFError, OSError):
            self._pipe.close()
            with suppress(GetTimeoutError):
                ray.get(self._serving, timeout=KNOCK_S)
            raise LineLostError("the connection has ended, though its actor has not") from None
        self._owing = False
        return answer

    def close(self) -> None:
        """Hang up; the actor may be called again."""
        self._pipe.close()


def _proven(visitor: socket.socket, key: bytes, *, first: bool) -> Connection:
    """A connection both of whose ends have shown that they know the key."""
    visitor.settimeout(None)
    visitor.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    pipe = Connection(visitor.detach())
    try:
        _patience(pipe.fileno(), KNOCK_S)
        for turn in (deliver_challenge, answer_challenge) if first else (answer_challenge, deliver_challenge):
            turn(pipe, key)
        _patience(pipe.fileno(), 0.0)
    except BaseException:
        pipe.close()
        raise
    return pipe


def _patience(handle: int, seconds: float) -> None:
    """Give reading and writing of a blocking socket a time limit, 0 for none; a connection has no other way."""
    if os.name == "posix":
        limit = struct.pack("ll", int(seconds), 0)
        with socket.socket(fileno=os.dup(handle)) as twin:  # the limit is that of both
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
