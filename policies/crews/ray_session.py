"""Join a Ray cluster or start one on this machine, quietly, and leave nothing behind that was started here."""

import os
import re
import signal
import socket
from threading import current_thread, main_thread
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray is imported: nobody is told of this
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of a default that will change

import ray
from ray.exceptions import RayTaskError

from ...robots.errors import RefusedError
from .crew import CrewError, postponed

KNOCK_S = 5.0  # time to wait for a machine to answer before Ray is asked, which would wait for minutes
ADDRESS = re.compile(r"(?:ray://)?(?P<host>[\w.-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")


class RaySession:
    """This process as a client of a cluster."""

    def __init__(self, address: str) -> None:
        """Join; where this process has joined before, nothing is changed, and nothing is left by `close`.

        Args:
            address: "local" starts a cluster of this machine alone, "auto" joins the one that runs on it, `host:port`
                joins the one with that head, of which this machine must be a node, and `ray://host:port` one of which
                it is none.

        Raises:
            RefusedError: If it is no address.
            CrewError: If no cluster answers.
        """
        match = ADDRESS.fullmatch(address)
        if match is None and address not in ("local", "auto"):
            raise RefusedError(f"--ray {address!r} is no address: give local, auto, HOST:PORT or ray://HOST:PORT")
        self._mine = not ray.is_initialized()
        if not self._mine:
            return
        if match is not None:
            _knock(address, match["host"].strip("[]"), int(match["port"]))
        quiet: dict[str, Any] = (
            {} if address.startswith("ray://") else {"logging_level": "ERROR", "log_to_driver": False}
        )
        if address == "local":
            quiet["include_dashboard"] = False
        before = signal.getsignal(signal.SIGTERM)
        try:
            with postponed():  # what is half started belongs to nobody
                ray.init(address=address, **quiet)
        except (Exception, SystemExit) as error:
            ray.shutdown()
            raise CrewError(f"no Ray cluster answers at {address} ({_first(error)}); {_cure(address)}") from error
        finally:
            if current_thread() is main_thread():  # Ray puts its own there, and a polite kill must end as elsewhere
                signal.signal(signal.SIGTERM, before)

    @property
    def processors(self) -> int:
        """Processors of the cluster now."""
        return int(ray.cluster_resources().get("CPU", 0))

    def close(self) -> None:
        """Leave; a cluster that was started here ends."""
        if self._mine:
            self._mine = False
            with postponed():
                ray.shutdown()


def cause_of(error: RayTaskError) -> BaseException:
    """What went wrong in an actor, as it was raised there."""
    cause = error.cause
    return cause if isinstance(cause, Exception) else CrewError(f"an actor failed: {_first(error)}")


def words_of(error: Exception) -> str:
    """Why an actor is lost, in one line."""
    return _first(error)


def _knock(address: str, host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), timeout=KNOCK_S).close()
    except (OSError, OverflowError) as error:
        raise CrewError(f"no Ray cluster answers at {address} ({error}); {_cure(address)}") from error


def _cure(address: str) -> str:
    if address == "local":
        return "see `genba --debug` for the details, or leave --ray out"
    return "start one with `ray start --head`, or give --ray local for this machine alone"


def _first(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
