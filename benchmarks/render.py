"""What a look through one camera costs, 84 x 84 RGB as a policy sees it: numpy, GL, and Bullet's own TinyRenderer.

python benchmarks/render.py [rounds [task ...]]
"""

import sys

import numpy as np
from _measure import Row, Slice, cpu_per_call, medians, show

from genba.envs.bullet import bullet
from genba.envs.env import CellEnv
from genba.envs.sight import CameraMount, Sight, standard_mounts
from genba.envs.tasks import load_task, task_names
from genba.envs.view import Camera
from genba.robots.errors import RefusedError

LOOKS = 10
TICKS = 30  # that the expert works first, so that there is something before the camera at the wrist
SIZE = 84


def looking(env: CellEnv, mount: CameraMount, backend: str) -> Slice:
    """Looks through one camera; where the arm is does not matter, because nothing that moves is kept."""
    sight = Sight(env.cell, env.arm, [mount], size=(SIZE, SIZE), backend=backend)

    def run() -> int:
        for _ in range(LOOKS):
            sight.look()
        return LOOKS

    return run


def plain(env: CellEnv, mount: CameraMount) -> Slice:
    """What one would write without thinking: `getCameraImage` from the same place."""
    pose = env.station.pose
    turn, at = np.array([pose.x_axis, pose.y_axis, pose.z_axis]).T, np.array(pose.position)
    if mount.link is None:
        turn, at = np.eye(3), np.zeros(3)
    eye, target, up = at + turn @ mount.eye, at + turn @ mount.target, turn @ mount.up
    projection = bullet.computeProjectionMatrixFOV(mount.fov, 1.0, mount.near, mount.far)

    def run() -> int:
        for _ in range(LOOKS):
            view = bullet.computeViewMatrix(eye.tolist(), target.tolist(), up.tolist())
            flags, renderer = bullet.ER_NO_SEGMENTATION_MASK, bullet.ER_TINY_RENDERER
            got = bullet.getCameraImage(
                SIZE, SIZE, view, projection, flags=flags, renderer=renderer, physicsClientId=env.cell.client
            )
            np.asarray(got[2], np.uint8).reshape(SIZE, SIZE, 4)[:, :, :3].copy()
        return LOOKS

    return run


def onlooking(env: CellEnv) -> Slice:
    """A picture for people, soft light and all."""
    camera = Camera.overview(env.robot)

    def run() -> int:
        camera.picture(env.cell, 480, 360)
        return 1

    return run


def main() -> None:
    """Measure all cells of the catalogue in turns and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    contestants: dict[str, Slice] = {}
    cells = []
    for task in sys.argv[2:] or task_names():
        for robot in load_task(task).offered():
            env = CellEnv(task, robot)
            observation, _ = env.reset(seed=0)
            for _ in range(TICKS):
                observation = env.step(env.expert_action(observation))[0]
            contestants[f"{task} {robot} picture"] = onlooking(env)
            for mount in standard_mounts(env.robot):
                cells.append((f"{task} {robot} {mount.name}", mount))
                contestants[f"{cells[-1][0]} plain"] = plain(env, mount)
                for backend in ("cpu", "gl"):
                    try:
                        contestants[f"{cells[-1][0]} {backend}"] = looking(env, mount, backend)
                    except RefusedError as error:
                        print(error)
    cost = {name: 1e3 * s for name, s in medians(cpu_per_call(contestants, rounds=rounds)).items()}
    print(f"\n### One look of {SIZE} x {SIZE} RGB, ms of CPU\n\n| cell and camera | numpy | GL | getCameraImage |")
    print("|---|---|---|---|")
    for cell, _ in cells:
        ours, gl, theirs = (cost.get(f"{cell} {by}", float("nan")) for by in ("cpu", "gl", "plain"))
        print(f"| {cell} | {ours:.2f} | {gl:.2f} | {theirs:.2f} |")
    worst = {
        kind: max(cost[f"{cell} cpu"] for cell, mount in cells if (mount.link is None) == (kind == "fixed"))
        for kind in ("fixed", "wrist")
    }
    pictures = [value for name, value in cost.items() if name.endswith("picture")]
    show(
        "Cameras without GL, the dearest of the catalogue",
        [Row(what=f"{kind}, numpy", measured=value, wanted=1.0, unit="ms") for kind, value in worst.items()]
        + [Row(what="picture for people, 480 x 360", measured=max(pictures), wanted=100.0, unit="ms")],
    )


if __name__ == "__main__":
    main()
