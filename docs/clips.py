"""Film every task, twelve seconds each, done by its scripted expert; longer jobs are shown faster than they are.

python docs/clips.py [Task ...]        writes clips/<Task>.webm and suite.png beside this file
"""

import sys
from math import cos, sin
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from genba.envs.env import CellEnv
from genba.envs.tasks import load_task, task_names
from genba.envs.view import Camera
from genba.policies.pages.media import encode_clip
from genba.robots.description import RobotDescription

HERE = Path(__file__).parent
CLIPS = HERE / "clips"
SECONDS, FPS = 12.0, 12.0
SIZE = (384, 288)
COLUMNS = 4
SHOWN = 0.55  # share of a clip after which the still is taken
ARMS = ("so101", "panda", "ur5e")  # shown in turn where a task is offered for them
Pixels = npt.NDArray[np.uint8]


def camera(robot: RobotDescription) -> Camera:
    """From the front and the right, near enough to tell parts apart; of large arms the hand is in the picture."""
    if robot.tolerance == "servo":
        return Camera.overview(robot)
    reach = robot.reach
    r = 0.5 * (reach.radius[0] + reach.radius[1])
    x, y = reach.axis[0] + r, reach.axis[1]
    return Camera(eye=(x + 0.42 * cos(-0.7), y + 0.50 * sin(-0.7), 0.34), target=(x - 0.04, y, 0.06), fov=42.0)


def film(task: str, robot: str) -> list[Pixels]:
    """Frames of the first successful episode, evenly spread over its time."""
    env = CellEnv(task, robot, terminate_on_success=False)
    eye = camera(env.robot)
    try:
        for seed in range(20):
            ticks, done = _rehearse(env, seed)
            if done:
                break
        length = min(ticks + env.control_rate_hz, env.horizon)
        wanted = np.linspace(0, length - 1, round(SECONDS * FPS)).astype(int).tolist()
        observation, _ = env.reset(seed=seed)
        frames: list[Pixels] = []
        for tick in range(length):
            while len(frames) < len(wanted) and wanted[len(frames)] == tick:
                frames.append(eye.picture(env.cell, *SIZE))
            observation = env.step(env.expert_action(observation))[0]
        return frames
    finally:
        env.close()


def _rehearse(env: CellEnv, seed: int) -> tuple[int, bool]:
    """Ticks until success, and whether it came."""
    observation, _ = env.reset(seed=seed)
    for tick in range(env.horizon):
        observation, *_, info = env.step(env.expert_action(observation))
        if info["is_success"]:
            return tick, True
    return env.horizon, False


def arm_for(task: str) -> str:
    """The arm that is filmed: they take turns."""
    offered = load_task(task).offered()
    k = task_names().index(task)
    return next(arm for arm in (*ARMS[k % 3 :], *ARMS) if arm in offered)


def still(task: str) -> Pixels:
    """A frame of a task's clip with its name on it."""
    clip = cv2.VideoCapture(str(CLIPS / f"{task}.webm"))
    frames = []
    while True:
        read, frame = clip.read()
        if not read:
            break
        frames.append(frame)
    clip.release()
    picture: Pixels = frames[int(SHOWN * len(frames))].copy()
    cv2.putText(
        picture, f"{task}  ({arm_for(task)})", (10, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (60, 48, 40), 1, cv2.LINE_AA
    )
    return picture


def main() -> None:
    """Film the tasks that are asked for, or all, and put a still of each into one picture."""
    CLIPS.mkdir(exist_ok=True)
    for task in sys.argv[1:] or task_names():
        (CLIPS / f"{task}.webm").write_bytes(encode_clip(film(task, arm_for(task)), FPS))
    stills = [still(task) for task in task_names() if (CLIPS / f"{task}.webm").exists()]
    while len(stills) % COLUMNS:
        stills.append(np.full_like(stills[0], 255))
    rows = [np.hstack(stills[k : k + COLUMNS]) for k in range(0, len(stills), COLUMNS)]
    cv2.imwrite(str(HERE / "suite.png"), np.vstack(rows), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
