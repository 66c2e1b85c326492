"""Draw the pictures of the documents: shipped policies at work in the simulated cell.

python docs/pictures.py        writes cell.png and stages.png, by TinyRenderer with shadows, and what a policy with eyes
                               sees and believes, sight.png, beside this file
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from genba.envs.bullet import bullet
from genba.envs.env import CellEnv
from genba.envs.render.lens import Lens
from genba.envs.view import Camera
from genba.policies.catalogue import find_policy
from genba.policies.eyes import View
from genba.robots.kinematics import Kinematics

HERE = Path(__file__).parent
LAYOUT = {"goal": (0.215, 0.085, 0.013, 0.5), "part_pose": (0.21, -0.09, 0.012, -0.35)}
WIDE = Camera(eye=(0.60, -0.36, 0.30), target=(0.135, 0.02, 0.112), fov=32.0)
NEAR = Camera(eye=(0.60, -0.30, 0.27), target=(0.165, 0.012, 0.095), fov=33.0)
FINER = 2  # drawn this many times larger and then averaged, because TinyRenderer leaves edges jagged
SKY = ((255, 255, 255), (222, 231, 240))  # top and bottom
GLIMPSES = (4, 26, 44, 56, 84)  # ticks: from afar, over the part, gripped, on the way, set down
SIDE = 252  # pixels, of a picture as shown: three for each that the policy sees
STAGES = (1, 62, 96, 162)  # ticks: at home, gripped, on the way, set down


def draw(env: CellEnv, camera: Camera, width: int, height: int) -> npt.NDArray[np.uint8]:
    """The cell with shadows in front of a pale sky, (height, width, 3) uint8."""
    w, h = FINER * width, FINER * height
    _, _, rgba, _, seen = bullet.getCameraImage(
        w,
        h,
        bullet.computeViewMatrix(camera.eye, camera.target, [0.0, 0.0, 1.0]),
        bullet.computeProjectionMatrixFOV(camera.fov, w / h, 0.02, 5.0),
        lightDirection=[0.35, -0.9, 1.5],
        lightDistance=2.0,
        lightAmbientCoeff=0.6,
        lightDiffuseCoeff=0.5,
        lightSpecularCoeff=0.05,
        shadow=1,
        renderer=bullet.ER_TINY_RENDERER,
        physicsClientId=env.cell.client,
    )
    picture = np.asarray(rgba, np.float64).reshape(h, w, 4)[:, :, :3]
    empty = np.asarray(seen).reshape(h, w) < 0
    share = np.linspace(0.0, 1.0, h)[:, None, None] ** 0.7
    sky = (1.0 - share) * np.array(SKY[0]) + share * np.array(SKY[1]) + np.zeros((h, w, 3))
    picture[empty] = sky[empty]
    small: npt.NDArray[np.uint8] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return small


def save(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    """Write a PNG, packed tightly."""
    cv2.imwrite(str(path), picture[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


def sight() -> None:
    """What both cameras show a policy with eyes at some moments, and where in them it believes the part to be."""
    bundle = find_policy("PickPlace_panda_rgb")
    eyes, views = bundle.eyes, bundle.manifest.eyes.views if bundle.manifest.eyes else ()
    if eyes is None:
        raise SystemExit("the shipped policy has no eyes")
    env = CellEnv("PickPlace", "panda", obs="rgb", terminate_on_success=False)
    observation, _ = env.reset(seed=11)
    columns = []
    for tick in range(1, GLIMPSES[-1] + 1):
        observation, *_ = env.step(bundle.act(observation))
        if tick not in GLIMPSES:
            continue
        believed = np.array(eyes.believes(observation)["part_position"])
        column = []
        for view in views:
            at = pixel(env, view, believed)
            shown = cv2.resize(observation[f"{view.name}_rgb"], (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
            centre = (round(at[0] * SIDE), round(at[1] * SIDE))
            cv2.circle(shown, centre, 17, (255, 255, 255), 5, cv2.LINE_AA)
            cv2.circle(shown, centre, 17, (226, 92, 28), 3, cv2.LINE_AA)
            column.append(shown)
        columns.append(np.vstack([column[0], np.full((8, SIDE, 3), 255, np.uint8), column[1]]))
    gap = np.full((len(columns[0]), 8, 3), 255, np.uint8)
    save(HERE / "sight.png", np.hstack([part for column in columns for part in (gap, column)][1:]))
    env.close()


def pixel(env: CellEnv, view: View, place: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Where a camera sees a place, as shares of the picture's sides."""
    lens = Lens.aimed(
        eye=np.array(view.eye), target=np.array(view.target), up=np.array(view.up), fov=view.fov, near=0.01, far=5.0
    )
    if view.link:
        pose = Kinematics(env.robot, None if view.link == "tcp" else view.link).forward(env.arm.true_positions()[0])
        lens = lens.carried(np.array([pose.x_axis, pose.y_axis, pose.z_axis]).T, np.array(pose.position))
    right, down, ahead = lens.axes @ (place - lens.eye)
    return 0.5 + lens.focal * right / ahead, 0.5 + lens.focal * down / ahead


def main() -> None:
    """Run an episode of each policy and draw it."""
    sight()
    bundle = find_policy("PickPlace_so101")
    env = CellEnv("PickPlace", "so101", terminate_on_success=False)
    observation, _ = env.reset(seed=3, options=LAYOUT)
    stages = []
    for tick in range(1, STAGES[-1] + 1):
        observation, *_ = env.step(bundle.act(observation))
        if tick == 112:
            save(HERE / "cell.png", draw(env, WIDE, 960, 540))
        if tick in STAGES:
            stages.append(draw(env, NEAR, 312, 260))
    gap = np.full((260, 8, 3), 255, np.uint8)
    save(HERE / "stages.png", np.hstack([part for stage in stages for part in (gap, stage)][1:]))
    env.close()


if __name__ == "__main__":
    main()
