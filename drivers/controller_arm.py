"""The arm on the bench whose controller plans by itself: the same `Arm` as in simulation, over one link.

    connect -> arm (motors on, it stands) -> read, write, advance, read, ... -> stop (halt, read back) -> close

Every tick gives the controller one motion that takes one tick, so what it has left to do when this program dies is
never more than the look-ahead. Motors count as the controller does; `bus.zeros` says what it counts where a joint here
is at 0. A servo in the hand and fingers that are only switched tell nothing: of them it is known what they were told.
"""

import logging
import math
from collections import deque
from types import TracebackType
from typing import Self

from ..robots.description import RobotDescription
from ..robots.envelope import Admitted
from ..robots.errors import BusError, LinkLostError, RefusedError, SafetyError
from ..robots.state import ArmState, Vector
from ..robots.travel import Travel
from .controller_state import ControllerState
from .language import Kind
from .link import Link
from .pace import Pacer
from .ports import open_port
from .protocols import load_language
from .stop import StopReport
from .wired import bus_of

log = logging.getLogger(__name__)

WINDOW = 0.12  # s over which positions are differentiated: an encoder's step over one tick would be 0.03 rad/s
ASKEW = 0.05  # rad off 0 at which a joint that is never turned spoils the tool's direction
SAME = 4e-4  # rad within which a goal is the last one once more
ANSWERED_WITHIN = 0.6  # s for which a motion's answer is waited for while the arm follows
FOLLOW_TIME = 0.5  # s for which a joint may stay at the end of its look-ahead
FOLLOW_SHARE = 0.9  # of the look-ahead that counts as its end


class ControllerArm:
    """An `Arm` behind a controller.

    Attributes:
        bus: The link: its port, its statistics, and `close`.
        state: "closed", "connected", "armed" or "stopped".
        clamps: Goals that were cut to the look-ahead, or for which the controller had no room.
    """

    def __init__(self, robot: RobotDescription, link: Link) -> None:
        """Join an arm and the link to its controller; nothing is sent yet.

        Args:
            robot: The arm.
            link: To its controller.
        """
        self._robot = robot
        self.bus = link
        self.pacer = Pacer(link.port.clock)
        self.state = "closed"
        self.clamps = 0
        self._count = min(len(link.language.traits.letters), len(robot.joints))
        self._idle = link.language.traits.letters[self._count :]  # joints of the controller that the arm does without
        self._zeros = bus_of(robot).zeros
        self._names = robot.actuator_names
        self._dt = 1.0 / robot.control_rate_hz
        self._travel = Travel(robot.gripper) if robot.gripper.travel_time else None
        self._shut: bool | None = None  # what the fingers were told; nothing so far
        self._hand = tuple(0.0 for _ in robot.joints[self._count :])
        self._told_hand: Vector | None = None
        self._measured: Vector = robot.home
        self._goals: Vector = robot.home
        self._behind_since: float | None = None
        self._history: deque[tuple[float, Vector]] = deque()

    @classmethod
    def open(cls, robot: RobotDescription, url: str) -> Self:
        """Open the port of an arm and join them; `connect` comes next.

        Args:
            robot: The arm.
            url: As for `open_port`.

        Raises:
            RefusedError: If the arm has no controller.
            BusError: If the port cannot be opened.
        """
        wire = bus_of(robot)
        return cls(robot, Link(open_port(url, wire.baud_rate), load_language(wire.protocol)))

    def __enter__(self) -> Self:
        """Connect, or give the port back."""
        try:
            self.connect()
        except BaseException:
            self.bus.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, holding, and give the port back."""
        self.close()

    @property
    def robot(self) -> RobotDescription:
        """The description this arm was made from."""
        return self._robot

    # ---- life

    def connect(self) -> None:
        """Wait until the controller answers, and refuse to go on while it complains; nothing moves.

        Raises:
            BusError: If it does not answer or has an alarm; the text names the cure.
        """
        state = self.bus.connect()
        self._judge(state)
        for letter, angle in zip(self.bus.language.traits.letters, state.joints, strict=False):
            if letter in self._idle and abs(angle) > ASKEW:
                found = f"{letter} stands at {math.degrees(angle):.0f} degrees and nothing here turns it"
                raise BusError(f"{self._robot.name}: {found}: {self._homing()}")
        self._history.clear()
        self._note(state)
        self.state = "connected"

    def _homing(self) -> str:
        return f"genba calibrate --port {self.bus.port.name} --robot {self._robot.name} clears alarms and homes the arm"

    def _judge(self, state: ControllerState) -> None:
        if state.alarms:
            raise BusError(f"{self._robot.name}: {state.alarms[0]}: {self._homing()} ({self._halt()})")

    def arm(self) -> None:
        """Switch the motors on and hold where the arm stands; also before a new episode, and after a stop.

        Raises:
            BusError: If the controller does not obey.
        """
        if self.state == "closed":
            self.connect()
        if self.state == "stopped":
            self.bus.resume()
        if self.state != "armed":
            self.bus.enable(on=True)
        self._history.clear()
        state = self.bus.state()
        self._judge(state)
        self._note(state)
        self._goals = self._measured
        self._behind_since = None
        self.state = "armed"
        self.pacer.rebase()

    def stop(self) -> StopReport:
        """Halt, and see that the joints stand with nothing left to do. Never raises for a silent controller."""
        before = self.state
        if before != "closed":
            self.state = "stopped"
        try:
            report = self.bus.halt()
        except BusError as error:
            log.info("stop not confirmed: %s", error)  # the report says so, and whoever asked for the stop tells
            text, lost = f"STOP NOT CONFIRMED: {error}", str(error) if isinstance(error, LinkLostError) else ""
            return StopReport(confirmed=False, positions=(), text=text, lost=lost)
        if not report.confirmed:
            return StopReport(confirmed=False, positions=(), text=f"STOP NOT CONFIRMED: {report.text}")
        return StopReport(confirmed=True, positions=self._here(report.joints), text="stopped, holding")

    def release(self) -> None:
        """Switch the motors off; the arm sinks unless it is parked or held.

        Raises:
            RefusedError: If the controller cannot; the text names what to do by hand.
            BusError: If it does not answer.
        """
        self.bus.enable(on=False)
        if self.state != "closed":
            self.state = "connected"

    def calibrate(self) -> None:
        """Clear alarms and find the reference, where the controller needs one.

        Raises:
            BusError: If it does not answer, or is not done in time.
            SafetyError: If an alarm ends it.
        """
        self.bus.connect()
        self.bus.clear()
        self._note(self.bus.home())

    def close(self) -> StopReport | None:
        """Stop if armed, then give the port back; the motors stay as they are."""
        report = self.stop() if self.state == "armed" else None
        self.state = "closed"
        self.bus.close()
        return report

    # ---- the tick

    def read(self) -> ArmState:
        """Ask the controller where it is.

        Raises:
            BusError: If it does not answer, or complains; the arm has been stopped.
        """
        if self.state == "closed":
            raise RefusedError("the arm is not connected; call connect() first")
        try:
            self._hear()
            state = self.bus.state()
            self._judge(state)
        except LinkLostError:
            self.state = "stopped"  # a port that comes back must not resume the motion
            raise
        except BusError as error:
            if self.state != "armed":
                raise
            raise BusError(f"{error} ({self._halt()})") from error
        self._note(state)
        if self.state == "armed":
            self._mind_following(state.stamp)
        return ArmState(
            stamp=state.stamp,
            joint_positions=self._measured,
            joint_velocities=self._velocities(),
            joint_efforts=(0.0,) * len(self._measured),
            gripper=self._travel.position if self._travel is not None else self._robot.gripper.home,
        )

    def _hear(self) -> None:
        for event in self.bus.collect():
            if event.kind in (Kind.REFUSED, Kind.ALARM):
                raise BusError(f"{self._robot.name}: {event.text}")
            if event.kind is Kind.READY:
                raise BusError(f"{self._robot.name} has started anew by itself: look at its power, then home it")

    def write(self, admitted: Admitted) -> None:
        """Give the controller a motion of one tick, bounded to the look-ahead.

        Args:
            admitted: From the safety envelope.

        Raises:
            TypeError: If it is anything else.
            SafetyError: If the arm is not armed.
        """
        if not isinstance(admitted, Admitted):
            raise TypeError(
                f"ControllerArm.write takes an Admitted from the safety envelope, not {type(admitted).__name__}"
            )
        if self.state != "armed":
            raise SafetyError(f"the arm is {self.state}, not armed: find the cause, then arm() again")
        if self.bus.port.clock.now() - admitted.stamp > self._robot.limits.stale_after:
            return  # this process was held up: what was decided then is not done now
        goals = tuple(
            min(max(goal, here - reach), here + reach)
            for goal, here, reach in zip(
                admitted.joint_positions, self._measured, self._robot.limits.look_ahead, strict=False
            )
        )
        self.clamps += goals != admitted.joint_positions
        self._move(goals)
        self._turn(goals[self._count :])
        if self._travel is not None:
            self._switch(shut=self._travel.wants_shut(admitted.gripper))

    def _move(self, goals: Vector) -> None:
        count = self._count
        if max(abs(g - s) for g, s in zip(goals[:count], self._goals, strict=False)) < SAME:
            return
        self.bus.outlive(ANSWERED_WITHIN)
        if self.bus.move(self._counted(goals)[:count], self._dt, start=self._counted(self._goals)[:count]):
            self._goals = goals
        else:
            self.clamps += 1

    def _turn(self, hand: Vector) -> None:
        if not hand or (self._told_hand is not None and abs(hand[0] - self._told_hand[0]) < SAME):
            return
        angle = hand[0] + self._zeros[self._count]
        self.bus.offer(lambda number: self.bus.language.turn(number, angle))
        self._hand = self._told_hand = hand

    def _switch(self, *, shut: bool) -> None:
        if self._travel is None or shut == self._shut:
            return
        self.bus.offer(lambda number: self.bus.language.tool(number, pump=False, closed=shut))
        self._shut = shut
        self._travel.switch(shut=shut)

    def advance(self, dt: float) -> None:
        """Wait for the deadline of a loop of `dt` s."""
        if self._travel is not None:
            self._travel.pass_time(dt)
        self.pacer.wait(dt)

    def where(self) -> Vector:
        """Ask where the arm joints are, rad, whatever the controller complains of.

        Raises:
            BusError: If it does not answer.
        """
        self._note(self.bus.state())
        return self._measured

    # ---- inside

    def _counted(self, positions: Vector) -> Vector:
        return tuple(q + zero for q, zero in zip(positions, self._zeros, strict=True))

    def _here(self, counted: Vector) -> Vector:
        """Arm joints and gripper from what the controller tells."""
        joints = tuple(c - zero for c, zero in zip(counted, self._zeros, strict=False)) + self._hand
        return (*joints, self._travel.position if self._travel is not None else self._robot.gripper.home)

    def _note(self, state: ControllerState) -> None:
        self._measured = self._here(state.joints)[:-1]
        self._history.append((state.stamp, self._measured))
        while len(self._history) > 2 and state.stamp - self._history[1][0] >= WINDOW:
            self._history.popleft()

    def _velocities(self) -> Vector:
        (then, before), (now, here) = self._history[0], self._history[-1]
        span = now - then
        return tuple((b - a) / span if span > 0.0 else 0.0 for a, b in zip(before, here, strict=True))

    def _mind_following(self, now: float) -> None:
        """Stop when a joint stays at the end of its look-ahead: something holds it, or a motion was refused."""
        gaps = [
            (abs(goal - here) / reach, name)
            for goal, here, reach, name in zip(
                self._goals[: self._count], self._measured, self._robot.limits.look_ahead, self._names, strict=False
            )
        ]
        share, name = max(gaps)
        if share < FOLLOW_SHARE:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        elif now - self._behind_since > FOLLOW_TIME:
            raise SafetyError(
                f"{name} has not followed for {now - self._behind_since:.1f} s: free what holds it, or see whether its "
                f"motor has power ({self._halt()})"
            )

    def _halt(self) -> str:
        return self.stop().text if self.state == "armed" else "arm not armed"
