"""How many old samples a client takes for new ones after one late reply, in virtual time.

One cycle's replies come only with the next request, as after a hold-up of 80 ms in an adapter. From then on every
cycle's positions are held against where the joints were between question and answer. The vendors' clients run
unmodified but for their port, which is the same virtual wire.

    python benchmarks/bus_stale.py [cycles]
"""

import sys
from collections.abc import Callable
from math import pi
from types import ModuleType

import dynamixel_sdk  # type: ignore[import-untyped]
import scservo_sdk  # type: ignore[import-untyped]
from _bus_clients import BAUD_RATE, IDS
from _measure import Row, show

from genba.drivers.bus import ActuatorBus
from genba.drivers.framing import Telemetry
from genba.drivers.protocols import load_protocol
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.plant import Motion
from genba.drivers.virtual.sim_port import SimPort
from genba.drivers.wired import bus_of
from genba.robots.catalogue import load_robot

CYCLES = 10_000
SPEED = 2.0  # rad/s at which every joint turns
PERIOD = 0.01  # s between cycles
PATIENCE = 0.08  # s by which the replies are late
SPIN = 1e-4  # s of line time that one look of a polling client takes
TICKS = 4096

Sample = Callable[[], dict[int, int]]


class Turning:
    """A plant whose joints turn steadily, so that every instant has its own counts."""

    period = 0.001

    def __init__(self) -> None:
        """Start at zero."""
        self.time = 0.0

    def motion(self) -> Motion:
        """Where the joints are now."""
        return Motion((SPEED * self.time,) * 6, (SPEED,) * 6, (0.0,) * 6)

    def step(self, commands: object) -> Motion:
        """Let one period pass."""
        del commands
        self.time += self.period
        return self.motion()


def _through(sdk: ModuleType, port: SimPort) -> object:
    """A port handler of a vendor's client on the virtual wire; its `clearPort` throws nothing away, as theirs."""

    class Handler(sdk.PortHandler):  # type: ignore[misc, name-defined]
        received = b""
        tx_time_per_byte = 10e3 / BAUD_RATE

        def readPort(self, length: int) -> bytes:  # noqa: N802 - the vendor's name
            self.received += port.read(length, port.clock.now() + SPIN)
            taken, self.received = self.received[:length], self.received[length:]
            return taken

        def writePort(self, packet: list[int]) -> int:  # noqa: N802
            port.write(bytes(packet))
            return len(packet)

        def clearPort(self) -> None:  # noqa: N802
            pass

        def getCurrentTime(self) -> float:  # noqa: N802
            return port.clock.now() * 1e3

    return Handler("virtual")


def genba(port: SimPort, protocol: str) -> Sample:
    """Positions by genba's bus, as far as servos were heard."""
    bus = ActuatorBus(port, load_protocol(protocol))

    def sample() -> dict[int, int]:
        return {i: r.position_ticks for i, r in bus.telemetry(IDS).items() if isinstance(r, Telemetry)}

    return sample


def vendor(port: SimPort, protocol: str) -> Sample:
    """Positions by the vendor's client, as far as it says that they are available."""
    sdk, version, address, size, at, width = {
        "feetech_sts": (scservo_sdk, 0, 56, 15, 56, 2),
        "dynamixel2": (dynamixel_sdk, 2.0, 122, 25, 132, 4),
    }[protocol]
    reader = sdk.GroupSyncRead(_through(sdk, port), sdk.PacketHandler(version), address, size)
    for i in IDS:
        reader.addParam(i)

    def sample() -> dict[int, int]:
        if reader.txRxPacket() != 0:
            return {}
        return {i: reader.getData(i, at, width) for i in IDS}

    return sample


def stale(robot_name: str, client: Callable[[SimPort, str], Sample], cycles: int) -> tuple[int, int]:
    """Cycles with at least one old sample, and cycles with samples, after one whose replies came late."""
    robot = load_robot(robot_name)
    plant = Turning()
    line = VirtualLine(robot, plant=plant)
    for servo in line.servos:
        servo._set("return_delay", 0)
    port = SimPort("virtual", line, BAUD_RATE, virtual_time=True)
    sample = client(port, bus_of(robot).protocol)
    sample()
    line.faults.late = 1.0
    sample()
    line.faults.late = 0.0
    port.clock.sleep_until(line.now + PATIENCE)
    old = heard = 0
    for _ in range(cycles):
        asked = plant.time
        found = sample()
        low, high = (round(SPEED * t * TICKS / (2.0 * pi)) + TICKS // 2 for t in (asked, plant.time))
        heard += bool(found)
        old += any((ticks - low) % TICKS > high - low for ticks in found.values())
        port.clock.sleep_until(line.now + PERIOD)
    return old, heard


def main() -> None:
    """Print both tables."""
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else CYCLES
    print("| servos | client | cycles | cycles with samples | with a stale sample |\n|---|---|---|---|---|")
    rows = []
    for robot_name, name in (("so101", "feetech-servo-sdk"), ("koch", "dynamixel-sdk")):
        for title, client in ((name, vendor), ("genba", genba)):
            old, heard = stale(robot_name, client, cycles)
            print(f"| {robot_name} | {title} | {cycles} | {heard} | {old} |")
            if title == "genba":
                rows.append(
                    Row(
                        what=f"{robot_name}: cycles without a stale sample",
                        measured=heard - old,
                        wanted=cycles,
                        unit="",
                        least=True,
                    )
                )
    show("Late replies", rows)


if __name__ == "__main__":
    main()
