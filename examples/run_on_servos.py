"""Run a shipped policy through the serial driver: six virtual STS3215 servos inside this process, in virtual time.

For an arm on the bench, name its port and drop "?time=virtual"; nothing else changes.
"""

import sys

from genba.drivers.arm import BenchArm
from genba.drivers.calibration import find_calibration
from genba.policies.catalogue import find_policy
from genba.policies.run import PolicyRun
from genba.robots.catalogue import load_robot

PORT = "genba-sim://so101?time=virtual"


def main(port: str = PORT) -> int:
    """Run three episodes and print the report."""
    bundle = find_policy("TeachPoint_so101")
    robot = load_robot(bundle.manifest.robot.name)
    with BenchArm.open(robot, port, find_calibration(robot, port)) as arm:
        work = PolicyRun(bundle, arm)  # refuses a policy that does not fit; nothing has moved yet
        arm.arm()  # goal = present position, read back, then torque
        report = work.run(3)
        print(report)
        print("bus", arm.bus.statistics.as_dict())
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
