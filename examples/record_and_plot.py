"""Record every tick of an episode and draw it: joint goals against measured positions, as one self-contained page."""

import sys
from pathlib import Path

import numpy as np

from genba.envs.env import CellEnv
from genba.policies.catalogue import find_policy
from genba.policies.pages.plot import joint_plot
from genba.policies.pages.report import write_report
from genba.robots.recorder import Recorder


def main(folder: str = ".") -> None:
    """Write episode.npz and episode.html."""
    bundle = find_policy("PickPlace_so101")
    env = CellEnv("PickPlace", "so101")
    env.station.recorder = recorder = Recorder(env.robot)
    observation, _ = env.reset(seed=1)
    done = False
    while not done:
        observation, _, terminated, truncated, _ = env.step(bundle.act(observation))
        done = terminated or truncated
    env.close()
    recorder.save(Path(folder) / "episode.npz")
    with np.load(Path(folder) / "episode.npz") as rows:  # plain arrays: pandas, MATLAB or a spreadsheet read them too
        stamps, goals, found = (rows[key].tolist() for key in ("stamp", "admitted", "joint_positions"))
        held_back = sum(reason != "" for reason in rows["reasons"])
    plot = joint_plot("Joint goals against measured", stamps, goals, found, env.robot.actuator_names)
    text = f"{len(stamps)} ticks; the envelope changed the target on {held_back} of them."
    write_report(Path(folder) / "episode.html", title="One episode", intro=text, sections=[plot])
    print(text, "See", Path(folder) / "episode.html")


if __name__ == "__main__":
    main(*sys.argv[1:])
