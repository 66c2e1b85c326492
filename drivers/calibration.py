"""Where the joints of one physical unit are: encoder ticks to joint angles and back.

    angle = sign * (ticks - zero_ticks) * 2 pi / ticks_per_turn

Two arms of one model differ in how their horns were mounted, so a calibration belongs to a *unit*, is keyed by the
USB serial number of its adapter where there is one, and lives in a dated JSON file outside the package. It is
written whole or not at all, and read strictly: what does not fit is refused by name.
"""

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.files import sync, whole
from ..robots.stops import mechanical_stops
from ..robots.strict import build, load_json
from .bus import ActuatorBus, Fault
from .ports import usb_serial
from .protocols import load_protocol
from .wired import bus_of, models_of

FORMAT_VERSION = 1
TWO_PI = 2.0 * math.pi
VIRTUAL = (
    "genba-sim:",
    "socket://127.0.0.1:",
    "socket://localhost:",
    "/dev/pts/",
    "/dev/ttys0",
)  # no real arm there


@dataclass(frozen=True, slots=True, kw_only=True)
class ActuatorCalibration:
    """One actuator of one unit.

    Attributes:
        actuator_id: Id on the bus.
        joint: Name of its joint in the robot description.
        zero_ticks: Position register at joint zero; not always a whole number, and not always in range.
        sign: +1 where counts grow with the joint angle, else -1.
        lower_ticks: Smallest goal that may be sent.
        upper_ticks: Largest goal that may be sent.
        ticks_per_turn: Encoder counts per turn.
        model_number: Model the servo gave when it was calibrated.
        offset_ticks: The servo's own EEPROM offset at that time; another value means other counts.
    """

    actuator_id: int
    joint: str
    zero_ticks: float
    sign: int
    lower_ticks: int
    upper_ticks: int
    ticks_per_turn: int
    model_number: int
    offset_ticks: int

    def to_position(self, ticks: int) -> float:
        """Joint position in rad of a position register."""
        return self.sign * (ticks - self.zero_ticks) * TWO_PI / self.ticks_per_turn

    def to_ticks(self, position: float) -> int:
        """Goal register for a joint position in rad, kept inside the calibrated range."""
        return min(max(round(self.counts(position)), self.lower_ticks), self.upper_ticks)

    def counts(self, position: float) -> float:
        """Position register at a joint position in rad, wherever that is."""
        return self.zero_ticks + self.sign * position * self.ticks_per_turn / TWO_PI


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All actuators of one unit.

    Attributes:
        format_version: Version of the file format.
        robot: Catalogue name of the arm model.
        unit: Key of the unit.
        created: UTC date and time, ISO 8601.
        actuators: Arm joints first, gripper last, as in `RobotDescription.actuator_ids`.
    """

    format_version: int
    robot: str
    unit: str
    created: str
    actuators: tuple[ActuatorCalibration, ...]

    def check(self, robot: RobotDescription) -> None:
        """Refuse a calibration that is not this arm's.

        Args:
            robot: The arm that is to be driven.

        Raises:
            RefusedError: Naming the first field that differs.
        """
        where = f"calibration of unit {self.unit!r}"
        if self.robot != robot.name:
            raise RefusedError(f"{where} is for robot {self.robot!r}, not {robot.name!r}: calibrate this arm")
        ids = tuple(a.actuator_id for a in self.actuators)
        if ids != robot.actuator_ids:
            raise RefusedError(
                f"{where} holds actuator ids {ids}, but {robot.name} has {robot.actuator_ids}: calibrate again"
            )
        models = models_of(robot)
        for actuator, name in zip(self.actuators, robot.actuator_names, strict=True):
            if actuator.joint != name:
                raise RefusedError(f"{where}: id {actuator.actuator_id} is {actuator.joint!r}, expected {name!r}")
            wanted = models[actuator.actuator_id]
            if actuator.model_number != wanted:
                raise RefusedError(
                    f"{where}: {name} was a model {actuator.model_number}, but {robot.name} has {wanted}: "
                    "calibrate again"
                )

    def save(self, path: Path | None = None) -> Path:
        """Write the file whole or not at all.

        Args:
            path: Where; the default place of this robot and unit if not given.

        Returns:
            The file's path.

        Raises:
            DiskError: If the disk does not take it.
        """
        target = path or calibration_path(self.robot, self.unit)
        with self.saving(target):
            return target

    @contextmanager
    def saving(self, target: Path) -> Iterator[None]:
        """Have it on the disk before something else is done, and in its place afterwards, or nowhere if that fails.

        Args:
            target: The file.

        Raises:
            DiskError: If the disk does not take it; nothing else has been done then.
        """
        with whole(target, folders=True) as draft:
            draft.write_text(json.dumps(asdict(self), indent=2, allow_nan=False) + "\n", encoding="utf-8")
            sync(draft)
            yield


def load_calibration(path: Path) -> Calibration:
    """Read a calibration file.

    Args:
        path: The file.

    Raises:
        RefusedError: If it is missing, not JSON, or a key, type, number or range does not fit.
    """
    table = load_json(path, "a calibration", missing="no calibration there", cure="make one with: genba calibrate")
    loaded = build(Calibration, table, str(path))
    if loaded.format_version != FORMAT_VERSION:
        raise RefusedError(f"{path}: format_version {loaded.format_version}; this genba reads {FORMAT_VERSION}")
    for actuator in loaded.actuators:
        where = f"{path}: actuator {actuator.actuator_id} ({actuator.joint})"
        if actuator.sign not in (-1, 1):
            raise RefusedError(f"{where}: sign is {actuator.sign}; allowed: 1, -1")
        if not actuator.lower_ticks < actuator.upper_ticks:
            raise RefusedError(f"{where}: lower_ticks {actuator.lower_ticks} is not below {actuator.upper_ticks}")
        if actuator.ticks_per_turn <= 0:
            raise RefusedError(f"{where}: ticks_per_turn must be positive")
    return loaded


def home_folder() -> Path:
    """Folder of this user's genba files: `$GENBA_HOME`, else the platform's place for settings."""
    if chosen := os.environ.get("GENBA_HOME"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", str(Path.home()))) / "genba"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "genba"
    return Path(os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))) / "genba"


def calibration_path(robot: str, unit: str) -> Path:
    """Default file of a unit.

    Args:
        robot: Catalogue name of the arm model.
        unit: Key of the unit; characters that a file name cannot hold are replaced.
    """
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in unit) or "default"
    return home_folder() / "calibration" / robot / f"{safe}.json"


def nominal_calibration(
    robot: RobotDescription, unit: str = "nominal", *, offsets: Mapping[int, int] | None = None
) -> Calibration:
    """Calibration of an arm that was built as designed: centre count at joint zero, counts grow with the angle.

    Args:
        robot: The arm.
        unit: Key of the unit.
        offsets: EEPROM offset of each servo by id, 0 if not given.

    Raises:
        RefusedError: If the arm has no bus, or a range does not fit its servo's turn.
    """
    models = models_of(robot)
    framing = load_protocol(bus_of(robot).protocol)
    last = framing.registers["present_position"].upper
    gripper = robot.gripper
    ranges = [(j.lower, j.upper) for j in robot.joints]
    ranges.append((min(gripper.closed, gripper.open), max(gripper.closed, gripper.open)))
    actuators = []
    for i, name, (lower, upper), drive in zip(
        robot.actuator_ids, robot.actuator_names, ranges, robot.actuator_drives, strict=True
    ):
        centre = framing.centre(drive)
        low = math.ceil(centre + lower * drive.ticks_per_turn / TWO_PI)
        high = math.floor(centre + upper * drive.ticks_per_turn / TWO_PI)
        if not 0 <= low < high <= min(drive.ticks_per_turn - 1, last):
            raise RefusedError(f"{robot.name}: the range of {name} is {low}..{high} ticks, more than its servo's turn")
        actuators.append(
            ActuatorCalibration(
                actuator_id=i,
                joint=name,
                zero_ticks=float(centre),
                sign=1,
                lower_ticks=low,
                upper_ticks=high,
                ticks_per_turn=drive.ticks_per_turn,
                model_number=models[i],
                offset_ticks=(offsets or {}).get(i, 0),
            )
        )
    return Calibration(
        format_version=FORMAT_VERSION,
        robot=robot.name,
        unit=unit,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        actuators=tuple(actuators),
    )


def calibrate_to_nominal(
    robot: RobotDescription, bus: ActuatorBus, unit: str, path: Path | None = None
) -> tuple[Calibration, Path]:
    """Read each servo with its torque off and write the calibration of a unit whose horns sit as designed.

    It moves nothing and writes nothing to the servos. A unit that stands outside its joint range as it would read
    after this calibration was mounted otherwise, and is refused.

    Args:
        robot: The arm.
        bus: Its bus.
        unit: Key of the unit.
        path: File to write; the default place if not given.

    Returns:
        The calibration and where it was written.

    Raises:
        BusError: If a servo does not answer.
        RefusedError: If a servo holds torque, is of another model, or stands outside its range.
    """
    offsets = {}
    models = models_of(robot)
    for i, name in zip(robot.actuator_ids, robot.actuator_names, strict=True):
        model = bus.read(i, "model_number")
        if model != models[i]:
            raise RefusedError(f"{name} (id {i}) is a model {model}, expected {models[i]}: nothing written")
        if bus.read(i, "torque_switch"):
            raise RefusedError(f"{name} (id {i}) holds torque: release the arm, then calibrate")
        offsets[i] = read_offset(bus, i)
    calibration = nominal_calibration(robot, unit, offsets=offsets)
    margin = 128
    rows = zip(calibration.actuators, mechanical_stops(robot), bus.telemetry(robot.actuator_ids).values(), strict=True)
    for actuator, stops, result in rows:
        if isinstance(result, Fault):
            raise RefusedError(f"{actuator.joint}: {result.text}")
        low, high = sorted(round(actuator.counts(stop)) for stop in stops)
        if not low - margin <= result.position_ticks <= high + margin:
            raise RefusedError(
                f"{actuator.joint} (id {actuator.actuator_id}) reads {result.position_ticks} ticks, outside "
                f"{low}..{high}: its horn is not mounted as designed"
            )
    return calibration, calibration.save(path)


def read_offset(bus: ActuatorBus, actuator_id: int) -> int:
    """What a servo's own offset register holds, ticks; 0 where it has none.

    Args:
        bus: Its bus.
        actuator_id: The servo.

    Raises:
        BusError: If it does not answer.
    """
    register = bus.framing.offset_register
    return 0 if register is None else bus.read(actuator_id, register)


def unit_of(url: str) -> str:
    """Key of the unit behind a port: its adapter's USB serial number, else the port's name.

    Args:
        url: As for `open_port`.
    """
    return usb_serial(url) or url.removeprefix("/dev/")


def find_calibration(robot: RobotDescription, url: str, path: Path | None = None) -> Calibration:
    """Calibration of the unit behind a port; a virtual arm is built as designed and needs no file.

    Args:
        robot: The arm.
        url: As for `open_port`.
        path: The file, when someone named one.

    Raises:
        RefusedError: If there is none for a real arm, or it does not fit.
    """
    unit = unit_of(url)
    usual = calibration_path(robot.name, unit)
    if path is None and not usual.exists():
        if url.startswith(VIRTUAL):
            return nominal_calibration(robot, unit)
        raise RefusedError(
            f"unit {unit!r} has no calibration ({usual}): genba calibrate --port {url} --robot {robot.name}"
        )
    calibration = load_calibration(path or usual)
    calibration.check(robot)
    return calibration
