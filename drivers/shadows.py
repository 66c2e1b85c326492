"""The second motors of joints that have two: checked before anything moves, watched while it moves.

Such a servo obeys what is written to the id of its joint's first one (its secondary id) and answers to its own id only,
so nothing that is asked of the joint tells of it: one that is missing, hot, limp or turns against its twin would go
unnoticed. One of them is looked at every few cycles, in turn; a joint without second motors costs nothing.
"""

from ..robots.description import RobotDescription
from ..robots.errors import BusError
from ..robots.servo import Drive
from .bus import ActuatorBus, Fault
from .framing import Telemetry

EVERY = 10  # cycles of the arm between two looks at a second motor
PATIENT = 3  # looks in a row at which one may be silent
APART = 64  # ticks between the counts of two motors of one joint from which they pull against each other


def mounting(robot: RobotDescription, servo_id: int) -> dict[str, int]:
    """Registers by which a servo knows how it is mounted; none for one that is as the factory made it.

    Args:
        robot: The arm.
        servo_id: One of `robot.servo_names`.
    """
    owner = robot.shadow_ids.get(servo_id, servo_id)
    joint = next((j for j in robot.joints if j.actuator_id == owner), None)
    if joint is None or not (joint.reversed or joint.shadow_ids):
        return {}
    if servo_id == owner:
        return {"drive_mode": int(joint.reversed)}
    return {"drive_mode": int(not joint.reversed), "secondary_id": owner}


class Shadows:
    """The second motors of one arm.

    Attributes:
        ids: Their own ids.
    """

    def __init__(self, robot: RobotDescription, bus: ActuatorBus) -> None:
        """Know which there are; nothing is sent.

        Args:
            robot: The arm.
            bus: Its bus.
        """
        self._robot = robot
        self._bus = bus
        self.ids = tuple(robot.shadow_ids)
        self._cycles = self._turn = 0
        self._silent = dict.fromkeys(self.ids, 0)

    def check(self) -> None:
        """Refuse to go on with servos that are not set up for where they are mounted; nothing moves.

        Raises:
            BusError: Naming the joint and what to do.
        """
        bus, names = self._bus, self._robot.servo_names
        for i, name in names.items():
            where = f"{name} (id {i})"
            if i in self.ids and bus.read(i, "model_number") != bus.models[i]:
                raise BusError(f"{where} is not a model {bus.models[i]}: fit the right servo")
            for register, wanted in mounting(self._robot, i).items():
                held = bus.read(i, register)
                held = held & 1 if register == "drive_mode" else held
                if held != wanted:
                    raise BusError(
                        f"{where}: register {register} is {held}, but where it is mounted it must be {wanted}, or it "
                        f"turns against the joint: genba setup --joint {name}"
                    )
        for i, owner in self._robot.shadow_ids.items():
            apart = bus.read(i, "present_position") - bus.read(owner, "present_position")
            if abs(apart) > APART:
                raise BusError(
                    f"{names[i]} (id {i}) counts {apart:+d} ticks beside {names[owner]} (id {owner}) on its shaft: "
                    "they would pull against each other; make both read the same by register position_offset of "
                    f"servo {i}"
                )

    def prepare(self, drives: dict[int, Drive]) -> None:
        """Write what a servo does not take from its twin: the settings it keeps over power-off.

        Args:
            drives: Drive of each joint by the id of its first servo.

        Raises:
            BusError: If one does not hold what was written.
        """
        bus = self._bus
        for i, owner in self._robot.shadow_ids.items():
            wanted = bus.framing.settings(drives[owner]) | mounting(self._robot, i)
            for register, value in wanted.items():
                if bus.read(i, register) != value:
                    bus.write(i, register, value)

    def limp(self) -> list[str]:
        """Names of those whose torque is off, or who do not say."""
        switches = self._bus.sync_read("torque_switch", self.ids) if self.ids else {}
        return [self._robot.servo_names[i] for i, on in switches.items() if on != 1]

    def release(self) -> list[str]:
        """Switch their torque off by their own ids, and name those that are not read back as off."""
        failed = []
        for i in self.ids:
            try:
                self._bus.write(i, "torque_switch", 0)
            except BusError:
                failed.append(f"{self._robot.servo_names[i]} (id {i})")
        return failed

    def look(self, *, armed: bool) -> tuple[int, Telemetry] | None:
        """Once in `EVERY` calls ask the next one how it is.

        Args:
            armed: Whether it must have torque.

        Returns:
            Its id and what it said; None where none was asked or it was silent this once.

        Raises:
            BusError: If it has been silent too often, or is limp.
        """
        if not self.ids:
            return None
        self._cycles += 1
        if self._cycles % EVERY:
            return None
        i = self.ids[self._turn % len(self.ids)]
        self._turn += 1
        where = f"{self._robot.servo_names[i]} (id {i})"
        heard = self._bus.telemetry((i,))[i]
        if isinstance(heard, Fault):
            self._silent[i] += 1
            if self._silent[i] >= PATIENT:
                raise BusError(f"{where} has been silent {PATIENT} times: check its cable and power")
            return None
        self._silent[i] = 0
        if armed and not heard.status and self._bus.sync_read("torque_switch", (i,))[i] == 0:
            raise BusError(
                f"{where} has lost its torque, its twin alone holds the joint: check its power, then arm again"
            )
        return i, heard
