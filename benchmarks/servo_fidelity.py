"""How true the simulated arm at 240 Hz is to the same law at 4000 Hz, in degrees rms of its worst joint.

Two streams: random goals as the envelope lets them through, as every policy's are, and the same goals as bare steps,
which no envelope would admit and under which servos saturate.
"""

import numpy as np
from _measure import Row, show

from genba.envs.arm.sim_arm import SimArm
from genba.envs.cell import Cell
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.description import RobotDescription
from genba.robots.envelope import SafetyEnvelope
from genba.robots.kinematics import Kinematics
from genba.robots.state import ArmState

DT = 0.05  # s, whole substeps at both rates
GOALS = 40
TICKS = 15  # per goal


def state_at(where: list[float], stamp: float) -> ArmState:
    """A measurement of an arm at rest."""
    still = (0.0,) * (len(where) - 1)
    return ArmState(
        stamp=stamp, joint_positions=tuple(where[:-1]), joint_velocities=still, joint_efforts=still, gripper=where[-1]
    )


def goals(robot: RobotDescription) -> list[list[float]]:
    """Random poses around home whose tool stays clear of the table."""
    kinematics, rng = Kinematics(robot), np.random.default_rng(0)
    lower, upper = ([getattr(j, key) for j in robot.joints] for key in ("lower", "upper"))
    found: list[list[float]] = []
    while len(found) < GOALS:
        joints = np.clip(np.array(robot.home) + rng.uniform(-0.3, 0.3, len(lower)), lower, upper).tolist()
        if kinematics.forward(joints).position[2] > 0.06:
            found.append([*joints, robot.gripper.home])
    return found


def play(robot: RobotDescription, physics_rate_hz: int, *, steps: bool) -> np.ndarray:
    """True joint positions every 50 ms, degrees."""
    kinematics = Kinematics(robot)
    envelope = SafetyEnvelope(robot, kinematics)
    here = state_at([*robot.home, robot.gripper.home], 0.0)
    envelope.reset(here)
    rows = []
    with Cell(robot, physics_rate_hz=physics_rate_hz) as cell:
        arm = SimArm(cell)
        cell.begin_reset()
        arm.reset(robot.home, robot.gripper.home)
        for k, goal in enumerate(goal for goal in goals(robot) for _ in range(TICKS)):
            if steps:
                admitted = envelope.reset(state_at(goal, k + 1.0))
            else:
                here = state_at(list(envelope.snapshot()[0]), k + 1.0)
                admitted = envelope.admit(goal, here, kinematics.forward(here.joint_positions), DT)
            arm.write(admitted)
            arm.advance(DT)
            rows.append(arm.true_positions()[0])
    return np.degrees(np.array(rows))


def main() -> None:
    """Play both streams with every arm and print."""
    rows = []
    for name in robot_names():
        robot = load_robot(name)
        servo = robot.joints and robot.actuator_drives[0].kind == "servo"
        for steps in (False, True) if servo else (False,):
            error = play(robot, 240, steps=steps) - play(robot, 4000, steps=steps)
            rms = float(np.sqrt((error**2).mean(axis=0)).max())
            stream = "bare steps" if steps else "through the envelope"
            rows.append(Row(what=f"{name}, {stream}", measured=rms, wanted=0.5, unit="deg rms"))
    show("SimArm at 240 Hz against the same law at 4000 Hz", rows)


if __name__ == "__main__":
    main()
