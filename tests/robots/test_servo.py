"""The drive law in closed form: what a servo's constants promise is what its joint does."""

from collections.abc import Sequence
from dataclasses import replace
from math import pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genba.robots.catalogue import load_robot, robot_names
from genba.robots.servo import CROSSING_TIME, Drive, Gearbox, ServoLaw, quantise

DT = 1 / 240
SERVOS = {
    f"{name}-{key}": drive
    for name in robot_names()
    for key, drive in load_robot(name).drives.items()
    if drive.kind == "servo"
}
EACH = pytest.mark.parametrize("drive", SERVOS.values(), ids=SERVOS)


def settle(drive: Drive, load: float, *, goal: float = 0.0, start: float = 0.0, seconds: float = 4.0) -> float:
    """Where one joint with its rotor ends up under a constant load torque."""
    law = ServoLaw([drive])
    q, w = start, 0.0
    for _ in range(round(seconds / DT)):
        (torque,) = law.torques([goal], [q], [w])
        w += (torque - load) / drive.armature * DT
        q += w * DT
    return q


@EACH
@pytest.mark.parametrize("share", [0.05, 0.2, -0.2])
def test_sag_is_load_over_stiffness(drive: Drive, share: float) -> None:
    """Without friction and dead zone the joint gives way by torque / stiffness and by nothing else."""
    pure = replace(drive, friction=0.0, dead_zone_ticks=0.0, start_duty=0.0)
    load = share * drive.stall_torque
    assert settle(pure, load) == pytest.approx(-load / pure.stiffness, rel=1e-6)


@EACH
def test_sag_of_the_whole_servo_is_bounded_by_friction_and_dead_zone(drive: Drive) -> None:
    load = 0.2 * drive.stall_torque
    ideal = load / drive.stiffness
    spread = drive.friction / drive.stiffness + drive.dead_zone_ticks * drive.tick
    helped = drive.start_duty * drive.stall_torque / drive.stiffness
    assert ideal - spread - helped - 1e-6 <= -settle(drive, load) <= ideal + spread + 1e-6


@EACH
def test_torque_saturates_at_the_duty_limit_and_falls_to_nothing_at_the_speed_that_duty_reaches(drive: Drive) -> None:
    pure = replace(drive, friction=0.0, viscous=0.0)
    law = ServoLaw([pure])
    for sign in (1.0, -1.0):
        assert law.torques([sign * 3.0], [0.0], [0.0]) == pytest.approx([sign * drive.max_duty * drive.stall_torque])
        assert law.duties == [sign * drive.max_duty]
        fastest = sign * drive.max_duty * drive.no_load_speed
        assert law.torques([sign * 100.0], [0.0], [fastest]) == pytest.approx([0.0], abs=1e-12)
        assert sign * law.torques([sign * 100.0], [0.0], [1.1 * fastest])[0] < 0.0


@EACH
@pytest.mark.parametrize("limit", [0.1, 0.5, 1.0])
def test_torque_limit_register_caps_the_duty(drive: Drive, limit: float) -> None:
    law = ServoLaw([drive], torque_limits=[limit])
    law.torques([3.0], [0.0], [0.0])
    assert law.duties == [min(drive.max_duty, limit)]


@EACH
def test_free_run_reaches_the_no_load_speed_of_the_data_sheet(drive: Drive) -> None:
    pure = replace(drive, friction=0.0, viscous=0.0, max_duty=1.0)
    law, w = ServoLaw([pure]), 0.0
    for _ in range(2400):
        w += law.torques([1e6], [0.0], [w])[0] / pure.armature * DT
    assert w == pytest.approx(drive.no_load_speed, rel=1e-6)


@EACH
@pytest.mark.parametrize("share", [0.5, -0.9, 0.999])
def test_stiction_holds_a_joint_at_rest_while_its_motor_pushes_less_than_friction(drive: Drive, share: float) -> None:
    plain = replace(drive, dead_zone_ticks=0.0, start_duty=0.0)
    law = ServoLaw([plain])
    goal = share * drive.friction / plain.stiffness
    assert law.torques([goal], [0.0], [0.0]) == [0.0]
    assert law.motors == pytest.approx([share * drive.friction])
    past = 2.0 * drive.friction / plain.stiffness
    assert law.torques([past], [0.0], [0.0]) == pytest.approx([drive.friction])


@EACH
def test_friction_stops_a_coasting_joint_for_good(drive: Drive) -> None:
    deaf = replace(drive, dead_zone_ticks=1e6, derivative_gain=0.0)
    law, w = ServoLaw([deaf]), 1.0
    speeds = []
    for _ in range(480):
        w += law.torques([0.0], [0.0], [w])[0] / drive.armature * DT
        speeds.append(w)
    assert all(0.0 <= b <= a for a, b in zip([1.0, *speeds], speeds, strict=False))
    assert speeds[-1] < 1e-6


@EACH
def test_error_inside_the_dead_zone_gives_no_duty_and_just_outside_the_start_duty(drive: Drive) -> None:
    law = ServoLaw([drive])
    edge = drive.dead_zone_ticks * drive.tick
    for sign in (1.0, -1.0):
        law.torques([sign * 0.999 * edge], [0.0], [0.0])
        assert law.duties == [0.0]
        law.torques([sign * (edge + 1e-9)], [0.0], [0.0])
        assert law.duties == pytest.approx([sign * drive.start_duty], abs=1e-6)


@EACH
@given(goal=st.floats(-3, 3), position=st.floats(-3, 3), speed=st.floats(-10, 10))
def test_law_is_odd_and_never_exceeds_the_motor(drive: Drive, goal: float, position: float, speed: float) -> None:
    law = ServoLaw([drive])
    (ahead,) = law.torques([goal], [position], [speed])
    assert abs(law.duties[0]) <= drive.max_duty
    (back,) = law.torques([-goal], [-position], [-speed])
    assert back == -ahead
    brake = (drive.stall_torque / drive.no_load_speed + drive.viscous) * abs(speed)
    assert abs(ahead) <= drive.max_duty * drive.stall_torque + brake + drive.friction + 1e-9


def test_sts3215_has_the_gains_of_its_registers() -> None:
    """P = 32 means 8 per mille of duty per tick, hence 5.215 of full duty per rad."""
    drive = load_robot("so101").drives["sts3215"]
    assert drive.tick == pytest.approx(2 * pi / 4096)
    assert drive.duty_per_rad == pytest.approx(5.215, abs=1e-3)
    assert drive.stiffness == pytest.approx(drive.stall_torque * 5.215, rel=1e-3)


def push(gear: Gearbox, torque: Sequence[float], seconds: float) -> list[float]:
    seen: list[float] = []
    for _ in range(round(seconds / DT)):
        seen = gear.encoders([0.0] * len(torque), torque)
    return seen


@EACH
def test_gearbox_leans_to_the_side_on_which_the_motor_pushes(drive: Drive) -> None:
    gear = Gearbox([drive], DT)
    half = 0.5 * drive.backlash
    assert gear.active == (half > 0.0)
    assert push(gear, [10.0], 20 * CROSSING_TIME) == pytest.approx([half], rel=1e-6)
    assert push(gear, [-10.0], 20 * CROSSING_TIME) == pytest.approx([-half], rel=1e-6)


@EACH
def test_gearbox_crosses_its_play_in_the_crossing_time_and_never_leaves_it(drive: Drive) -> None:
    gear = Gearbox([drive], DT)
    half = 0.5 * drive.backlash
    (seen,) = push(gear, [10.0], CROSSING_TIME)
    assert seen == pytest.approx(half * (1 - 1 / 2.718281828), rel=0.02)
    for k in range(200):
        (seen,) = gear.encoders([0.0], [1e3 if k // 13 % 2 else -1e3])
        assert abs(seen) <= half + 1e-15


def test_gearbox_without_play_leaves_positions_exact() -> None:
    drive = replace(next(iter(SERVOS.values())), backlash=0.0)
    gear = Gearbox([drive], DT)
    assert not gear.active
    assert gear.encoders([0.123456789], [5.0]) == [0.123456789]


@given(positions=st.lists(st.floats(-10, 10), min_size=1, max_size=8), ticks=st.integers(1, 65536))
def test_quantised_positions_are_whole_ticks_and_at_most_half_a_tick_off(positions: list[float], ticks: int) -> None:
    tick = 2 * pi / ticks
    seen = quantise(positions, [tick] * len(positions))
    for q, s in zip(positions, seen, strict=True):
        assert abs(s - q) <= 0.5 * tick * (1 + 1e-9)
        assert abs(s / tick - round(s / tick)) < 1e-6
    assert quantise(seen, [tick] * len(seen)) == pytest.approx(seen, abs=1e-12)
    assert quantise(positions, [0.0] * len(positions)) == tuple(positions)
