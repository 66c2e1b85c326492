"""A record of a run is read back as it was, and a disk that refuses costs nothing but one line."""

import errno
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from genba.robots.catalogue import load_robot, robot_names
from genba.robots.errors import DiskError, GenbaError, RefusedError
from genba.robots.recorder import Recorder, Tick
from genba.robots.state import ArmState

ROBOTS = pytest.mark.parametrize("name", robot_names())


def filled(name: str, rows: int, *, capacity: int = 1000) -> Recorder:
    robot = load_robot(name)
    recorder = Recorder(robot, capacity=capacity)
    n = len(robot.joints)
    for k in range(rows):
        vector = tuple(k + 0.1 * j for j in range(n + 1))
        state = ArmState(
            stamp=k / 30,
            joint_positions=vector[:-1],
            joint_velocities=(0.5,) * n,
            joint_efforts=(0.25,) * n,
            gripper=vector[-1],
        )
        reasons = ("range", "braking", "range") if k % 2 else ()
        recorder.add(
            Tick(
                stamp=state.stamp,
                action=(0.5,) * 5,
                target=vector,
                admitted=vector,
                reasons=reasons,
                state=state,
                observation={"observation": np.full(7, k, np.float32)},
            )
        )
    return recorder


@ROBOTS
def test_record_is_read_back_as_it_was_without_pickle(name: str, tmp_path: Path) -> None:
    recorder = filled(name, 20)
    path = tmp_path / "run.npz"
    recorder.save(path)
    with np.load(path, allow_pickle=False) as data:
        assert tuple(data["names"]) == load_robot(name).actuator_names
        assert data["stamp"].tolist() == [row.stamp for row in recorder.rows]
        for key in ("action", "target", "admitted"):
            assert data[key].tolist() == [list(getattr(row, key)) for row in recorder.rows]
        assert data["joint_positions"].tolist() == [
            [*row.state.joint_positions, row.state.gripper] for row in recorder.rows
        ]
        assert data["reasons"].tolist() == ["", "braking,range"] * 10
        assert data["observation"].dtype == np.float32
        assert data["observation"][:, 0].tolist() == list(range(20))
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]


@ROBOTS
def test_newest_ticks_are_kept_when_the_memory_is_full(name: str) -> None:
    rows = filled(name, 250, capacity=100).rows
    assert 90 <= len(rows) <= 100
    assert rows[-1].stamp == 249 / 30
    assert all(b.stamp > a.stamp for a, b in pairwise(rows))


def one_line(refused: pytest.ExceptionInfo[GenbaError], path: Path) -> bool:
    said = str(refused.value)
    return str(path) in said and "\n" not in said


def test_nothing_recorded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        filled("so101", 0).save(tmp_path / "run.npz")
    assert one_line(refused, tmp_path / "run.npz")
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "run.npz"
    with pytest.raises(DiskError) as refused:
        filled("so101", 3).save(path)
    assert one_line(refused, path)


def test_full_disk_is_told_in_one_line_and_the_old_record_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    filled("so101", 3).save(path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(DiskError, match="No space left on device") as refused:
        filled("so101", 9).save(path)
    assert one_line(refused, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]


def test_target_that_is_a_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    path.mkdir()
    with pytest.raises(RefusedError) as refused:
        filled("so101", 3).save(path)
    assert one_line(refused, path)
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]
