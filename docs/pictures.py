"""Draw the pictures of the README: a shipped policy at work in the simulated cell, by TinyRenderer, with shadows.

python docs/pictures.py        writes cell.png and stages.png beside this file
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from genba.envs.bullet import bullet
from genba.envs.env import CellEnv
from genba.envs.view import Camera
from genba.policies.catalogue import find_policy

HERE = Path(__file__).parent
LAYOUT = {"goal": (0.215, 0.085, 0.013, 0.5), "part_pose": (0.21, -0.09, 0.012, -0.35)}
WIDE = Camera(eye=(0.60, -0.36, 0.30), target=(0.135, 0.02, 0.112), fov=32.0)
NEAR = Camera(eye=(0.60, -0.30, 0.27), target=(0.165, 0.012, 0.095), fov=33.0)
FINER = 2  # drawn this many times larger and then averaged, because TinyRenderer leaves edges jagged
SKY = ((255, 255, 255), (222, 231, 240))  # top and bottom
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


def main() -> None:
    """Run one episode and draw it."""
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
