"""What one bus cycle costs the host: genba's bus beside feetech-servo-sdk, on the same virtual bus in one run.

A cycle is one sync read of registers 56..70 and one sync write of the goals, six servos. The virtual servos live in
a process of their own, so only the client's CPU time is counted. The clients take turns, and of each the round that
was least disturbed counts: what else the machine does costs a sleeping client more than a spinning one.

A second table runs the whole arm at 100 Hz on the same twin and tells how well the rate was kept.

    python benchmarks/bus.py [seconds of the 100 Hz loop]
"""

import sys
import time
from collections.abc import Callable

import scservo_sdk  # type: ignore[import-untyped]

from genba.drivers.arm import BenchArm
from genba.drivers.bus import ActuatorBus, Fault
from genba.drivers.ports import open_port
from genba.drivers.protocols import load_protocol
from genba.drivers.virtual.process import TwinProcess
from genba.robots.description import load_robot
from genba.robots.envelope import SafetyEnvelope
from genba.robots.kinematics import Kinematics

IDS = (1, 2, 3, 4, 5, 6)
BAUD_RATE = 1_000_000
ROUNDS = 7
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


def loop(seconds: float, rate_hz: float = 100.0) -> None:
    """Run the arm through the envelope at a rate, on a pty twin, and print how well it was kept."""
    robot = load_robot("so101")
    kinematics = Kinematics(robot)
    envelope = SafetyEnvelope(robot, kinematics)
    dt = 1.0 / rate_hz
    with TwinProcess(("--serve", "pty"), command=COMMAND) as twin, BenchArm.open(robot, twin.port) as arm:
        arm.arm()
        state = arm.read()
        envelope.reset(state)
        arm.pacer.reset()
        for k in range(round(seconds * rate_hz)):
            pan = 0.5 if (k // 200) % 2 else -0.5
            target = (pan, *robot.home[1:], robot.gripper.home)
            arm.write(envelope.admit(target, state, kinematics.forward(state.joint_positions), dt))
            arm.advance(dt)
            state = arm.read()
        report = arm.pacer.report()
        faults = {
            name: count for name, count in arm.bus.statistics.as_dict().items() if name not in ("requests", "replies")
        }
    print("\n| loop | mean Hz | late by a period | p50 error us | p99 error us | bus |\n|---|---|---|---|---|---|")
    print(
        f"| {rate_hz:.0f} Hz, {seconds:.0f} s | {report.mean_rate_hz:.3f} | {report.overruns} | "
        f"{report.p50_error_s * 1e6:.0f} | {report.p99_error_s * 1e6:.0f} | {faults} |"
    )


def main() -> None:
    """Print both tables."""
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
        cpu = {name: min(row[0] for row in found) for name, found in rows.items()}
        for name, found in rows.items():
            wall = min(row[1] for row in found)
            ratio = cpu["feetech-servo-sdk"] / cpu[name]
            title = f"{latency * 1e3:.1f} ms" if latency else "slots only"
            print(f"| {title} | {name} | {cpu[name] * 1e6:.0f} | {wall * 1e6:.0f} | {wire / wall:.0%} | {ratio:.1f} |")
    loop(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)


if __name__ == "__main__":
    main()
