"""LeRobot itself opens what `genba demos` writes; `make peers` builds its environment, without it this is skipped."""

import json
import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genba.envs.env import CellEnv
from genba.policies.crews.crew import LocalCrew
from genba.policies.demonstrations.columns import columns_of
from genba.policies.demonstrations.make import make
from genba.policies.demonstrations.read import read

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".peers" / "bin" / "python"
CLIENT = Path(__file__).parent / "clients" / "lerobot_dataset.py"
PATIENCE = 300.0  # s, for imports on a busy machine
EPISODES = 4
pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not PYTHON.exists(), reason="make peers builds their environment"),
]


def seen_by_lerobot(folder: Path, cache: Path) -> dict[str, Any]:
    run = subprocess.run(
        [str(PYTHON), str(CLIENT), str(folder)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(cache)},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("obs", ["state", "rgb"])
def test_lerobot_opens_the_demonstrations(obs: str, tmp_path: Path) -> None:
    with closing(LocalCrew(0)) as crew:
        made = make(
            task="PickPlace", robot="so101", out=tmp_path / "set", episodes=EPISODES, noise=0.1, obs=obs, crew=crew
        )
    found = seen_by_lerobot(made.path, tmp_path / "cache")
    with closing(CellEnv("PickPlace", "so101", obs=obs)) as env:
        episodes = read(made.path, env).trajectories
        columns = columns_of(env)
        first, _ = env.reset(seed=episodes[0].seed)
        title = env.task.title
    assert (found["length"], found["fps"], found["robot"]) == (made.frames, 30, "so101")
    assert found["task"] == title
    assert found["features"] == {c.name: [c.dtype, *c.shape] for c in columns}
    pictures = {f"observation.images.{name}": "VISUAL" for name in ("front", "wrist") if obs == "rgb"}
    assert found["policy"] == {
        "observation.state": "STATE",
        "observation.environment_state": "ENV",
        "action": "ACTION",
        **pictures,
    }
    ends = np.cumsum([len(t) for t in episodes]).tolist()
    assert found["bounds"] == [list(pair) for pair in zip([0, *ends[:-1]], ends, strict=True)]
    assert found["seeds"] == [t.seed for t in episodes]
    start, last = found["first"], found["last"]
    assert np.float32(start["observation.state"]).tobytes() == first["observation"].tobytes()
    assert np.float32(start["observation.environment_state"]).tobytes() == first["desired_goal"].tobytes()
    assert np.float32(start["action"]).tobytes() == episodes[0].action[0].tobytes()
    assert np.float32(last["expert.action"]).tobytes() == episodes[-1].label[-1].tobytes()
    assert (start["stamp"], start["next.done"], last["next.done"]) == (0.0, False, True)
    assert last["next.success"] == episodes[-1].success
    assert np.float32(found["ahead"][0]).tobytes() == episodes[-1].action[-1].tobytes()
    assert found["padded"] == [False, True, True]
    length, frame = found["second"]
    assert length == len(episodes[1])
    assert np.float32(frame["action"]).tobytes() == episodes[1].action[0].tobytes()
    assert found["batch"]["observation.state"] == [4, len(first["observation"])]
    sent = np.concatenate([t.action for t in episodes])
    assert np.allclose(found["mean"]["action"], sent.mean(axis=0), atol=1e-6)
    assert np.allclose(found["again"]["action"], sent.mean(axis=0), atol=1e-6)
    assert set(found["cameras"]) == set(pictures)
    for name, picture in found["cameras"].items():
        wanted = first[f"{name.removeprefix('observation.images.')}_rgb"]
        assert np.array_equal(np.round(np.array(picture) * 255.0).astype(np.uint8).transpose(1, 2, 0), wanted)
        assert found["batch"][name] == [4, 3, 84, 84]
