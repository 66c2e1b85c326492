"""What one bus cycle costs the host: genba's bus beside the vendors' clients and rustypot, on the same twin in one run.

The virtual servos live in a process of their own, so only the client's CPU time is counted. The clients take turns,
and of each the round that was least disturbed counts: what else the machine does costs a sleeping client more than a
spinning one. A last table runs the whole arm at 100 Hz and tells how well the rate was kept.

    python benchmarks/bus.py [seconds of the 100 Hz loop, 0 for none]
"""

import gc
import sys
import time
from contextlib import closing

from _bus_clients import BAUD_RATE, FAMILIES, IDS, Cycle, Family
from _measure import Row, show

from genba.drivers.arm import BenchArm
from genba.drivers.bus import ActuatorBus
from genba.drivers.ports import open_port
from genba.drivers.protocols import load_protocol
from genba.drivers.virtual.process import TwinProcess
from genba.drivers.wired import bus_of
from genba.robots.catalogue import load_robot
from genba.robots.envelope import SafetyEnvelope
from genba.robots.kinematics import Kinematics

ROUNDS, CYCLES, WARM_UP = 7, 150, 20
LATENCY = 0.0025  # s for which the adapter holds bytes back in the second run, as FTDI's timer at 2.5 ms does
COMMAND = ("-m", "genba.drivers.virtual.serve")

Found = dict[str, tuple[float, float]]


def measure(cycle: Cycle) -> tuple[float, float]:
    """CPU and wall time per cycle, s."""
    for _ in range(WARM_UP):
        cycle()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(CYCLES):
        cycle()
    return (time.process_time() - cpu) / CYCLES, (time.perf_counter() - wall) / CYCLES


def contest(family: Family, latency: float) -> Found:
    """Least CPU and wall time per cycle of each client on one twin, s."""
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in family.clients}
    arguments = ("--robot", family.robot, "--serve", "pty", "--latency", str(latency))
    with TwinProcess(arguments, command=COMMAND) as twin:
        quicken(family, twin.port)
        for _ in range(ROUNDS):
            for name, client in family.clients.items():
                cycle, close = client.start(twin.port)
                rows[name].append(measure(cycle))
                close()
                del cycle, close
                gc.collect()
    return {name: (min(cpu for cpu, _ in found), min(wall for _, wall in found)) for name, found in rows.items()}


def quicken(family: Family, port: str) -> None:
    """Let the servos answer at once, as every arm that genba drives does."""
    framing = load_protocol(bus_of(load_robot(family.robot)).protocol)
    with closing(ActuatorBus(open_port(port, BAUD_RATE), framing)) as bus:
        for i in IDS:
            bus.write(i, "return_delay", 0)


def compare(title: str, family: Family) -> None:
    """Run one family at both latencies and print its tables."""
    wanted = []
    print(f"\n### {title}\n")
    print("| adapter | client | byte times | CPU per cycle us | wall us | share of the wire rate | CPU ratio |")
    print("|---|---|---|---|---|---|---|")
    for latency in (0.0, LATENCY):
        found = contest(family, latency)
        vendor = found[family.vendor][0]
        adapter = f"{latency * 1e3:.1f} ms" if latency else "no latency"
        for name, (cpu, wall) in found.items():
            size = family.clients[name].byte_times
            share = size * 10.0 / BAUD_RATE / wall
            print(
                f"| {adapter} | {name} | {size} | {cpu * 1e6:.0f} | {wall * 1e6:.0f} | {share:.0%} | "
                f"{vendor / cpu:.1f} |"
            )
            if name.startswith("genba") and not latency:
                wanted.append(
                    Row(
                        what=f"{name}: share of the wire rate",
                        measured=share * 100.0,
                        wanted=90.0,
                        unit="%",
                        least=True,
                    )
                )
        own = found["genba"][0]
        if latency:
            ratio = own / vendor
            wanted.append(
                Row(what=f"genba: CPU against {family.vendor}, {adapter}", measured=ratio, wanted=1 / 20, unit="x")
            )
        for name, (cpu, _) in found.items():
            if name.startswith("rustypot"):
                wanted.append(
                    Row(what=f"genba: CPU against {name}, {adapter}", measured=own / cpu, wanted=1.5, unit="x")
                )
    show(title, wanted)


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
    """Print all tables."""
    for title, family in FAMILIES.items():
        compare(title, family)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    if seconds:
        loop(seconds)


if __name__ == "__main__":
    main()
