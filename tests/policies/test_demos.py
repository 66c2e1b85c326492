"""Demonstrations on disk are the ones a training would have collected, and nothing else passes for them."""

import dataclasses
import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from genba.__main__ import main
from genba.envs.env import CellEnv
from genba.envs.tasks import load_task, task_names
from genba.policies.crews.crew import LocalCrew
from genba.policies.demonstrations.columns import columns_of
from genba.policies.demonstrations.make import Made, make
from genba.policies.demonstrations.parquet import array_of, read_table
from genba.policies.demonstrations.read import read
from genba.policies.demonstrations.summary import summarise, summarise_pictures
from genba.policies.pack import pack
from genba.policies.train import train
from genba.policies.training import imitation_run
from genba.policies.training.checkpoint import load_checkpoint
from genba.policies.training.collect import Collectors, Trajectory
from genba.policies.training.outcome import SEED_BLOCK
from genba.policies.training.recipe import ImitationRecipe, Nets, Recipe
from genba.robots.errors import RefusedError

EPISODES, NOISE, SEED = 20, 0.2, 3  # jobs of 8 + 2 and 8 + 2
INFO = "meta/info.json"
DATA = "data/chunk-000/file-000.parquet"


def write(out: Path, *, workers: int = 0, **options: Any) -> Made:
    chosen = {"task": "TeachPoint", "robot": "so101", "episodes": EPISODES, "seed": SEED, "noise": NOISE, **options}
    with closing(LocalCrew(workers)) as crew:
        return make(out=out, crew=crew, **chosen)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demos") / "set"
    write(out)
    return out


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pictures") / "set"
    write(out, task="PickPlace", episodes=2, obs="rgb", randomize="nominal")
    return out


@pytest.fixture
def own(dataset: Path, tmp_path: Path) -> Path:
    """A copy to be spoilt."""
    return Path(shutil.copytree(dataset, tmp_path / "own"))


@pytest.fixture(scope="module")
def env() -> Any:
    with closing(CellEnv("TeachPoint", "so101")) as cell:
        yield cell


def same(one: Trajectory, other: Trajectory) -> bool:
    names = ("observation", "achieved_goal", "desired_goal", "action", "label")
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    return (one.seed, one.success) == (other.seed, other.success) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs
    )


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def collected(task: str, seeds: int, noise: float, **options: Any) -> list[Trajectory]:
    first = (SEED + 1) * SEED_BLOCK
    half = first + seeds // 2
    collectors = Collectors({"task": task, "robot": "so101", **options}, LocalCrew(0))
    with closing(collectors):
        return collectors.collect(range(first, half)) + collectors.collect(range(half, first + seeds), noise=noise)


def test_what_is_read_is_what_a_training_collects(dataset: Path, env: CellEnv) -> None:
    found = read(dataset, env).trajectories
    wanted = collected("TeachPoint", EPISODES, NOISE)
    assert len(found) == EPISODES
    assert all(same(a, b) for a, b in zip(found, wanted, strict=True))


def test_a_set_with_pictures_holds_the_same_episodes(pictures: Path) -> None:
    with closing(CellEnv("PickPlace", "so101")) as cell:
        found = read(pictures, cell).trajectories
    wanted = collected("PickPlace", 2, NOISE, randomize="nominal")
    assert all(same(a, b) for a, b in zip(found, wanted, strict=True))


def test_pictures_are_those_of_the_cameras_without_loss(pictures: Path) -> None:
    import cv2

    first = (SEED + 1) * SEED_BLOCK
    with closing(CellEnv("PickPlace", "so101", obs="rgb", randomize="nominal")) as cell:
        seen, _ = cell.reset(seed=first)
        table = read_table(pictures / DATA)
        assert array_of(table, "observation.state")[0].tobytes() == seen["observation"].tobytes()
        assert "part_position" not in str(columns_of(cell)[0].names)
    for camera in ("front", "wrist"):
        png = table.column(f"observation.images.{camera}")[0].as_py()["bytes"]
        shown = cv2.cvtColor(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        assert np.array_equal(shown, seen[f"{camera}_rgb"])


def test_who_collects_and_how_often_it_is_begun_changes_no_byte(dataset: Path, tmp_path: Path) -> None:
    write(tmp_path / "by two", workers=2)
    assert content(tmp_path / "by two") == content(dataset)
    seen: list[bool] = []

    def interrupt(success: bool) -> None:
        seen.append(success)
        if len(seen) == 11:
            raise KeyboardInterrupt

    out = tmp_path / "twice"
    with pytest.raises(KeyboardInterrupt):
        write(out, on_episode=interrupt)
    assert not out.exists()
    made = write(out)
    assert made.resumed >= 10
    assert content(out) == content(dataset)
    assert not out.with_name("twice.partial").exists()


def test_a_killed_run_leaves_nothing_that_loads_and_goes_on(dataset: Path, tmp_path: Path, env: CellEnv) -> None:
    out = tmp_path / "killed"
    program = (
        "import os; from pathlib import Path; from genba.policies.crews.crew import LocalCrew;"
        "from genba.policies.demonstrations.make import make; seen = []\n"
        "def end(success):\n"
        "    seen.append(success)\n"
        "    if len(seen) == 12: os.kill(os.getpid(), 9)\n"
        f"make(task='TeachPoint', robot='so101', out=Path({str(out)!r}), episodes={EPISODES}, seed={SEED},"
        f" noise={NOISE}, crew=LocalCrew(0), on_episode=end)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    with pytest.raises(RefusedError, match="no demonstrations are here"):
        read(out, env)
    with pytest.raises(RefusedError, match="no demonstrations are here"):
        read(out.with_name("killed.partial"), env)
    write(out)
    assert content(out) == content(dataset)


@pytest.mark.parametrize("at", [1, 3, 9, 13], ids=str)
def test_a_full_disk_is_one_line_and_can_be_gone_on_from(
    at: int, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    original = pq.ParquetWriter.write_table

    def fill(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal written
        written += 1
        if written == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, *arguments, **options)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", fill)
    with pytest.raises(RefusedError, match="No space left on device") as caught:
        write(tmp_path / "full")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "full").exists()
    write(tmp_path / "full")
    assert content(tmp_path / "full") == content(dataset)


def test_nothing_is_written_over(dataset: Path, tmp_path: Path) -> None:
    before = content(dataset)
    (tmp_path / "a file").touch()
    with pytest.raises(RefusedError, match="already holds something"):
        write(tmp_path / "a file")
    with pytest.raises(RefusedError, match="already holds something"):
        write(dataset)
    assert content(dataset) == before
    (tmp_path / "new.partial").mkdir()
    (tmp_path / "new.partial/diary").touch()
    with pytest.raises(RefusedError, match="is in the way"):
        write(tmp_path / "new")


def test_the_beginning_of_another_set_is_not_gone_on_from(tmp_path: Path) -> None:
    def interrupt(success: bool) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "set", on_episode=interrupt)
    with pytest.raises(RefusedError, match="the beginning of another set"):
        write(tmp_path / "set", seed=SEED + 1)


def test_columns_mean_what_they_say(dataset: Path, env: CellEnv) -> None:
    table, info = read_table(dataset / DATA), json.loads((dataset / INFO).read_text())
    told = {key: tuple(value["shape"]) for key, value in info["features"].items()}
    assert list(told) == table.column_names
    assert all(array_of(table, key).shape[1:] == shape for key, shape in told.items() if shape != (1,))
    robot = env.robot
    episode, frame = array_of(table, "episode_index"), array_of(table, "frame_index")
    assert np.array_equal(array_of(table, "index"), np.arange(len(table)))
    assert np.allclose(array_of(table, "timestamp"), frame / robot.control_rate_hz)
    stamps = array_of(table, "stamp")
    later = np.diff(stamps)[np.diff(episode) == 0]
    assert np.median(later) == pytest.approx(env.dt)
    assert np.abs(later - env.dt).max() < 1.01 / 240  # the arm answers with a substep's delay after a reset
    action, asked = array_of(table, "action"), array_of(table, "expert.action")
    noisy = episode >= EPISODES // 2
    assert np.array_equal(action[~noisy], np.clip(asked[~noisy], -1.0, 1.0))
    assert np.abs(action).max() <= 1.0
    assert 0.5 * NOISE < np.std(action[noisy] - asked[noisy]) < 1.5 * NOISE
    admitted, target = array_of(table, "admitted"), array_of(table, "target")
    changed = np.array([bool(text) for text in table.column("admitted.reasons").to_pylist()])
    assert np.array_equal(admitted[~changed], target[~changed])
    assert changed.any()
    assert (np.abs(admitted[changed] - target[changed]).max(axis=1) > 0).all()
    done = array_of(table, "next.done")
    assert np.array_equal(np.flatnonzero(done), np.flatnonzero(np.append(np.diff(episode), 1)))
    rows = read_table(dataset / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["genba/success"] for row in rows] == array_of(table, "next.success")[done].tolist()
    assert [row["genba/seed"] for row in rows] == [(SEED + 1) * SEED_BLOCK + k for k in range(EPISODES)]
    state = array_of(table, "observation.state")
    names = info["features"]["observation.state"]["names"]
    cut = [names.index(f"joint_positions.{joint}") for joint in robot.joint_names]
    assert np.allclose(state[:, cut], array_of(table, "measured.positions")[:, :-1], atol=1e-6)


def test_statistics_are_of_all_frames(pictures: Path) -> None:
    stats, table = json.loads((pictures / "meta/stats.json").read_text()), read_table(pictures / DATA)
    whole = array_of(table, "measured.positions")
    assert stats["measured.positions"] == summarise(whole)
    assert np.allclose(stats["action"]["std"], array_of(table, "action").std(axis=0), atol=1e-6)
    assert stats["observation.images.front"]["count"] == [len(table)]
    assert np.shape(stats["observation.images.front"]["mean"]) == (3, 1, 1)


def test_statistics_of_pictures_are_those_of_their_numbers() -> None:
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    shades = np.stack([np.bincount(shown[..., c].ravel(), minlength=256) for c in range(3)])
    found = summarise_pictures(shades, 5)
    numbers = (shown / 255.0).reshape(-1, 3)
    for key in ("min", "max", "mean", "std"):
        assert np.allclose(np.ravel(found[key]), getattr(numbers, key)(axis=0))
    assert np.allclose(np.ravel(found["q50"]), np.quantile(numbers, 0.5, axis=0), atol=0.02)


@pytest.mark.parametrize("task", task_names())
def test_every_number_has_a_name_of_its_own(task: str) -> None:
    robot = load_task(task).offered()[0]
    for mode in ("state", "rgb"):
        with closing(CellEnv(task, robot, obs=mode)) as cell:
            columns = columns_of(cell)
            size = cell.observation_space["observation"].shape
        assert columns[0].shape == size
        for column in columns:
            if column.names and column.dtype != "image":
                assert len(set(column.names)) == len(column.names) == column.shape[0]


TINY = Recipe(
    algorithm="imitate",
    imitation=ImitationRecipe(
        demonstrations=EPISODES,
        noise=NOISE,
        rounds=2,
        episodes=2,
        first_updates=100,
        updates=100,
        last_updates=100,
        batch=32,
    ),
    nets=Nets(actor=(16, 16), critic=(16, 16)),
)


def run(
    out: Path, demos: Path | None, *, recipe: Recipe = TINY, task: str = "TeachPoint", resume: bool = False
) -> Path:
    with closing(LocalCrew(0)) as crew:
        train(
            task=task,
            robot="so101",
            out=out,
            seed=SEED,
            crew=crew,
            quiet=True,
            recipe=recipe,
            demos=demos,
            resume=resume,
        )
    return out


def test_a_training_on_them_is_the_training_without_them(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch as th

    monkeypatch.setattr(imitation_run, "VALIDATION", 4)
    without = run(tmp_path / "without", None)
    other = dataclasses.replace(TINY.imitation, demonstrations=7, noise=0.1)
    on_disk = run(tmp_path / "with", dataset, recipe=dataclasses.replace(TINY, imitation=other))
    one, two = (load_checkpoint(folder / "checkpoint.pt") for folder in (without, on_disk))
    for name in ("mean", "std", "label_x", "label_y", "generator"):
        assert th.equal(one[name], two[name])
    assert one["policy"].keys() == two["policy"].keys()
    assert all(th.equal(value, two["policy"][key]) for key, value in one["policy"].items())
    first, second = pack(without), pack(on_disk)
    assert {k: v.tobytes() for k, v in first.weights.items()} == {k: v.tobytes() for k, v in second.weights.items()}
    assert f"--demos {dataset}" in second.manifest.provenance.command
    assert "imitation.noise" not in second.manifest.provenance.command
    with pytest.raises(RefusedError, match="holds a run with demos"):
        run(tmp_path / "with", None, resume=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "PickPlace", "robot": "so101"}, "task 'TeachPoint', this training has 'PickPlace'"),
        ({"task": "TeachPoint", "robot": "koch"}, "robot 'so101', this training has 'koch'"),
        ({"task": "TeachPoint", "robot": "so101", "control": "joint_delta"}, "control.mode 'ee_delta'"),
        ({"task": "TeachPoint", "robot": "so101", "control_rate_hz": 60}, "control.rate_hz 30"),
        ({"task": "TeachPoint", "robot": "so101", "tolerance": "industrial"}, "tolerance 'servo'"),
    ],
    ids=["task", "arm", "mode", "rate", "tolerance"],
)
def test_a_set_of_something_else_is_refused_by_name(dataset: Path, options: dict[str, Any], said: str) -> None:
    with closing(CellEnv(**options)) as cell, pytest.raises(RefusedError, match=said) as caught:
        read(dataset, cell)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def _change_info(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        info = json.loads((folder / INFO).read_text())
        change(info)
        (folder / INFO).write_text(json.dumps(info))

    return spoil


def _flip(folder: Path) -> None:
    raw = bytearray((folder / DATA).read_bytes())
    raw[len(raw) // 3] ^= 1
    (folder / DATA).write_bytes(raw)


def _honest(change: Callable[[Path], None]) -> Callable[[Path], None]:
    """Spoil the frames and write the right checksum beside them."""
    from genba.policies.demonstrations.identity import checksum

    def spoil(folder: Path) -> None:
        change(folder)
        _change_info(lambda info: info["genba"]["files"].update({DATA: checksum(folder / DATA)}))(folder)

    return spoil


def _without_actions(folder: Path) -> None:
    table = read_table(folder / DATA)
    pq.write_table(table.drop_columns(["action"]), folder / DATA)


def _not_finite(folder: Path) -> None:
    import pyarrow as pa

    table = read_table(folder / DATA)
    place = table.column_names.index("expert.action")
    spoilt = np.full_like(array_of(table, "expert.action"), np.nan)
    column = pa.FixedSizeListArray.from_arrays(pa.array(spoilt.reshape(-1)), spoilt.shape[1])
    pq.write_table(table.set_column(place, "expert.action", column), folder / DATA)


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "hash": (_change_info(lambda i: i["genba"].update(robot_hash="0" * 64)), "robot.hash"),
    "spec": (_change_info(lambda i: i["genba"]["spec"]["observation"][0].update(low=-1.0)), "spec of joint_positions"),
    "fields": (_change_info(lambda i: i["genba"]["spec"]["observation"].pop()), "fields of observation"),
    "level": (_change_info(lambda i: i["genba"].update(level="L9")), "level 'L9'"),
    "a key": (_change_info(lambda i: i["genba"].pop("seed")), "'seed' is missing"),
    "a type": (_change_info(lambda i: i["genba"].update(noise="much")), "expected a finite number"),
    "format": (_change_info(lambda i: i["genba"].update(format=99)), "format 99"),
    "another writer": (_change_info(lambda i: i.pop("genba")), "not written by genba demos"),
    "no list": (_change_info(lambda i: i["genba"].update(files={})), "list of files"),
    "outside": (_change_info(lambda i: i["genba"]["files"].update({"../x": "0"})), "outside the dataset"),
    "no JSON": (lambda f: (f / INFO).write_text("{"), "not valid JSON"),
    "no info": (lambda f: (f / INFO).unlink(), "no demonstrations are here"),
    "a bit": (_flip, "damaged or was changed"),
    "half": (lambda f: (f / DATA).write_bytes((f / DATA).read_bytes()[:9999]), "damaged or was changed"),
    "no data": (lambda f: (f / DATA).unlink(), "cannot be read"),
    "rubbish": (_honest(lambda f: (f / DATA).write_bytes(b"PAR1 or not")), "is damaged"),
    "no column": (_honest(_without_actions), "is damaged"),
    "not finite": (_honest(_not_finite), "not finite"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_set_is_refused_in_one_line(name: str, own: Path, env: CellEnv) -> None:
    spoil, said = SPOILT[name]
    spoil(own)
    with pytest.raises(RefusedError, match=said) as caught:
        read(own, env)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--algo", "PPO"], "do nothing with PPO"),
        (["--algo", "tempo+imitate"], "do nothing with tempo+imitate"),
        (["--set", "tempo.lead=0.5"], "tempo does nothing with --demos"),
        (["--set", "imitation.noise=0.3"], "imitation.noise does nothing with --demos"),
        (["--set", "imitation.demonstrations=8"], "imitation.demonstrations does nothing with --demos"),
        (["--robot", "koch"], "robot 'so101'"),
    ],
    ids=["algorithm", "search", "tempo", "noise", "count", "arm"],
)
def test_train_says_what_does_not_go_with_them(
    words: list[str], said: str, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["train", "TeachPoint", "--out", str(out), "--demos", str(dataset), *words]) == 3
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_the_verb_writes_a_set_and_tells_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "set"
    words = ["demos", "TeachPoint", "--episodes", "2", "--out", str(out), "--workers", "0", "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["episodes"] == told["successes"] == 2
    assert told["frames"] == pq.read_metadata(out / DATA).num_rows
    assert pq.read_metadata(out / DATA).num_row_groups == 2
    assert main(words) == 3
    assert main([*words[:-1], "--noise", "2"]) == 3
    assert capsys.readouterr().err.count("\n") == 2


def test_large_sets_go_into_several_files(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: CellEnv
) -> None:
    from genba.policies.demonstrations import whole

    monkeypatch.setattr(whole, "FILE_BYTES", 200_000)
    write(tmp_path / "set")
    files = sorted((tmp_path / "set/data/chunk-000").iterdir())
    assert len(files) > 2
    rows = read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    for row in rows:
        inside = array_of(read_table(files[row["data/file_index"]]), "index")
        assert {row["dataset_from_index"], row["dataset_to_index"] - 1} <= set(inside.tolist())
    pairs = zip(read(tmp_path / "set", env).trajectories, read(dataset, env).trajectories, strict=True)
    assert all(same(a, b) for a, b in pairs)


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None; from genba.__main__ import main;"
        f"sys.exit(main(['demos', 'TeachPoint', '--out', {str(tmp_path / 'set')!r}, '--workers', '0']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "pip install 'genba[data]'" in done.stderr
