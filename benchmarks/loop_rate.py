"""How well 100 Hz is kept: the arm, its envelope and a moving target over the real driver, on a pty twin.

    python benchmarks/loop_rate.py [seconds]

Every tick is that of a run: admit, write, wait for the deadline, read. Late by a whole period counts as an overrun.
"""

import sys

from _measure import Row, show

from genba.drivers.arm import BenchArm
from genba.drivers.virtual.process import TwinProcess
from genba.robots.catalogue import load_robot
from genba.robots.envelope import SafetyEnvelope
from genba.robots.kinematics import Kinematics

RATE_HZ = 100.0
SWING = 200  # ticks until the target changes sides


def main(seconds: float = 60.0) -> None:
    """Run the loop and print its table."""
    robot = load_robot("so101")
    kinematics = Kinematics(robot)
    envelope = SafetyEnvelope(robot, kinematics)
    dt = 1.0 / RATE_HZ
    serve = ("-m", "genba.drivers.virtual.serve")
    with TwinProcess(("--serve", "pty"), command=serve) as twin, BenchArm.open(robot, twin.port) as arm:
        arm.arm()
        state = arm.read()
        envelope.reset(state)
        arm.pacer.reset()
        for k in range(round(seconds * RATE_HZ)):
            pan = 0.5 if (k // SWING) % 2 else -0.5
            target = (pan, *robot.home[1:], robot.gripper.home)
            arm.write(envelope.admit(target, state, kinematics.forward(state.joint_positions), dt))
            arm.advance(dt)
            state = arm.read()
        report = arm.pacer.report()
        bus = arm.bus.statistics
    off = abs(report.mean_rate_hz - RATE_HZ)
    show(
        f"{RATE_HZ:.0f} Hz on a pty twin for {seconds:.0f} s: mean {report.mean_rate_hz:.3f} Hz",
        [
            Row(what="mean rate off by", measured=max(off, 1e-6), wanted=0.1, unit="Hz"),
            Row(what="late by a whole period", measured=max(report.overruns, 1e-6), wanted=0.5, unit="ticks"),
            Row(what="p99 period error", measured=1e3 * report.p99_error_s, wanted=5.0, unit="ms"),
            Row(what="replies that timed out", measured=max(bus.timeouts, 1e-6), wanted=0.5, unit="replies"),
        ],
    )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
