"""Watch an arm behind a controller without driving it: what it tells of itself, row after row.

The same `Sample` as of a bus of servos; load, voltage, temperature and current no such controller tells.
"""

from collections.abc import Iterator

from ..robots.description import RobotDescription
from ..robots.errors import BusError, LinkLostError
from .link import Link
from .monitor import WINDOW, Reading, Sample
from .pace import Pacer
from .wired import bus_of


class ControllerMonitor:
    """Takes samples of one arm."""

    def __init__(self, robot: RobotDescription, link: Link) -> None:
        """Take a link; nothing is sent yet.

        Args:
            robot: The arm.
            link: To its controller.
        """
        self._link = link
        self._zeros = bus_of(robot).zeros
        self._names = robot.joint_names[: len(link.language.traits.letters)]
        self._history: list[tuple[float, tuple[float, ...]]] = []
        self._began: float | None = None

    def samples(self, rate_hz: float, seconds: float | None = None) -> Iterator[Sample]:
        """Take samples at a rate until time is up, or for ever.

        Args:
            rate_hz: Samples per second.
            seconds: How long; without end if not given.

        Raises:
            LinkLostError: If the port goes.
        """
        pacer = Pacer(self._link.port.clock)
        while True:
            sample = self.take()
            if seconds is not None and sample.time > seconds:
                return
            yield sample
            pacer.wait(1.0 / rate_hz)

    def take(self) -> Sample:
        """Ask the controller once; a silent one gives no reading of any joint."""
        now = self._link.port.clock.now()
        if self._began is None:
            self._began = now
        try:
            state = self._link.state()
        except LinkLostError:
            raise
        except BusError:
            return Sample(time=now - self._began, joints=dict.fromkeys(self._names))
        here = tuple(c - zero for c, zero in zip(state.joints, self._zeros, strict=False))
        history = self._history
        history.append((state.stamp, here))
        while len(history) > 2 and state.stamp - history[1][0] >= WINDOW:
            history.pop(0)
        then, before = history[0]
        span = state.stamp - then
        joints: dict[str, Reading | None] = {
            name: Reading(
                position=q,
                velocity=(q - p) / span if span > 0.0 else 0.0,
                load=None,
                voltage=None,
                temperature=None,
                current=None,
                faults=state.alarms,
            )
            for name, q, p in zip(self._names, here, before, strict=True)
        }
        return Sample(time=now - self._began, joints=joints)
