"""What bad input gets: one line that names the thing, exit code 3 (4 for the bench), nothing moved and nothing lost."""

import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from genba.__main__ import main
from genba.drivers.virtual import feetech_sts as twin
from genba.drivers.virtual.process import TwinProcess
from genba.drivers.virtual.sts3215 import VirtualServo
from genba.policies.bundle import PolicyBundle
from genba.robots.catalogue import load_robot, read_robot
from genba.robots.errors import RefusedError

SERVE = ("-m", "genba.drivers.virtual.serve")
SIM = "genba-sim://so101?time=virtual"
Shown = pytest.CaptureFixture[str]
needs_pty = pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo terminals")


@pytest.fixture
def policy(proportional: PolicyBundle, tmp_path: Path) -> str:
    return str(proportional.save(tmp_path / "p.genba"))


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whenever a virtual servo in this process is told to hold torque."""
    honest = VirtualServo.write

    def write(self: VirtualServo, address: int, data: bytes) -> None:
        assert not address <= 40 < address + len(data), "torque was switched"
        honest(self, address, data)

    monkeypatch.setattr(VirtualServo, "write", write)


def refused(arguments: list[str], capsys: Shown, *named: str, code: int = 3) -> str:
    """Run a command that must be refused and return what it says."""
    assert main(arguments) == code, capsys.readouterr().err
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1, shown.err
    assert shown.err.startswith("genba: ")
    assert "Traceback" not in shown.err
    assert "details are in" not in shown.err
    for word in named:
        assert word in shown.err
    return shown.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["twin", "--robot", "so100"], ("so100", "so101", "did you mean")),
        (["train", "TeachPiont", "--out", "x"], ("TeachPiont", "TeachPoint")),
        (["train", "TeachPoint", "--out", "x", "--algo", "ppo"], ("ppo", "imitate+sac")),
        (["train", "TeachPoint", "--out", "x", "--steps", "0"], ("--steps", "at least 1")),
        (["train", "TeachPoint", "--out", "x", "--steps", "many"], ("--steps", "many")),
        (["train", "TeachPoint", "--out", "x", "--seed", "-1"], ("--seed", "-1")),
        (["evaluate", "TeachPoint_so101", "--seed", "-1"], ("--seed", "-1")),
        (["evaluate", "TeachPoint_so101", "--episodes", "0"], ("--episodes", "at least 1")),
        (["run", "TeachPoint_so101", "--port", SIM, "--episodes", "0"], ("--episodes", "at least 1")),
        (["run", "TeachPoint_panda", "--port", SIM], ("panda", "no servo bus", "so101")),
        (["run", "TeachPoint_so101", "--port", ""], ("calibrat",)),
        (["twin", "--robot", "panda"], ("panda", "no servo bus", "so101")),
        (["twin", "--robot", "panda", "--plant", "cell"], ("panda", "no servo bus", "so101")),
        (["twin", "--plant", "cell", "--task", "Juggle"], ("Juggle", "PickPlace")),
        (["twin", "--task", "Juggle"], ("Juggle", "--plant cell")),
        (["twin", "--ids", ""], ("--ids", "1,2,3")),
        (["twin", "--ids", "1,1"], ("(1, 1)",)),
        (["twin", "--baud", "0"], ("baud rate 0", "1000000")),
        (["demo", "--out", "/dev/null/demo"], ("/dev/null/demo", "--out")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_does_not_exist_or_fit(arguments: list[str], named: tuple[str, ...], capsys: Shown) -> None:
    refused(arguments, capsys, *named)


@pytest.mark.parametrize(
    "query", ["drop=2", "drop=-0.1", "late=nan", "flip=much", "seed=x", "ids=", "ids=1,9", "time=slow", "fast=1"]
)
def test_a_virtual_port_with_a_wrong_option(policy: str, query: str, capsys: Shown) -> None:
    refused(["run", policy, "--port", f"genba-sim://so101?{query}"], capsys)


def test_an_unknown_protocol(policy: str, capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    from genba.drivers import arm
    from genba.drivers.protocols import load_protocol

    monkeypatch.setattr(arm, "load_protocol", lambda name: load_protocol("feetech_xyz"))
    refused(["run", policy, "--port", SIM], capsys, "feetech_xyz", "feetech_sts")


@pytest.mark.parametrize(
    ("port", "code"),
    [("/dev/ttyNONE", 4), ("socket://127.0.0.1:1", 4), ("gopher://here", 3), ("genba-sim://mars", 3)],
)
def test_a_port_that_is_not_there(policy: str, tmp_path: Path, port: str, code: int, capsys: Shown) -> None:
    calibration = tmp_path / "c.json"
    from genba.drivers.calibration import nominal_calibration

    nominal_calibration(load_robot("so101")).save(calibration)
    refused(
        ["run", policy, "--port", port, "--calibration", str(calibration)],
        capsys,
        port.removeprefix("genba-sim://"),
        code=code,
    )


# ---- descriptions


def _robot_file(folder: Path, change: Callable[[str], str]) -> Path:
    text = load_robot("so101").source.read_text(encoding="utf-8")
    path = folder / "so101.toml"
    path.write_text(change(text), encoding="utf-8")
    return path


TOMLS: dict[str, tuple[Callable[[str], str], str]] = {
    "unknown key": (lambda t: t.replace("ee_step =", "ee_stride = 1.0\nee_step ="), "ee_stride"),
    "NaN": (lambda t: t.replace("joint_step = 0.03", "joint_step = nan"), "joint_step"),
    "lower above upper": (lambda t: t.replace("lower = -1.91986", "lower = 2.5"), "shoulder_pan"),
    "no TOML": (lambda t: t.replace("[gripper]", "[gripper"), "TOML"),
}


@pytest.mark.parametrize("case", sorted(TOMLS))
def test_a_malformed_description(
    case: str, tmp_path: Path, policy: str, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, named = TOMLS[case]
    path = _robot_file(tmp_path, change)
    assert path.read_text(encoding="utf-8") != load_robot("so101").source.read_text(encoding="utf-8")
    from genba.robots import catalogue

    monkeypatch.setattr(catalogue, "load_robot", lambda name: read_robot(path))
    refused(["run", policy, "--port", SIM], capsys, str(path), named)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('<!DOCTYPE robot SYSTEM "file:///etc/passwd">', "DOCTYPE"),
        ('<!ENTITY x "boom">', "DOCTYPE"),
        (
            '<link name="spy"><visual><geometry><mesh filename="../../../etc/passwd"/></geometry></visual></link>',
            "mesh",
        ),
        ('<link name="spy"><visual><geometry><mesh filename="/etc/passwd"/></geometry></visual></link>', "mesh"),
    ],
)
def test_a_urdf_that_reaches_out(
    line: str, named: str, tmp_path: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = load_robot("so101").urdf_path.read_text(encoding="utf-8")
    head, tail = original.rsplit("</robot>", 1)
    doctype = line.startswith("<!")
    text = f"{line}\n{original.split('?>', 1)[-1]}" if doctype else f"{head}{line}</robot>{tail}"
    (tmp_path / "own.urdf").write_text(text, encoding="utf-8")
    path = _robot_file(tmp_path, lambda t: t.replace('urdf = "so101/so101.urdf"', 'urdf = "own.urdf"'))
    from genba.robots import catalogue

    monkeypatch.setattr(catalogue, "load_robot", lambda name: read_robot(path))
    refused(["twin", "--serve", "tcp"], capsys, "own.urdf", named)


# ---- bundles


def test_a_bundle_for_another_arm(policy: str, capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    from genba.robots import catalogue

    panda = load_robot("panda")
    monkeypatch.setattr(catalogue, "load_robot", lambda name: panda)
    refused(["run", policy, "--port", SIM], capsys, "p.genba", "robot.name", "panda", "so101")


def test_a_bundle_for_another_rate(proportional: PolicyBundle) -> None:
    with pytest.raises(RefusedError, match=r"control\.rate_hz is 30 .* 20 here"):
        proportional.check_robot(load_robot("so101"), rate_hz=20)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _poison(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("policy.pkl", pickle.dumps({"a": 1}))


def _replace(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": 1}))


@pytest.mark.parametrize(("spoil", "named"), [(_cut, "cut short"), (_poison, "pickle"), (_replace, "pickle")])
@pytest.mark.parametrize("verb", ["run", "evaluate"])
def test_a_bundle_that_is_none(
    policy: str, spoil: Callable[[Path], None], named: str, verb: str, capsys: Shown
) -> None:
    spoil(Path(policy))
    refused([verb, policy, *(["--port", SIM] if verb == "run" else [])], capsys, "p.genba", named)


# ---- the bench


@needs_pty
@pytest.mark.parametrize("kind", ["pty", "tcp"])
def test_a_port_that_is_busy(policy: str, kind: str) -> None:
    run = [sys.executable, "-m", "genba", "run", policy, "--json"]
    with TwinProcess(("--serve", kind), command=SERVE) as twin:
        first = [*run, "--port", twin.port, "--episodes", "99"]
        with subprocess.Popen(first, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as owner:
            try:
                _await_owner(twin.port, owner)
                second = subprocess.run(
                    [*run, "--port", twin.port], capture_output=True, text=True, timeout=60, check=False
                )
                assert second.returncode == 4
                assert second.stdout == ""
                assert second.stderr.count("\n") == 1, second.stderr
                assert twin.port in second.stderr
                assert "Traceback" not in second.stderr
                assert owner.poll() is None  # the first goes on
            finally:
                owner.terminate()
                out, err = owner.communicate(timeout=30)
        assert owner.returncode == 130, err
        assert '"stop_confirmed": true' in out


def _await_owner(port: str, owner: "subprocess.Popen[str]") -> None:
    """Return once another process holds the port."""
    import select

    from genba.drivers.ports import open_port
    from genba.robots.errors import BusError, LinkLostError

    while owner.poll() is None:
        try:
            probe = open_port(port, 1_000_000)
            try:
                if port.startswith("socket") and probe.read(1, probe.clock.now() + 0.02) == b"":
                    pass
            finally:
                probe.close()
        except (BusError, LinkLostError):
            return
        select.select([], [], [], 0.05)
    raise AssertionError("the first run ended")


@pytest.mark.parametrize("ids", ["1,2,3,5,6", "1", "2,3,4,5,6"])
def test_a_servo_that_is_missing(policy: str, ids: str, capsys: Shown) -> None:
    names = load_robot("so101").actuator_names
    missing = [f"{names[i - 1]} (id {i})" for i in range(1, 7) if str(i) not in ids.split(",")]
    refused(["run", policy, "--port", f"{SIM}&ids={ids}"], capsys, *missing, "check power", code=4)


def test_a_servo_that_is_missing_on_a_served_twin(policy: str, capsys: Shown) -> None:
    with TwinProcess(("--serve", "tcp", "--ids", "1,2,3,5,6"), command=SERVE) as twin:
        refused(["run", policy, "--port", twin.port], capsys, twin.port, "wrist_flex (id 4)", code=4)


def test_a_servo_of_another_model(policy: str, capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stranger(VirtualServo):
        def __init__(self, actuator_id: int, **more: int) -> None:
            super().__init__(actuator_id, **{**more, "model_number": 2825 if actuator_id == 3 else 777})

    monkeypatch.setattr(twin, "VirtualServo", Stranger)
    refused(["run", policy, "--port", SIM], capsys, "elbow_flex (id 3)", "2825", "777", code=4)


@pytest.mark.parametrize("place", ["/dev/null/rows.npz", "/nowhere/rows.npz", "."])
def test_a_record_that_cannot_be_written_is_told_before_anything_moves(policy: str, place: str, capsys: Shown) -> None:
    refused(["run", policy, "--port", SIM, "--record", place], capsys, place)


# ---- runs


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: Shown) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        refused(["train", "TeachPoint", "--out", str(place)], capsys, str(place), "another folder")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs a folder in which no one can write")
def test_a_folder_that_takes_no_files(capsys: Shown) -> None:
    refused(["train", "TeachPoint", "--out", "/proc/self/fd"], capsys, "/proc/self/fd", "another folder")


def test_resume_without_a_checkpoint(tmp_path: Path, capsys: Shown) -> None:
    refused(["train", "TeachPoint", "--out", str(tmp_path / "r"), "--resume"], capsys, "no checkpoint", "--resume")


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A folder in which a training has begun."""
    from genba.policies.training.checkpoint import save_checkpoint

    identity = {"task": "TeachPoint", "robot": "so101", "seed": 0, "algo": "imitate"}
    save_checkpoint(tmp_path / "checkpoint.pt", {"identity": identity, "begun": False})
    return tmp_path


@pytest.mark.parametrize(
    ("task", "more", "named"),
    [
        ("PickPlace", [], ("task", "TeachPoint", "PickPlace")),
        ("TeachPoint", ["--seed", "1"], ("seed", "0", "1")),
        ("TeachPoint", ["--robot", "panda"], ("robot", "so101", "panda")),
        ("TeachPoint", ["--algo", "imitate+sac"], ("algo", "imitate+sac")),
    ],
)
def test_resume_of_another_run(begun: Path, task: str, more: list[str], named: tuple[str, ...], capsys: Shown) -> None:
    before = (begun / "checkpoint.pt").read_bytes()
    refused(["train", task, "--out", str(begun), "--algo", "imitate", "--resume", *more], capsys, str(begun), *named)
    assert (begun / "checkpoint.pt").read_bytes() == before


def test_a_folder_that_holds_a_run(begun: Path, capsys: Shown) -> None:
    before = (begun / "checkpoint.pt").read_bytes()
    refused(["train", "TeachPoint", "--out", str(begun)], capsys, str(begun), "--resume")
    assert (begun / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps({"a": 1})])
def test_a_checkpoint_that_is_damaged(tmp_path: Path, content: bytes, capsys: Shown) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    refused(["train", "TeachPoint", "--out", str(tmp_path), "--resume"], capsys, "checkpoint.pt")
    assert (tmp_path / "checkpoint.pt").read_bytes() == content
