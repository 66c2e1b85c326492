"""Drive a bench arm at full admitted speed until somebody kills this process: `python runaway.py URL`."""

import sys

from genba.drivers.arm import BenchArm
from genba.robots.catalogue import load_robot
from genba.robots.envelope import SafetyEnvelope
from genba.robots.kinematics import Kinematics

DT = 1.0 / 30.0


def main(url: str) -> None:
    robot = load_robot("so101")
    kinematics = Kinematics(robot)
    envelope = SafetyEnvelope(robot, kinematics)
    arm = BenchArm.open(robot, url)
    arm.connect()
    arm.arm()
    state = arm.read()
    envelope.reset(state)
    # Every joint toward a far corner; the envelope decides how fast.
    far = (1.9, 0.3, -0.4, 0.4, 2.7, 0.6)
    while True:
        arm.write(envelope.admit(far, state, kinematics.forward(state.joint_positions), DT))
        arm.advance(DT)
        state = arm.read()
        sys.stdout.write(" ".join(f"{v:.5f}" for v in (*state.joint_positions, state.gripper)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
