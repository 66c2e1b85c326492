"""What one bus cycle costs the host: genba's bus beside feetech-servo-sdk, on the same virtual bus in one run.

A cycle is one sync read of registers 56..70 and one sync write of the goals, six servos. The virtual servos live in
a process of their own, so only the client's CPU time is counted; the clients take turns, and the median round counts.

    python benchmarks/bus.py
"""

import statistics
import time
from collections.abc import Callable

import scservo_sdk  # type: ignore[import-untyped]

from genba.drivers.bus import ActuatorBus, Fault
from genba.drivers.ports import open_port
from genba.drivers.protocols import load_protocol
from genba.drivers.virtual.process import TwinProcess

IDS = (1, 2, 3, 4, 5, 6)
BAUD_RATE = 1_000_000
ROUNDS = 5
WIRE_BYTES = (8 + 6) + 6 * (6 + 15) + (8 + 6 * 3)
COMMAND = ("-m", "genba.drivers.virtual.serve")

Cycle = Callable[[], None]


def genba_cycle(port: str) -> tuple[Cycle, Callable[[], None]]:
    """A cycle of genba's bus, and how to close it."""
    bus = ActuatorBus(open_port(port, BAUD_RATE), load_protocol("feetech_sts"))
    goals = dict.fromkeys(IDS, 2048)

    def cycle() -> None:
        if any(isinstance(result, Fault) for result in bus.telemetry(IDS).values()):
            raise RuntimeError("a servo was silent")
        bus.sync_write("goal_position", goals)

    return cycle, bus.close


def sdk_cycle(port: str) -> tuple[Cycle, Callable[[], None]]:
    """The same cycle by feetech-servo-sdk, and how to close it."""
    handler = scservo_sdk.PortHandler(port)
    handler.openPort()
    handler.setBaudRate(BAUD_RATE)
    packets = scservo_sdk.PacketHandler(0)
    reader = scservo_sdk.GroupSyncRead(handler, packets, 56, 15)
    writer = scservo_sdk.GroupSyncWrite(handler, packets, 42, 2)
    for i in IDS:
        reader.addParam(i)
        writer.addParam(i, [0, 8])

    def cycle() -> None:
        reader.txRxPacket()
        for i in IDS:
            for address, size in ((56, 2), (58, 2), (60, 2), (62, 1), (63, 1), (65, 1), (69, 2)):
                reader.getData(i, address, size)
            writer.changeParam(i, [0, 8])
        writer.txPacket()

    return cycle, handler.closePort


def measure(cycle: Cycle, count: int) -> tuple[float, float]:
    """CPU and wall time per cycle, s."""
    for _ in range(20):
        cycle()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        cycle()
    return (time.process_time() - cpu) / count, (time.perf_counter() - wall) / count


def main() -> None:
    """Print the table."""
    wire = WIRE_BYTES * 10.0 / BAUD_RATE
    print(f"pure wire time of a cycle: {wire * 1e6:.0f} us ({WIRE_BYTES} bytes at {BAUD_RATE} baud)\n")
    print("| bus latency | client | CPU per cycle us | wall us | share of the wire rate | CPU ratio |")
    print("|---|---|---|---|---|---|")
    for latency in (0.0, 0.0025):
        rows: dict[str, list[tuple[float, float]]] = {"feetech-servo-sdk": [], "genba": []}
        arguments = ("--serve", "pty", "--latency", str(latency))
        with TwinProcess(arguments, command=COMMAND) as twin:
            for _ in range(ROUNDS):
                for name, make in (("feetech-servo-sdk", sdk_cycle), ("genba", genba_cycle)):
                    cycle, close = make(twin.port)
                    rows[name].append(measure(cycle, 200))
                    close()
        cpu = {name: statistics.median(row[0] for row in found) for name, found in rows.items()}
        for name, found in rows.items():
            wall = statistics.median(row[1] for row in found)
            ratio = cpu["feetech-servo-sdk"] / cpu[name]
            title = f"{latency * 1e3:.1f} ms" if latency else "slots only"
            print(
                f"| {title} | {name} | {cpu[name] * 1e6:.0f} | {wall * 1e6:.0f} | {wire / wall:.0%} | {ratio:.1f} |"
            )


if __name__ == "__main__":
    main()
