"""On a cluster of two nodes everything comes out as on this machine, and nobody's death changes that."""

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing import AuthenticationError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray")

import ray
from ray.cluster_utils import Cluster

from genba.__main__ import main
from genba.envs import make_vec
from genba.policies.bundle import PolicyBundle
from genba.policies.crews import ray_line
from genba.policies.crews.crew import CrewError, LocalCrew
from genba.policies.crews.ray_called import Called
from genba.policies.crews.ray_crew import RayCrew
from genba.policies.crews.ray_vector import RayVecEnv
from genba.policies.evaluate import evaluate
from genba.policies.train import train
from genba.policies.training import scratch_run
from genba.policies.training.collect import BatchActor, Collectors, Trajectory
from genba.policies.training.recipe import Nets, Recipe, ScratchRecipe
from genba.robots.errors import RefusedError
from genba.robots.features import FeatureMap

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray.*"),
]

TEACH = {"task": "TeachPoint", "robot": "so101"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    found.add_node(num_cpus=1)
    yield found
    found.shutdown()


@pytest.fixture(scope="module")
def crew(cluster: Cluster) -> Iterator[RayCrew]:
    with closing(RayCrew(cluster.address)) as found:
        yield found


def learner(**options: Any) -> BatchActor:
    """An untrained network, which goes where no expert does."""
    with closing(make_vec("TeachPoint", 1, robot="so101", **options)) as cells:
        spec, task = cells.get_attr("spec_")[0], cells.get_attr("task")[0]
        size = cells.action_space.shape[0]  # type: ignore[index]
    features = FeatureMap.from_spec(spec, task.features)
    rng = np.random.default_rng(2)
    shapes = ((64, features.size), (size, 64))
    layers = tuple((rng.normal(size=shape).astype(np.float32), np.zeros(shape[0], np.float32)) for shape in shapes)
    mean = np.zeros(features.size, np.float32)
    return BatchActor(features=features, mean=mean, std=mean + 1.0, layers=layers)


def same(one: list[Trajectory], other: list[Trajectory]) -> bool:
    keys = ("observation", "achieved_goal", "desired_goal", "action", "label")
    return [(t.seed, t.success) for t in one] == [(t.seed, t.success) for t in other] and all(
        np.array_equal(getattr(a, key), getattr(b, key)) for a, b in zip(one, other, strict=True) for key in keys
    )


def collected(crew: Any, count: int, **more: Any) -> list[Trajectory]:
    collectors = Collectors(TEACH, crew)
    with closing(collectors):
        return collectors.collect(range(10, 10 + count), **more)


def _kill_once(marker: str) -> str:
    """End this very process if nobody has done so before."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker


def _refuse(text: str) -> None:
    raise RefusedError(text)


def test_bad_addresses_are_refused_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    cases = (("the moon", 3, "is no address"), (nobody, 4, "no Ray cluster answers"), ("auto", 4, "no Ray cluster"))
    for address, code, words in cases:
        assert main(["train", "TeachPoint", "--out", str(tmp_path / "run"), "--ray", address]) == code
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_episodes_of_a_learner_are_those_of_this_machine(crew: RayCrew) -> None:
    more = {"actor": learner(), "noise": 0.1, "explore": 0.1}
    found = collected(crew, 20, **more)
    assert same(found, collected(LocalCrew(0), 20, **more))
    assert all(getattr(t, key).flags.writeable for t in found for key in ("observation", "action"))


def test_an_evaluation_is_that_of_this_machine(crew: RayCrew, proportional: PolicyBundle) -> None:
    seen: list[int] = []
    far = evaluate(proportional, 30, seed=5, crew=crew, on_episode=lambda trial: seen.append(trial.seed))
    assert far == evaluate(proportional, 30, seed=5)
    assert sorted(seen) == list(range(5, 35))


def test_what_all_jobs_share_is_sent_once(crew: RayCrew, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    put = ray.put
    monkeypatch.setattr(ray, "put", lambda value: kept.append(len(value)) or put(value))
    sent = learner()
    collected(crew, 20, actor=sent)
    weights = sum(w.nbytes + b.nbytes for w, b in sent.layers)
    assert len(kept) == 1
    assert kept[0] > weights


def test_a_killed_actor_is_replaced_and_its_job_done_again(crew: RayCrew, tmp_path: Path) -> None:
    jobs = [str(tmp_path / name) for name in ("a", "b", "c")]
    assert crew.run(_kill_once, jobs) == jobs
    assert same(collected(crew, 10), collected(LocalCrew(0), 10))


def test_a_job_that_kills_everybody_is_given_up(crew: RayCrew) -> None:
    with pytest.raises(CrewError, match="a job has lost"):
        crew.run(os._exit, [1])


def test_what_goes_wrong_in_an_actor_is_raised_here(crew: RayCrew) -> None:
    with pytest.raises(RefusedError, match=r"^no such thing$"):
        crew.run(_refuse, ["no such thing"])
    assert crew.run(str, [1, 2]) == ["1", "2"]


def test_a_node_that_leaves_is_done_without(cluster: Cluster, crew: RayCrew) -> None:
    node = cluster.add_node(num_cpus=1)
    with closing(RayCrew(cluster.address)) as larger:
        assert larger.size == 3
        before = collected(larger, 32)
        cluster.remove_node(node, allow_graceful=False)
        assert same(before, collected(larger, 32))
    assert crew.run(str, [1]) == ["1"]  # the session is the fixture's, and still open


def rows(cells: Any, steps: int) -> list[Any]:
    rng = np.random.default_rng(0)
    found = [cells.reset()]
    for _ in range(steps):
        actions = rng.uniform(-1.0, 1.0, (cells.num_envs, *cells.action_space.shape)).astype(np.float32)
        found.append(cells.step(actions))
    return found


def test_cells_in_actors_are_cells_of_this_machine(crew: RayCrew) -> None:
    with (
        closing(RayVecEnv("TeachPoint", 5, 2, seed=3, options={"robot": "so101"})) as far,
        closing(make_vec("TeachPoint", 5, seed=3, robot="so101")) as here,
    ):
        steps = here.get_attr("horizon")[0] + 5  # past the end of every episode
        np.testing.assert_equal(rows(far, steps), rows(here, steps))
        assert far.get_attr("horizon", [4, 0]) == here.get_attr("horizon", [4, 0])
        with pytest.raises(AttributeError):
            far.env_method("nonsense")


@pytest.fixture
def two(crew: RayCrew) -> Iterator[RayVecEnv]:
    """Four cells in two actors, in the middle of their episodes."""
    with closing(RayVecEnv("TeachPoint", 4, 2, seed=3, options={"robot": "so101"})) as cells:
        cells.reset()
        yield cells


def still(cells: Any) -> np.ndarray:
    """Actions that ask for nothing."""
    return np.zeros((cells.num_envs, *cells.action_space.shape), np.float32)


def test_cells_that_no_connection_reaches_are_asked_through_ray(
    crew: RayCrew, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def closed(address: tuple[str, int], timeout: float) -> socket.socket:
        raise TimeoutError("a firewall")

    with closing(RayVecEnv("TeachPoint", 2, 1, seed=3, options={"robot": "so101"})) as cells:
        direct = rows(cells, 3)
    monkeypatch.setattr(ray_line.socket, "create_connection", closed)
    monkeypatch.setattr(ray_line, "KNOCK_S", 0.0)  # nor does the actor wait
    with closing(RayVecEnv("TeachPoint", 2, 1, seed=3, options={"robot": "so101"})) as cells:
        np.testing.assert_equal(rows(cells, 3), direct)
        assert cells._crews[0]._actor._line is None
    assert caplog.text.count("asked through Ray") == 1


def test_nobody_without_the_key_is_heard() -> None:
    door = ray_line.Door()
    host, port, key = door.way
    with ThreadPoolExecutor(1) as other:
        visitor = other.submit(door.wait, 10.0)
        with socket.create_connection((host, port)) as stranger, pytest.raises(AuthenticationError):
            ray_line._proven(stranger, b"another key", first=False)
        with socket.create_connection((host, port)) as mute:
            mute.shutdown(socket.SHUT_WR)
        with ray_line._proven(socket.create_connection((host, port)), key, first=False) as mine:
            mine.send_bytes(b"me")
            with visitor.result() as theirs:
                assert theirs.recv_bytes() == b"me"


def test_a_lost_connection_is_a_lost_actor(two: RayVecEnv) -> None:
    two._crews[0]._actor._line._pipe.close()
    _, _, dones, infos = two.step(still(two))
    assert dones.tolist() == [True, True, False, False]
    assert infos[0]["lost"]
    assert not two.step(still(two))[2].any()


def test_ctrl_c_between_question_and_answer_does_no_harm(two: RayVecEnv) -> None:
    two.step_async(still(two))
    with closing(make_vec("TeachPoint", 4, seed=3, robot="so101")) as here:
        expected = here.reset()
        here.step(still(here))
        expected = here.step(still(here))[0]
    two._stepping = False  # as if Ctrl-C had come before the answer
    np.testing.assert_equal(two.step(still(two))[0], expected)


def test_what_goes_wrong_in_a_cell_is_raised_here_and_nothing_is_lost(two: RayVecEnv) -> None:
    with pytest.raises(RefusedError):
        two.env_method("reset", options={"nonsense": 1}, indices=[3])
    assert not two.step(still(two))[2].any()


def kill(called: Called) -> None:
    """Kill an actor; Ray calls it dead while its process still answers, so wait until that has hung up."""
    ray.kill(called._actor)
    assert called._line is not None
    assert called._line._pipe.poll(60.0)
    with pytest.raises(EOFError):
        called._line._pipe.recv_bytes()


@pytest.mark.parametrize("asked", ["step", "get"])
def test_the_episodes_of_a_killed_actor_are_cut_off_and_the_run_goes_on(crew: RayCrew, asked: str) -> None:
    with closing(RayVecEnv("TeachPoint", 4, 2, seed=3, options={"robot": "so101"})) as cells:
        actions = np.zeros((4, *cells.action_space.shape), np.float32)  # type: ignore[misc]
        cells.reset()
        seen, *_ = cells.step(actions)
        kill(cells._crews[1]._actor)
        if asked == "get":
            assert len(cells.get_attr("dt")) == 4
        fresh, rewards, dones, infos = cells.step(actions)
        assert dones.tolist() == [False, False, True, True]
        assert rewards[2:].tolist() == [0.0, 0.0]
        for k in (2, 3):
            assert infos[k]["TimeLimit.truncated"]
            np.testing.assert_equal(infos[k]["terminal_observation"], {key: seen[key][k] for key in seen})
            assert not np.array_equal(fresh["observation"][k], seen["observation"][k])
        _, _, dones, _ = cells.step(actions)
        assert not dones.any()


def test_reinforcement_learning_over_actors_ends_with_the_same_weights(
    crew: RayCrew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch as th

    monkeypatch.setattr(scratch_run, "VALIDATION", 4)
    recipe = Recipe(
        algorithm="PPO",
        scratch=ScratchRecipe(cells=2, barrier=200, steps=300, glance=2, nets=Nets(actor=(16,), critic=(16,))),
        algorithms={"PPO": {"n_steps": 32, "batch_size": 32}},
    )
    ends = []
    for name, who in (("far", crew), ("here", LocalCrew(0))):
        train(**TEACH, out=tmp_path / name, recipe=recipe, crew=who, quiet=True)
        ends.append(th.load(tmp_path / name / "checkpoint.pt", weights_only=True)["best"]["policy"])
    assert all(th.equal(value, ends[1][key]) for key, value in ends[0].items())
