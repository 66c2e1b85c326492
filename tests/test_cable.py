"""A cable pulled while a policy runs on an arm of bus servos: one line, exit 4, and an arm that stands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from genba.__main__ import main
from genba.drivers import ports
from genba.drivers.protocols import protocol_names
from genba.drivers.virtual.line import VirtualLine
from genba.drivers.virtual.sim_port import SimPort
from genba.policies.bundle import PolicyBundle
from genba.robots.catalogue import load_robot, robot_names

ARMS = [name for name in robot_names() if (bus := load_robot(name).bus) and bus.protocol in protocol_names()]
NEVER = 1_000_000


class Cable(SimPort):
    """A port whose cable is pulled after so many requests."""

    left = NEVER
    written = 0

    def write(self, data: bytes) -> None:
        """Send bytes while the cable holds."""
        own = type(self)
        own.written += 1
        self.line.faults.unplugged = own.written > own.left
        super().write(data)


@pytest.mark.parametrize("name", ARMS)
def test_a_cable_pulled_in_a_run_is_one_line_exit_4_and_an_arm_that_stands(
    name: str,
    bowing: Callable[[str], PolicyBundle],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    policy = str(bowing(name).save(tmp_path / "bow.genba"))
    robot = load_robot(name)
    lines: list[VirtualLine] = []

    def run(left: int) -> tuple[int, int]:
        class Own(Cable):
            """Counts for itself."""

        Own.left = left
        lines.append(VirtualLine(robot))
        monkeypatch.setattr(ports, "_open_sim", lambda url, rate: Own(url, lines[-1], rate, virtual_time=True))
        capsys.readouterr()
        return main(["run", policy, "--port", f"genba-sim://{name}", "--episodes", "2"]), Own.written

    code, count = run(NEVER)
    assert code == 1  # a policy that only bows reaches no goal
    for left in (*(int(share * count) for share in (0.0, 0.02, 0.1, 0.4, 0.7)), *range(count - 4, count)):
        assert run(left)[0] == 4, left
        said = [text for text in capsys.readouterr().err.splitlines() if not text.startswith("run: ")]
        assert len(said) == 1, said
        assert "check cable and power" in said[0]
        driven = [servo for servo in lines[-1].servos if servo.get("torque_switch")]
        lines[-1].step(lines[-1].now + 0.5)
        lines[-1].step(lines[-1].now + 0.5)
        before = [servo.raw_ticks for servo in driven]
        lines[-1].step(lines[-1].now + 0.5)
        assert [servo.raw_ticks for servo in driven] == pytest.approx(before, abs=3)
