"""A virtual arm in virtual time: exact, and as fast as its plant; one for each protocol of the catalogue."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from genba.drivers.arm import BenchArm
from genba.drivers.bus import ActuatorBus
from genba.drivers.calibration import nominal_calibration
from genba.drivers.protocols import load_protocol, protocol_names
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.sim_port import SimPort
from genba.drivers.wired import models_of
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.description import Bus, RobotDescription
from genba.robots.errors import RefusedError

sys.path.insert(0, str(Path(__file__).parent))  # in import mode "importlib" no folder is on the path

MIXED = {"dynamixel2": ("XL430-W250", "XL430-W250", "XL330-M288", "XM430-W350", "XM430-W210", "XL330-M077")}
TURNS = {"feetech_scs": (1229, 2.2)}  # counts per turn, and rad to each side that the servo measures


def arm_with(protocol: str) -> RobotDescription:
    """An arm of the catalogue with a bus of that protocol, or one that is made up."""
    for name in robot_names():
        with suppress(RefusedError):
            robot = load_robot(name)
            if robot.bus is not None and robot.bus.protocol == protocol:
                return robot
    return made_up(protocol)


def made_up(protocol: str) -> RobotDescription:
    """The SO-101 with servos of that protocol, of all models there are."""
    robot = load_robot("so101")
    models = MIXED.get(protocol) or tuple(load_protocol(protocol).models)
    turn, reach = TURNS.get(protocol, (4096, 3.1))
    drives = {
        m: replace(
            robot.drives["sts3215"],
            model=m,
            dead_zone_ticks=0.0,
            start_duty=0.0,
            ticks_per_turn=turn,
            position_gain=robot.drives["sts3215"].position_gain * 4096 / turn,  # as stiff, whatever a count is
            derivative_gain=robot.drives["sts3215"].derivative_gain * 4096 / turn,
        )
        for m in models
    }
    return replace(
        robot,
        name=f"so101 with {protocol}",
        bus=Bus(protocol=protocol, baud_rate=1_000_000, model_number=0),
        drives=drives,
        # Without a starting duty such servos lag more; a slower arm keeps the way left after a stop as small.
        joints=tuple(
            replace(
                j,
                drive=models[k % len(models)],
                max_velocity=0.95 * j.max_velocity,
                lower=max(j.lower, -reach),
                upper=min(j.upper, reach),
            )
            for k, j in enumerate(robot.joints)
        ),
        gripper=replace(robot.gripper, drive=models[len(robot.joints) % len(models)]),
    )


@pytest.fixture(scope="session")
def arms() -> Callable[[str], RobotDescription]:
    return arm_with


@pytest.fixture(scope="session")
def every_model() -> RobotDescription:
    return made_up("dynamixel2")


@pytest.fixture(scope="session", params=protocol_names())
def robot(request: pytest.FixtureRequest) -> RobotDescription:
    return arm_with(request.param)


@pytest.fixture
def faults() -> Faults:
    return Faults(seed=1)


@pytest.fixture
def line(robot: RobotDescription, faults: Faults) -> VirtualLine:
    return VirtualLine(robot, faults=faults)


@pytest.fixture
def port(line: VirtualLine) -> SimPort:
    return SimPort("genba-sim://arm", line, 1_000_000, virtual_time=True)


@pytest.fixture
def bus(robot: RobotDescription, port: SimPort) -> ActuatorBus:
    assert robot.bus is not None
    return ActuatorBus(port, load_protocol(robot.bus.protocol), models=models_of(robot))


@pytest.fixture
def bench(robot: RobotDescription, bus: ActuatorBus) -> BenchArm:
    return BenchArm(robot, bus, nominal_calibration(robot))


@pytest.fixture
def talk(line: VirtualLine) -> Callable[[str], str]:
    """Send hex to the virtual line and return what it answers, in hex."""

    def ask(request: str) -> str:
        line.receive(bytes.fromhex(request), line.now)
        reply = line.take(line.now + 1.0)
        line.step(line.now + 0.01)
        return reply.hex(" ").upper()

    return ask
