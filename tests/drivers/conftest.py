"""A virtual arm in virtual time: exact, and as fast as its plant."""

from collections.abc import Callable

import pytest

from genba.drivers.arm import BenchArm
from genba.drivers.bus import ActuatorBus
from genba.drivers.calibration import nominal_calibration
from genba.drivers.protocols import load_protocol
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.sim_port import SimPort
from genba.robots.description import RobotDescription, load_robot


@pytest.fixture(scope="session")
def robot() -> RobotDescription:
    return load_robot("so101")


@pytest.fixture
def faults() -> Faults:
    return Faults(seed=1)


@pytest.fixture
def line(robot: RobotDescription, faults: Faults) -> VirtualLine:
    return VirtualLine(robot, faults=faults)


@pytest.fixture
def port(line: VirtualLine) -> SimPort:
    return SimPort("genba-sim://so101", line, 1_000_000, virtual_time=True)


@pytest.fixture
def bus(port: SimPort) -> ActuatorBus:
    return ActuatorBus(port, load_protocol("feetech_sts"))


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
