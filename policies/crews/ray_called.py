"""An actor with cells, called by the quickest way there is."""

import logging
import os
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util import client

from .crew import CrewError
from .ray_actors import Stable, hire
from .ray_line import Line, LineLostError

logger = logging.getLogger(__name__)

LOST = (RayError, LineLostError)


class Called:
    """An actor on some machine of the cluster; one thing is asked of it at a time.

    The first call goes through Ray, so that many actors start at the same time; those after it over a line, if there
    can be one: not where this program is outside the cluster (`ray://`), where Ray encrypts (RAY_USE_TLS), or where a
    firewall stands between.
    """

    def __init__(self, *, direct: bool | None = None) -> None:
        """Start it.

        Args:
            direct: Whether a line is worth a try; if not given, this is found out.
        """
        self._actor = hire(Stable)
        if direct is None:
            direct = not client.ray.is_connected() and os.environ.get("RAY_USE_TLS", "0") == "0"
        self._direct = direct
        self._line: Line | None = None
        self._ref: Any = None
        self._fresh = True
        self._lost: RayError | None = None

    def send(self, request: bytes) -> None:
        """Ask something; if the actor is lost, `receive` says so."""
        try:
            self._find_way()
        except RayError as error:
            self._lost = error
            return
        if self._line is not None:
            self._line.send(request)
        else:
            self._ref = self._actor.work.remote(request)
        self._fresh = False

    def receive(self, patience: float | None) -> bytes:
        """Wait for the answer.

        Args:
            patience: For how long, s, where an actor may not have started yet; for ever if not given.

        Raises:
            LOST: If the actor is.
            CrewError: If it has not started in time.
        """
        if self._lost is not None:
            raise self._lost
        if self._line is not None:
            return self._line.receive()
        try:
            answer: bytes = ray.get(self._ref, timeout=patience)
        except GetTimeoutError as error:
            raise CrewError(f"the cluster gave no processor within {patience:.0f} s; see `ray status`") from error
        return answer

    def end(self) -> None:
        """End the actor."""
        if self._line is not None:
            self._line.close()
        if ray.is_initialized():
            ray.kill(self._actor)

    def successor(self) -> "Called":
        """Another in its place; it may itself be alive where only the connection is lost."""
        self.end()
        return Called(direct=self._direct)

    def _find_way(self) -> None:
        if self._line is not None and not self._line.whole:
            self._line.close()  # nobody waited for what was asked last; the actor hangs up when it has done it
            self._line = None
        if self._fresh or not self._direct or self._line is not None:
            return
        try:
            self._line = Line(self._actor)
        except OSError as error:
            self._direct = False
            logger.warning(
                "an actor is asked through Ray, which is slower, for no connection to it comes up: %s", error
            )
