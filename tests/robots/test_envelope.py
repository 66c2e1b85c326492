"""The safety envelope against hostile streams: whatever is asked of whatever arm, every limit of its TOML holds."""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import genba
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.description import RobotDescription
from genba.robots.envelope import Admitted, SafetyEnvelope
from genba.robots.errors import RefusedError, SafetyError
from genba.robots.kinematics import Kinematics
from genba.robots.state import ArmState

TINY = 1e-9  # rounding
HUGE = 1e300
Vector = tuple[float, ...]
Stream = Callable[[int, Vector, np.random.Generator], Sequence[float]]

ROBOTS = pytest.mark.parametrize("name", robot_names())
RATES = pytest.mark.parametrize("rate_hz", [20, 30, 60, 100])


@dataclass(frozen=True)
class Limits:
    """Every limit of an arm, gripper last, as arrays."""

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    ahead: np.ndarray


@cache
def arm(name: str) -> tuple[RobotDescription, Kinematics, Limits]:
    robot = load_robot(name)
    g = robot.gripper
    low, high = sorted((g.closed, g.open))
    limits = Limits(
        lower=np.array([*(j.lower for j in robot.joints), low]),
        upper=np.array([*(j.upper for j in robot.joints), high]),
        velocity=np.array([*(j.max_velocity for j in robot.joints), g.max_velocity]),
        acceleration=np.array([*(j.max_acceleration for j in robot.joints), g.max_acceleration]),
        ahead=np.array(robot.limits.look_ahead),
    )
    return robot, Kinematics(robot), limits


def state_at(where: Sequence[float], stamp: float = 0.0) -> ArmState:
    """A measurement of an arm at rest, gripper last."""
    *joints, gripper = map(float, where)
    still = (0.0,) * len(joints)
    return ArmState(
        stamp=stamp, joint_positions=tuple(joints), joint_velocities=still, joint_efforts=still, gripper=gripper
    )


def vector(admitted: Admitted) -> np.ndarray:
    return np.array([*admitted.joint_positions, admitted.gripper])


def starts(name: str) -> list[np.ndarray]:
    """Home, and poses all over the joint range whose TCP lies inside the workspace."""
    robot, kinematics, limits = arm(name)
    rng = np.random.default_rng(1)
    found = [np.array([*robot.home, robot.gripper.home])]
    while len(found) < 4:
        drawn = rng.uniform(limits.lower, limits.upper)
        tcp = np.array(kinematics.forward(drawn[:-1].tolist()).position)
        if (tcp > robot.limits.workspace_lower).all() and (tcp < robot.limits.workspace_upper).all():
            found.append(drawn)
    return found


@dataclass(frozen=True)
class Step:
    """One admitted command beside the one before it and the measurement it was judged by."""

    before: np.ndarray
    measured: np.ndarray
    after: np.ndarray
    velocity_before: np.ndarray
    reasons: tuple[str, ...]
    dt: float

    @property
    def velocity(self) -> np.ndarray:
        return (self.after - self.before) / self.dt


def drive(
    name: str, stream: Stream, *, rate_hz: int, ticks: int, start: np.ndarray, follow: float = 1.0, seed: int = 0
) -> Iterator[Step]:
    """Feed a stream of targets; each tick the arm makes up a share `follow` of its following error."""
    robot, kinematics, _ = arm(name)
    rng = np.random.default_rng(seed)
    dt = 1.0 / rate_hz
    envelope = SafetyEnvelope(robot, kinematics)
    before = vector(envelope.reset(state_at(start)))
    assert before.tolist() == start.tolist()
    measured, speed = before, np.zeros_like(before)
    for k in range(ticks):
        measured = measured + follow * (before - measured)
        state = state_at(measured, stamp=(k + 1) * dt)
        target = [float(q) for q in stream(k, tuple(before.tolist()), rng)]
        admitted = envelope.admit(target, state, kinematics.forward(state.joint_positions), dt)
        step = Step(before, measured, vector(admitted), speed, admitted.reasons, dt)
        yield step
        before, speed = step.after, step.velocity


def streams(name: str) -> dict[str, Stream]:
    _, _, limits = arm(name)
    wide = 2.0 * (limits.upper - limits.lower)
    return {
        "noise": lambda k, q, rng: rng.uniform(limits.lower - wide, limits.upper + wide),
        "jumps": lambda k, q, rng: np.random.default_rng(k // 20).uniform(limits.lower, limits.upper),
        "bang": lambda k, q, rng: np.where(k // 7 % 2, limits.upper, limits.lower) * 1e6,
        "all one way": lambda k, q, rng: np.full(len(q), HUGE * (1.0 if k < 60 else -1.0) / len(q)),
        "counter": lambda k, q, rng: np.array(q) + 1e3 * np.where((np.arange(len(q)) + k // 40) % 2, 1.0, -1.0),
        "shiver": lambda k, q, rng: np.array(q) + rng.choice([-1.0, 1.0], len(q)),
    }


def each_step(name: str, rate_hz: int, follow: float = 1.0) -> Iterator[Step]:
    for stream in streams(name).values():
        for start in starts(name):
            yield from drive(name, stream, rate_hz=rate_hz, ticks=100, start=start, follow=follow)


def assert_joint_laws(limits: Limits, step: Step) -> None:
    """Range, speed, and acceleration unless a stronger rule acted."""
    assert (step.after <= limits.upper + TINY).all()
    assert (step.after >= limits.lower - TINY).all()
    assert (abs(step.velocity) <= limits.velocity * (1 + 1e-6)).all()
    change = abs(step.velocity - step.velocity_before)
    free = slice(-1, None) if {"tcp_speed", "workspace", "linkage"} & set(step.reasons) else slice(None)
    assert (change[free] <= limits.acceleration[free] * step.dt * (1 + 1e-6) + TINY).all()


@RATES
@ROBOTS
@pytest.mark.parametrize("follow", [1.0, 0.4, 0.0], ids=["follows", "lags", "stuck"])
def test_range_speed_and_acceleration_hold_under_every_stream(name: str, rate_hz: int, follow: float) -> None:
    limits = arm(name)[2]
    for step in each_step(name, rate_hz, follow):
        assert_joint_laws(limits, step)


@RATES
@pytest.mark.parametrize("name", [name for name in robot_names() if load_robot(name).linkages])
def test_rods_between_joints_are_never_driven_into_their_stops(name: str, rate_hz: int) -> None:
    for link in arm(name)[0].linkages:
        for step in each_step(name, rate_hz):
            before, after = (sum(np.array(link.coefficients) * at[:-1]) for at in (step.before, step.after))
            assert min(link.lower, before) - TINY <= after <= max(link.upper, before) + TINY


@RATES
@ROBOTS
def test_command_never_runs_away_from_an_arm_that_is_stuck(name: str, rate_hz: int) -> None:
    """Beyond the look-ahead lies at most the way that braking at the admitted acceleration takes."""
    limits = arm(name)[2]
    braking = limits.velocity**2 / (2.0 * limits.acceleration) + limits.velocity / rate_hz
    for step in each_step(name, rate_hz, follow=0.0):
        assert (abs(step.after - step.measured) <= limits.ahead + braking + TINY).all()


@RATES
@ROBOTS
def test_command_stays_within_the_look_ahead_of_an_arm_that_follows(name: str, rate_hz: int) -> None:
    limits = arm(name)[2]
    for step in each_step(name, rate_hz):
        assert (abs(step.after - step.measured) <= limits.ahead + TINY).all()


def tool_path(name: str, follow: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the commands of every stream put the tool, m, and how fast it gets there, m/s.

    By forward kinematics of consecutive commands, not by the Jacobian that the envelope itself uses.
    """
    _, kinematics, _ = arm(name)
    steps = [step for rate_hz in (20, 30, 60, 100) for step in each_step(name, rate_hz, follow)]
    before, after = (
        kinematics.forward_batch(np.array([getattr(step, which)[:-1] for step in steps]))[0]
        for which in ("before", "after")
    )
    return after, np.linalg.norm(after - before, axis=1) / np.array([step.dt for step in steps])


@ROBOTS
def test_tool_stays_inside_its_workspace(name: str) -> None:
    limits = arm(name)[0].limits
    places, _ = tool_path(name, follow=1.0)
    assert (places <= np.array(limits.workspace_upper) + TINY).all()
    assert (places >= np.array(limits.workspace_lower) - TINY).all()


@ROBOTS
def test_tool_stays_below_its_speed(name: str) -> None:
    _, speeds = tool_path(name, follow=1.0)
    assert speeds.max() <= arm(name)[0].limits.tcp_speed * 1.01


@ROBOTS
def test_tool_of_a_lagging_arm_stays_below_its_speed(name: str) -> None:
    _, speeds = tool_path(name, follow=0.3)
    assert speeds.max() <= arm(name)[0].limits.tcp_speed * 1.01


@ROBOTS
def test_tool_brakes_before_the_wall_of_the_workspace(name: str) -> None:
    """A tool that runs into the wall at full speed comes to rest at it, and each tick could still stop in time."""
    robot, kinematics, limits = arm(name)
    start = np.array([*robot.home, robot.gripper.home])
    for away in (1.0, -1.0):
        steps = list(drive(name, lambda k, q, rng, to=away: np.array(q) + to, rate_hz=30, ticks=400, start=start))
        last = np.array(kinematics.forward(steps[-1].after[:-1].tolist()).position)
        for step in steps:
            moving = step.velocity[:-1]
            time = float((abs(moving) / limits.acceleration[:-1]).max())
            stop = step.after[:-1] + moving * 0.5 * time
            tcp = np.array(kinematics.forward(stop.tolist()).position)
            assert (tcp <= np.array(robot.limits.workspace_upper) + 2e-3).all()
            assert (tcp >= np.array(robot.limits.workspace_lower) - 2e-3).all()
        assert (last >= np.array(robot.limits.workspace_lower) - TINY).all()
        assert abs(steps[-1].velocity).max() < 0.02


@ROBOTS
@settings(max_examples=40)
@given(data=st.data())
def test_no_finite_stream_breaks_a_joint_limit(name: str, data: st.DataObject) -> None:
    limits = arm(name)[2]
    size = len(limits.lower)
    number = st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 1e-300, 1e9, -1e9])
    targets = data.draw(st.lists(st.lists(number, min_size=size, max_size=size), min_size=1, max_size=25))
    follow = data.draw(st.floats(0.0, 1.0))
    rate_hz = data.draw(st.sampled_from([10, 30, 100, 250]))
    start = limits.lower + data.draw(st.floats(0.0, 1.0)) * (limits.upper - limits.lower)
    for step in drive(
        name, lambda k, q, rng: targets[k], rate_hz=rate_hz, ticks=len(targets), start=start, follow=follow
    ):
        assert_joint_laws(limits, step)


@ROBOTS
@settings(max_examples=25)
@given(data=st.data())
def test_target_within_all_limits_passes_untouched(name: str, data: st.DataObject) -> None:
    """The envelope is no second controller: a small step from rest near home is admitted as asked."""
    robot, _, _ = arm(name)
    start = np.array([*robot.home, robot.gripper.home])
    reach = 0.3 * arm(name)[2].acceleration / 30.0**2
    share = data.draw(st.lists(st.floats(-1.0, 1.0), min_size=len(start), max_size=len(start)))
    wanted = start + np.array(share) * reach
    (step,) = drive(name, lambda k, q, rng: wanted, rate_hz=30, ticks=1, start=start)
    if not step.reasons:
        assert np.allclose(step.after, wanted, rtol=0.0, atol=1e-12)
    assert set(step.reasons) <= {"workspace"}


@ROBOTS
@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_target_that_is_not_finite_is_refused_by_name_and_nothing_changes(name: str, bad: float) -> None:
    robot, kinematics, _ = arm(name)
    start = [*robot.home, robot.gripper.home]
    state = state_at(start)
    pose = kinematics.forward(state.joint_positions)
    for k, joint in enumerate(robot.actuator_names):
        envelope = SafetyEnvelope(robot, kinematics)
        envelope.reset(state)
        envelope.admit(start, replace(state, stamp=0.02), pose, 0.02)
        before = envelope.snapshot()
        target = [*start[:k], bad, *start[k + 1 :]]
        with pytest.raises(RefusedError, match=joint):
            envelope.admit(target, replace(state, stamp=0.04), pose, 0.02)
        assert envelope.snapshot() == before


@ROBOTS
@settings(max_examples=30)
@given(data=st.data())
def test_vector_of_any_other_length_is_refused_and_nothing_changes(name: str, data: st.DataObject) -> None:
    robot, kinematics, _ = arm(name)
    start = [*robot.home, robot.gripper.home]
    state = state_at(start)
    envelope = SafetyEnvelope(robot, kinematics)
    envelope.reset(state)
    before = envelope.snapshot()
    length = data.draw(st.integers(0, 20).filter(lambda n: n != len(start)))
    target = data.draw(st.lists(st.floats(), min_size=length, max_size=length))
    with pytest.raises(RefusedError, match=f"needs {len(start)}"):
        envelope.admit(target, replace(state, stamp=0.1), kinematics.forward(state.joint_positions), 0.02)
    assert envelope.snapshot() == before


@ROBOTS
def test_opposite_infinities_and_overflow_do_not_cancel(name: str) -> None:
    robot, kinematics, _ = arm(name)
    state = state_at([*robot.home, robot.gripper.home])
    pose = kinematics.forward(state.joint_positions)
    envelope = SafetyEnvelope(robot, kinematics)
    envelope.reset(state)
    before = envelope.snapshot()
    rest = [0.0] * (len(robot.actuator_names) - 2)
    for pair in ((inf, -inf), (1.7e308, 1.7e308)):
        with pytest.raises(RefusedError):
            envelope.admit([*pair, *rest], replace(state, stamp=0.1), pose, 0.02)
        assert envelope.snapshot() == before


@ROBOTS
def test_measurement_that_is_not_finite_stops_the_arm(name: str) -> None:
    robot, kinematics, _ = arm(name)
    start = [*robot.home, robot.gripper.home]
    good = state_at(start)
    pose = kinematics.forward(good.joint_positions)
    for k in range(len(start)):
        bad = state_at([*start[:k], nan, *start[k + 1 :]], stamp=0.1)
        with pytest.raises(SafetyError, match="not finite"):
            SafetyEnvelope(robot, kinematics).reset(bad)
        envelope = SafetyEnvelope(robot, kinematics)
        envelope.reset(good)
        before = envelope.snapshot()
        with pytest.raises(SafetyError, match="not finite"):
            envelope.admit(start, bad, pose, 0.02)
        assert envelope.snapshot() == before


@ROBOTS
@pytest.mark.parametrize("dt", [0.01, 1 / 30])
def test_stale_measurement_is_refused_after_stale_after_and_never_before(name: str, dt: float) -> None:
    robot, kinematics, _ = arm(name)
    start = [*robot.home, robot.gripper.home]
    state = state_at(start, stamp=5.0)
    pose = kinematics.forward(state.joint_positions)
    envelope = SafetyEnvelope(robot, kinematics)
    envelope.reset(state)
    age = 0.0
    while age + dt <= robot.limits.stale_after:
        envelope.admit(start, state, pose, dt)
        age += dt
    for _ in range(3):
        with pytest.raises(SafetyError, match="no fresh measurement"):
            envelope.admit(start, state, pose, dt)
    envelope.admit(start, replace(state, stamp=5.0 + 1e-6), pose, dt)  # a fresh one lets it go on
    old = replace(state, stamp=4.0)  # an older stamp is not fresh
    for _ in range(int(robot.limits.stale_after / dt)):
        envelope.admit(start, old, pose, dt)
    with pytest.raises(SafetyError):
        envelope.admit(start, old, pose, dt)


@ROBOTS
@pytest.mark.parametrize("side", ["below", "above"])
@pytest.mark.parametrize("wish", ["further out", "stay", "in"])
def test_joint_outside_its_range_only_moves_inward(name: str, side: str, wish: str) -> None:
    """As after being pushed by hand with torque off: no jump, no further out, back inside in the end."""
    robot, kinematics, limits = arm(name)
    out = 1.0 if side == "above" else -1.0
    bound = limits.upper if side == "above" else limits.lower
    for k in range(len(robot.joints)):
        start = np.array([*robot.home, robot.gripper.home])
        start[k] = bound[k] + out * 0.05
        tcp = np.array(kinematics.forward(start[:-1].tolist()).position)
        target = start.copy()
        target[k] += out * {"further out": 1.0, "stay": 0.0, "in": -0.3}[wish]
        previous = start[k]
        for step in drive(name, lambda i, q, rng, to=target: to, rate_hz=30, ticks=60, start=start):
            was_outside = out * (previous - bound[k]) > 0.0
            assert out * (step.after[k] - (previous if was_outside else bound[k])) <= TINY
            assert (abs(step.velocity) <= limits.velocity * (1 + 1e-6)).all()
            previous = step.after[k]
        inside = (tcp > robot.limits.workspace_lower).all() and (tcp < robot.limits.workspace_upper).all()
        if inside and wish != "stay":
            assert out * (previous - bound[k]) < 0.05 - 1e-3


@ROBOTS
def test_first_command_after_a_reset_is_the_measured_position(name: str) -> None:
    robot, kinematics, limits = arm(name)
    rng = np.random.default_rng(3)
    envelope = SafetyEnvelope(robot, kinematics)
    for _ in range(20):
        where = rng.uniform(limits.lower - 0.1, limits.upper + 0.1)
        admitted = envelope.reset(state_at(where, stamp=7.0))
        assert vector(admitted).tolist() == where.tolist()
        assert admitted.reasons == ()
        assert admitted.stamp == 7.0


@ROBOTS
def test_restored_envelope_goes_on_as_if_nothing_had_been(name: str) -> None:
    robot, kinematics, limits = arm(name)
    envelope = SafetyEnvelope(robot, kinematics)
    envelope.reset(state_at([*robot.home, robot.gripper.home]))

    def run(ticks: int, seed: int, at: int) -> list[list[float]]:
        rng = np.random.default_rng(seed)
        found = []
        for k in range(ticks):
            state = state_at(envelope.snapshot()[0], stamp=0.03 * (at + k + 1))
            target = rng.uniform(limits.lower, limits.upper).tolist()
            found.append(
                vector(envelope.admit(target, state, kinematics.forward(state.joint_positions), 0.03)).tolist()
            )
        return found

    run(10, 0, 0)
    saved = envelope.snapshot()
    first = run(15, 1, 10)
    run(20, 2, 25)
    envelope.restore(saved)
    assert run(15, 1, 10) == first


# -- who may make a command ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seal", [None, object(), "_SEAL", Admitted, True])
def test_nobody_but_the_envelope_makes_an_admitted_command(seal: object) -> None:
    with pytest.raises(TypeError, match=r"SafetyEnvelope\.admit"):
        Admitted(seal, 0.0, (0.0,), 0.0, ())


def package_files() -> list[Path]:
    root = Path(genba.__file__).parent
    rooms = ("robots", "drivers", "envs", "policies")
    return sorted([root / "__main__.py", *(path for room in rooms for path in (root / room).rglob("*.py"))])


@pytest.mark.parametrize("path", package_files(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_other_file_makes_an_admitted_command_or_knows_the_seal(path: Path) -> None:
    if (path.parent.name, path.name) == ("robots", "envelope.py"):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            assert name != "Admitted", f"line {node.lineno}"
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("envelope"):
            assert {alias.name for alias in node.names} <= {"Admitted", "SafetyEnvelope"}, f"line {node.lineno}"
        if isinstance(node, ast.Attribute) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            said = node.attr if isinstance(node, ast.Attribute) else node.value
            assert said != "_SEAL", f"line {node.lineno}"
        if isinstance(node, ast.ClassDef):
            assert not any(getattr(base, "id", "") == "Admitted" for base in node.bases), f"line {node.lineno}"
