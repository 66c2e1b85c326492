"""`genba calibrate --sweep`, `--import`: where each joint truly is, however its horn sits and its count wraps."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from genba.__main__ import main
from genba.drivers import ports
from genba.drivers.calibration import TWO_PI, calibration_path, load_calibration, nominal_calibration
from genba.drivers.phosphobot import FRAMES, PhosphobotArm
from genba.drivers.phosphobot import to_calibration as phosphobot_calibration
from genba.drivers.protocols import load_protocol
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.plant import Motion, ServoPlant
from genba.drivers.virtual.servo import TICKS, RegisterServo
from genba.drivers.virtual.sim_port import SimPort
from genba.robots import catalogue
from genba.robots.catalogue import load_robot
from genba.robots.description import RobotDescription

URL = "genba-sim://arm"
STOP = 0.05  # rad from the end of a joint's range to its mechanical stop
SWEEP_S, POSE_S = 6.0, 2.0
SWEEP = ("calibrate", "--port", URL, "--sweep", "--seconds", str(SWEEP_S), "--pose-seconds", str(POSE_S), "--json")
Angles = Callable[[float], Sequence[float]]
NOT_TURNED: Mapping[int, float] = {}


@pytest.fixture(autouse=True)
def bench(monkeypatch: pytest.MonkeyPatch, robot: RobotDescription, line: VirtualLine, tmp_path: Path) -> None:
    """One virtual arm that stays the same whoever opens its port, and is the only robot."""
    monkeypatch.setattr(ports, "_open_sim", lambda url, rate: SimPort(url, line, rate, virtual_time=True))
    monkeypatch.setattr(catalogue, "load_robot", lambda name: robot)
    monkeypatch.setenv("GENBA_HOME", str(tmp_path))


def hand(robot: RobotDescription, pose: Sequence[float], share: float = 1.0) -> Angles:
    """Angles of a person who moves each joint from stop to stop, or a share of that, and then into a pose."""
    g = robot.gripper
    ranges = [*((j.lower, j.upper) for j in robot.joints), (min(g.closed, g.open), max(g.closed, g.open))]

    def angles(time: float) -> list[float]:
        out = []
        for (lower, upper), start, end in zip(ranges, (*robot.home, g.home), pose, strict=True):
            low, high = lower - STOP, low_to(lower, upper, share)
            third = SWEEP_S / 3.0
            # Against a stop a hand rests for a moment.
            knots = [(0.0, start), (third, low), (1.2 * third, low), (2.5 * third, high), (2.7 * third, high)]
            knots.append((SWEEP_S + 0.6 * POSE_S, end))
            now = end
            for (t0, a0), (t1, a1) in pairwise(knots):
                if t0 <= time <= t1:
                    now = a0 + (a1 - a0) * (time - t0) / (t1 - t0)
                    break
            out.append(now)
        return out

    return angles


def low_to(lower: float, upper: float, share: float) -> float:
    return lower + share * (upper - lower) + (STOP if share == 1.0 else 0.0)


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch, line: VirtualLine) -> Callable[..., None]:
    """Let a hand move the arm; some joints count backwards, some have their horn turned by an angle in rad."""

    def by(angles: Angles, reversed_joints: Sequence[int] = (), turned: Mapping[int, float] = NOT_TURNED) -> None:
        began = line.now

        def motion(commands: object = None) -> Motion:
            true = angles(line.now - began)
            seen = [(-a if k in reversed_joints else a) + turned.get(k, 0.0) for k, a in enumerate(true)]
            return Motion(tuple(seen), (0.0,) * len(seen), (0.0,) * len(seen))

        monkeypatch.setattr(line.plant, "step", motion)
        monkeypatch.setattr(line.plant, "motion", motion)
        line.step(line.now + 0.01)

    return by


def pose_of(robot: RobotDescription, name: str = "park") -> tuple[float, ...]:
    return (*(robot.park if name == "park" else robot.home), robot.gripper.closed)


def swept(capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, object]:
    code = main([*SWEEP, *more])
    shown = capsys.readouterr()
    assert (code, shown.err) == (0, "")
    return json.loads(shown.out)


def offset_of(servo: RegisterServo) -> int:
    """What its offset register holds; 0 where it has none."""
    return servo.get("position_offset") if "position_offset" in servo._table else 0


def askew(line: VirtualLine, ticks: int) -> Mapping[int, float]:
    """Shift the counts of all servos: by their own offset, or where they have none by turned horns, in rad."""
    for servo in line.servos:
        if "position_offset" not in servo._table:
            return {k: ticks * line.servos[k].tick * line.servos[k].counts / 4096 for k in range(len(line.servos))}
        servo._set("position_offset", ticks)
    return NOT_TURNED


def check(robot: RobotDescription, line: VirtualLine, report: dict[str, object], pose: Sequence[float]) -> None:
    """The file tells the true angle of every joint by what its servo says now."""
    calibration = load_calibration(Path(str(report["file"])))
    calibration.check(robot)
    for row, servo, angle in zip(calibration.actuators, line.servos, pose, strict=True):
        servo.mirror()
        assert row.to_position(servo.get("present_position")) == pytest.approx(angle, abs=0.01)
        assert offset_of(servo) == row.offset_ticks
        assert 0 <= row.lower_ticks < row.upper_ticks < row.ticks_per_turn


@pytest.mark.parametrize("pose", ["park", "home"])
def test_an_arm_built_as_designed_is_found_so_and_nothing_is_written(
    pose: str,
    robot: RobotDescription,
    line: VirtualLine,
    move: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = [bytes(s.memory[:50]) for s in line.servos]
    move(hand(robot, pose_of(robot, pose)))
    report = swept(capsys, "--pose", pose)
    check(robot, line, report, pose_of(robot, pose))
    assert report["eeprom"] == []
    assert [bytes(s.memory[:50]) for s in line.servos] == before
    for row, nominal in zip(
        load_calibration(Path(str(report["file"]))).actuators, nominal_calibration(robot).actuators, strict=True
    ):
        assert row.zero_ticks == pytest.approx(nominal.zero_ticks, abs=3)
        assert row.sign == 1
    assert all(abs(error) < 0.01 for error in report["pose_error"].values())


@pytest.mark.parametrize("offset", [150, -150])
def test_a_horn_that_sits_a_little_askew_is_followed(
    offset: int,
    robot: RobotDescription,
    line: VirtualLine,
    move: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    move(hand(robot, pose_of(robot)), turned=askew(line, offset))
    check(robot, line, swept(capsys), pose_of(robot))


def test_a_servo_mounted_the_other_way_round_is_seen_by_the_pose(
    robot: RobotDescription,
    line: VirtualLine,
    move: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    move(hand(robot, pose_of(robot)), (1, 2))
    report = swept(capsys)
    signs = [row.sign for row in load_calibration(Path(str(report["file"]))).actuators]
    assert signs == [1, -1, -1, 1, 1, 1]
    check(robot, line, report, pose_of(robot))
    assert robot.actuator_names[0] in report["unsure"]  # it is parked in its middle


@pytest.mark.parametrize("angle", [1.6, 2.3, -2.2, 3.14, -3.14])
def test_the_wrap_of_the_count_is_kept_out_of_the_travel(
    angle: float,
    robot: RobotDescription,
    line: VirtualLine,
    move: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert robot.bus is not None
    turned = {1: angle, 2: angle}
    move(hand(robot, pose_of(robot)), turned=turned)
    assert main([*SWEEP]) == 3  # nobody agreed to the change
    said = capsys.readouterr().err
    assert any(robot.actuator_names[k] in said for k in turned)
    assert said.count("\n") == 1
    assert not calibration_path(robot.name, URL).exists()
    framing = load_protocol(robot.bus.protocol)
    if framing.offset_register is None:
        assert "from end to end" in said  # a potentiometer does not wrap, it ends
        return
    if not framing.offset_sign:
        assert "mount its horn" in said
        return
    assert "position_offset" in said
    move(hand(robot, pose_of(robot)), turned=turned)
    report = swept(capsys, "--yes")
    assert {change["joint"] for change in report["eeprom"]} == set(robot.actuator_names[1:3])
    check(robot, line, report, pose_of(robot))
    for servo in line.servos:
        servo.power_on(line.now)
    check(robot, line, report, pose_of(robot))


@pytest.mark.parametrize("tick", [-5000, -1, 0, 4095, 4096, 9000])
def test_counts_that_started_in_another_turn_are_brought_home(tick: int, robot: RobotDescription, bus: object) -> None:
    from genba.drivers.bus import ActuatorBus
    from genba.drivers.fitting import _seam

    assert isinstance(bus, ActuatorBus)
    shift, changes = _seam(bus, "joint", 1, tick // 4096 * 4096 + 100.0, tick // 4096 * 4096 + 3000.0, 0.0, 4096)
    assert shift == -(tick // 4096) * 4096
    assert not changes


def test_limits_in_the_servo_that_cut_the_travel_off_are_opened(
    robot: RobotDescription,
    line: VirtualLine,
    move: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert robot.bus is not None
    low = next(name for name in ("min_angle", "min_position") if name in line.servos[0]._table)
    cut = line.servos[0].counts * 3 // 8
    line.servos[0]._set(low, cut)
    move(hand(robot, pose_of(robot)))
    report = swept(capsys, "--yes")
    written = [(change["register"], change["now"], change["becomes"]) for change in report["eeprom"]]
    assert written[0] == (low, cut, 0)
    assert {register for register, _, _ in written} <= {low, low.replace("min", "max")}
    assert line.servos[0].get(low) == 0


def test_a_joint_that_was_not_moved_from_end_to_end_is_refused_by_name(
    robot: RobotDescription, move: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    move(hand(robot, pose_of(robot), share=0.6))
    assert main([*SWEEP]) == 3
    said = capsys.readouterr().err
    assert all(robot.joint_names[k] in said for k in (0, 4))  # the park pose takes the others to their other end
    assert said.count("\n") == 1


def test_a_wrong_pose_is_refused_by_name(
    robot: RobotDescription, move: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    pose = list(pose_of(robot))
    pose[2] = 0.4
    move(hand(robot, pose))
    assert main([*SWEEP]) == 3
    said = capsys.readouterr().err
    assert robot.actuator_names[2] in said
    assert "pose" in said


def test_an_arm_under_torque_is_not_swept(
    robot: RobotDescription, line: VirtualLine, capsys: pytest.CaptureFixture[str]
) -> None:
    line.servos[3]._set("torque_switch", 1)
    assert main([*SWEEP]) == 3
    said = capsys.readouterr().err
    assert robot.actuator_names[3] in said
    assert "genba release" in said


def test_a_silent_joint_ends_the_sweep_by_its_name(
    robot: RobotDescription,
    faults: Faults,
    move: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from genba.drivers.sweep import Sweep

    look, count = Sweep.look, iter(range(10_000))

    def loose(self: Sweep) -> None:
        if next(count) == 50:
            faults.silent = {4}
        look(self)

    monkeypatch.setattr(Sweep, "look", loose)
    move(hand(robot, pose_of(robot)))
    assert main([*SWEEP]) == 4
    assert robot.actuator_names[3] in capsys.readouterr().err


def test_noise_does_not_enter_the_ends(
    robot: RobotDescription,
    line: VirtualLine,
    faults: Faults,
    move: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    faults.drop = faults.flip = 0.02
    move(hand(robot, pose_of(robot)))
    check(robot, line, swept(capsys), pose_of(robot))


def test_what_a_new_calibration_replaces_is_kept(
    robot: RobotDescription,
    move: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    move(hand(robot, pose_of(robot)))
    first = swept(capsys)
    text = Path(str(first["file"])).read_text()
    assert first["replaced"] is None
    move(hand(robot, pose_of(robot)))
    second = swept(capsys)
    assert second["file"] == first["file"]
    assert Path(str(second["replaced"])).read_text() == text


def test_a_file_that_cannot_be_written_is_refused_before_anything_changes(
    robot: RobotDescription,
    line: VirtualLine,
    move: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "taken").write_text("")
    before = [bytes(s.memory[:50]) for s in line.servos]
    move(hand(robot, pose_of(robot)))
    for more in (SWEEP, ("calibrate", "--port", URL)):
        assert main([*more, "--yes", "--file", str(tmp_path / "taken" / "arm.json")]) == 3
        said = capsys.readouterr().err
        assert "cannot be written" in said
        assert said.count("\n") == 1
    assert [bytes(s.memory[:50]) for s in line.servos] == before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--sweep"], "--seconds"),
        (["--sweep", "--seconds", "1"], "--pose-seconds"),
        (["--sweep", "--import", "x.json"], "one way"),
        (["--sweep", "--measure"], "one way"),
        (["--import", "missing.json"], "missing.json"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(
    arguments: list[str], word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["calibrate", "--port", URL, *arguments]) == 3
    said = capsys.readouterr().err
    assert word in said
    assert said.count("\n") == 1


def test_a_horn_askew_is_told_of_the_sweep(
    robot: RobotDescription, line: VirtualLine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert robot.bus is not None
    row = nominal_calibration(robot).actuators[1]
    away = row.upper_ticks + 300 - row.to_ticks(robot.home[1])  # counts by which its reading leaves the range
    framing = load_protocol(robot.bus.protocol)
    if framing.offset_register is None:
        return  # such a servo cannot be shifted without its horn
    line.servos[1]._set(framing.offset_register, (framing.offset_sign or 1) * away)
    assert main(["calibrate", "--port", URL]) == 3
    assert "--sweep" in capsys.readouterr().err


# ---- what a joint costs to move


def test_friction_and_weight_of_every_joint_are_told_beside_the_design(
    robot: RobotDescription,
    line: VirtualLine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert isinstance(line.plant, ServoPlant)
    drives = list(line.plant._drives)
    drives[0] = replace(drives[0], friction=2.0 * drives[0].friction)  # a joint that is dry
    monkeypatch.setattr(line.plant, "_drives", tuple(drives))
    before = line.plant.motion().positions
    command = ["calibrate", "--port", URL, "--measure", "--json"]
    assert main(command) == 3
    assert "--yes" in capsys.readouterr().err
    assert line.plant.motion().positions == before
    assert main([*command, "--yes"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    coarse = 0.01 * (TICKS / line.servos[0].counts) ** 0.5
    dry, *rest = json.loads(shown.out)["joints"]
    assert [dry["joint"], *(row["joint"] for row in rest)] == list(robot.joint_names)
    assert dry["friction"] == pytest.approx(2.0 * dry["friction_by_design"], rel=0.15)
    for row in rest:
        assert row["friction"] == pytest.approx(row["friction_by_design"], rel=0.1)
    for row in (dry, *rest):
        assert row["weight"] == pytest.approx(row["weight_by_design"], rel=0.05, abs=coarse)
        assert 0.0 < row["reversal"] < 0.06
    assert line.plant.motion().positions == pytest.approx(before, abs=0.1)  # held where it began, but for the sag


# ---- files of LeRobot


def lerobot_file(robot: RobotDescription, path: Path, offset: int = 0) -> dict[str, dict[str, int]]:
    """What LeRobot writes for an arm that is built as designed, horns askew by an offset that it took out."""
    table = {}
    for row in nominal_calibration(robot).actuators:
        table[row.joint] = {
            "id": row.actuator_id,
            "drive_mode": 0,
            "homing_offset": offset,
            "range_min": row.lower_ticks - 30,
            "range_max": row.upper_ticks + 30,
        }
    table[robot.gripper.joint]["range_min"] += 30
    path.write_text(json.dumps(table))
    return table


def test_a_file_of_lerobot_becomes_a_calibration(
    robot: RobotDescription, line: VirtualLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lerobot_file(robot, tmp_path / "arm.json", offset=-120)
    command = ["calibrate", "--port", URL, "--import", str(tmp_path / "arm.json"), "--json"]
    assert main(command) == 3  # the servos hold another offset, and nobody agreed to change it
    said = capsys.readouterr().err
    if "position_offset" not in line.servos[0]._table:
        assert "has an offset of -120, which its servo cannot hold" in said
        return
    assert "position_offset 0 -> -120" in said
    for servo in line.servos:
        servo._set("position_offset", -120)
    line.step(line.now + 0.01)
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["eeprom"] == []
    rows = load_calibration(Path(report["file"])).actuators
    for row, nominal in zip(rows, nominal_calibration(robot).actuators, strict=True):
        assert row.zero_ticks == pytest.approx(nominal.zero_ticks, abs=3)
        assert row.offset_ticks == -120


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda t: t.pop("gripper"), "gripper"),
        (lambda t: t["elbow_flex"].update(id=9), "elbow_flex is id 9"),
        (lambda t: t["elbow_flex"].update(drive_mode=3), "drive_mode"),
        (lambda t: t["elbow_flex"].update(range_min=4000), "range_min"),
        (lambda t: t["elbow_flex"].update(range_max=int(str(t["elbow_flex"]["range_min"])) + 200), "elbow_flex"),
        (lambda t: t["elbow_flex"].update(range_max="x"), "range_max"),
        (lambda t: t["elbow_flex"].pop("homing_offset"), "homing_offset"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(
    change: Callable[[dict[str, dict[str, object]]], object],
    word: str,
    robot: RobotDescription,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "arm.json"
    table = lerobot_file(robot, path)
    change(table)  # type: ignore[arg-type]
    path.write_text(json.dumps(table))
    assert main(["calibrate", "--port", URL, "--import", str(path), "--yes"]) == 3
    said = capsys.readouterr().err
    assert word in said
    assert said.count("\n") == 1


# ---- files of phosphobot


def phosphobot_file(robot: RobotDescription, path: Path, signs: Sequence[int]) -> dict[str, object]:
    """What phosphobot writes for an arm that is built as designed, its servos turning by these signs."""
    frame = next(own for own in FRAMES.values() if own.robot == robot.name)
    rows = nominal_calibration(robot).actuators
    zeros, opened, theirs = [], [], []
    for k, (row, sign) in enumerate(zip(rows, signs, strict=True)):
        shift = (*frame.shifts, robot.gripper.closed)[k]
        zeros.append(row.zero_ticks + sign * shift * row.ticks_per_turn / TWO_PI)
        opened.append(zeros[-1] + sign * (robot.gripper.open - robot.gripper.closed) * row.ticks_per_turn / TWO_PI)
        theirs.append(float(sign * (*frame.signs, 1)[k]))
    table: dict[str, object] = {
        "name": next(name for name, own in FRAMES.items() if own is frame),
        "servos_voltage": 12.0,
        "servos_offsets": zeros,
        "servos_calibration_position": opened,
        "servos_offsets_signs": theirs,
        "pid_gains": [{"p_gain": 32.0, "i_gain": 0.0, "d_gain": 32.0}] * len(rows),
        "gripping_threshold": 80,
        "non_gripping_threshold": 10,
    }
    path.write_text(json.dumps(table))
    return table


def test_a_file_of_phosphobot_becomes_a_calibration(
    robot: RobotDescription, line: VirtualLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if robot.name not in {own.robot for own in FRAMES.values()}:
        pytest.skip("phosphobot does not know this arm")
    phosphobot_file(robot, tmp_path / "arm.json", [1] * len(line.servos))
    assert main(["calibrate", "--port", URL, "--import", str(tmp_path / "arm.json"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["eeprom"] == []
    for row, nominal in zip(
        load_calibration(Path(report["file"])).actuators, nominal_calibration(robot).actuators, strict=True
    ):
        assert row.zero_ticks == pytest.approx(nominal.zero_ticks, abs=1e-6)
        assert (row.sign, row.offset_ticks) == (1, 0)
        assert (row.lower_ticks, row.upper_ticks) == (nominal.lower_ticks, nominal.upper_ticks)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda t: t.update(name="piper"), "piper"),
        (lambda t: t.pop("servos_offsets_signs"), "servos_offsets_signs"),
        (lambda t: t["servos_offsets"].pop(), "has 5 values"),
        (lambda t: t["servos_offsets_signs"].__setitem__(2, 0.5), "elbow_flex"),
        (lambda t: t["servos_offsets"].__setitem__(2, 900.0), "elbow_flex"),
        (lambda t: t.update(servos_calibration_position=t["servos_offsets"]), "both shut and open"),
    ],
)
def test_a_file_of_phosphobot_that_does_not_fit_is_refused_by_name(
    change: Callable[[dict[str, object]], object],
    word: str,
    robot: RobotDescription,
    line: VirtualLine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if robot.name not in {own.robot for own in FRAMES.values()}:
        pytest.skip("phosphobot does not know this arm")
    table = phosphobot_file(robot, tmp_path / "arm.json", [1] * len(line.servos))
    change(table)
    (tmp_path / "arm.json").write_text(json.dumps(table))
    assert main(["calibrate", "--port", URL, "--import", str(tmp_path / "arm.json"), "--yes"]) == 3
    said = capsys.readouterr().err
    assert word in said
    assert said.count("\n") == 1


def test_the_model_of_phosphobot_s_so_100_turns_its_wrist_by_a_quarter() -> None:
    """Its jaw opens sideways at zero where ours opens upwards; its other servos count from the same pose."""
    robot = load_robot("so101")
    arm = PhosphobotArm(
        name="so-100",
        servos_offsets=(2048.0,) * 6,
        servos_calibration_position=(1072.0, 3076.0, 979.0, 1042.0, 2943.0, 3422.0),
        servos_offsets_signs=(-1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    )  # as it ships
    stands = dict.fromkeys(robot.actuator_ids, 2048) | {5: 1024}
    rows = phosphobot_calibration(arm, robot, "u", offsets=dict.fromkeys(stands, 0), here=stands).actuators
    assert [row.sign for row in rows] == [1] * 6
    assert [row.zero_ticks for row in rows[:5]] == pytest.approx([2048, 2048, 2048, 2048, 1024])
    assert rows[5].to_position(2048) == pytest.approx(robot.gripper.closed)
