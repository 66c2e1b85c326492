"""The twin in a process of its own: foreign clients are served unchanged, and a killed host is harmless."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from genba.drivers.arm import BenchArm
from genba.drivers.bus import ActuatorBus
from genba.drivers.ports import open_port
from genba.drivers.protocols import load_protocol, protocol_names
from genba.drivers.protocols.feetech_sts import FRAMING
from genba.drivers.senses import RemoteSense
from genba.drivers.virtual.process import TwinProcess
from genba.robots.description import RobotDescription
from genba.robots.errors import BusError, LinkLostError

COMMAND = ("-m", "genba.drivers.virtual.serve")
IDS = [1, 2, 3, 4, 5, 6]
MAX_TRAVEL = 0.05  # rad that a joint may travel after its host has died
TICK_TRAVEL = 0.02  # and in the tick before that, behind the last position the host could tell: 0.6 rad/s for 1/30 s
needs_pty = pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo terminals")


CONFTEST = str(Path(__file__).with_name("conftest.py"))


@pytest.fixture(scope="session")
def robot(arms: Callable[[str], RobotDescription]) -> RobotDescription:
    return arms("feetech_sts")


def twin(kind: str, *more: str) -> TwinProcess:
    return TwinProcess(("--robot", "so101", "--serve", kind, *more), command=COMMAND)


def twin_of(protocol: str, kind: str, make: str = "arm_with") -> TwinProcess:
    """The twin of this test suite's arm with a protocol, which need not be in the catalogue."""
    program = (
        "import runpy\n"
        "from genba.drivers.virtual.serve import serve\n"
        f"serve(runpy.run_path({CONFTEST!r})[{make!r}]({protocol!r}), kind={kind!r})\n"
    )
    return TwinProcess((), command=("-c", program))


@pytest.mark.parametrize("protocol", protocol_names())
@pytest.mark.parametrize("kind", [pytest.param("pty", marks=needs_pty), "tcp"])
def test_the_arm_moves_and_stops_over_a_served_wire(
    arms: Callable[[str], RobotDescription], protocol: str, kind: str
) -> None:
    with twin_of(protocol, kind) as served, BenchArm.open(arms(protocol), served.port) as arm:
        arm.arm()
        report = arm.stop()
        assert report.confirmed
        assert arm.bus.statistics.checksum_errors == 0


WORLD = """
from genba.drivers.senses import SenseServer
from genba.drivers.virtual.serve import serve
from genba.robots.catalogue import load_robot
world = {"seed": 0}
serve(
    load_robot("so101"),
    kind="tcp",
    sense_server=SenseServer(
        lambda: {"target": (0.1, float(world["seed"]))},
        reset=lambda seed: world.update(seed=seed),
        judge=lambda: {"is_success": world["seed"] == 3},
    ),
)
"""


def test_senses_live_beside_the_bus_in_one_process(robot: RobotDescription) -> None:
    with TwinProcess((), command=("-c", WORLD), senses=True) as served:
        assert served.sense is not None
        with RemoteSense(served.sense) as sense, BenchArm.open(robot, served.port) as arm:
            sense.reset(3)
            assert sense.read() == {"target": (0.1, 3.0)}
            assert sense.judge() == {"is_success": True}
            arm.arm()
            assert arm.stop().confirmed


def test_a_second_client_is_turned_away() -> None:
    with twin("tcp") as served:
        first = ActuatorBus(open_port(served.port, 1_000_000), FRAMING)
        assert first.ping(1) == 0
        second = ActuatorBus(open_port(served.port, 1_000_000), FRAMING)
        with pytest.raises(LinkLostError):
            second.port.read(1, time.perf_counter() + 5.0)
        assert first.ping(1) == 0
        first.close()
        second.close()


def test_a_twin_that_cannot_start_says_why() -> None:
    with pytest.raises(BusError, match="no servo 9"), twin("tcp", "--ids", "1,9"):
        pass


def test_a_twin_ends_cleanly_when_told_to() -> None:
    with twin("tcp") as served:
        pass
    assert served.process.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="parents are told apart on POSIX only")
def test_a_twin_does_not_outlive_its_parent() -> None:
    program = (
        "from genba.drivers.virtual.process import TwinProcess\n"
        f"twin = TwinProcess(('--serve', 'tcp'), command={COMMAND!r}).__enter__()\n"
        "print(twin.port, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        port = parent.stdout.readline().strip()
        open_port(port, 1_000_000).close()
        parent.kill()
    deadline = time.perf_counter() + 5.0
    while True:
        try:
            open_port(port, 1_000_000).close()
        except BusError:
            break
        assert time.perf_counter() < deadline


@pytest.mark.parametrize("protocol", protocol_names())
def test_bare_servos_of_every_protocol_are_served(protocol: str) -> None:
    framing = load_protocol(protocol)
    with TwinProcess(("--servos", protocol, "--serve", "tcp"), command=COMMAND) as served:
        bus = ActuatorBus(open_port(served.port, framing.baud_rates[0]), framing)
        assert bus.scan(IDS) == IDS
        assert {bus.read(i, "model_number") for i in IDS} <= set(framing.models.values())
        bus.close()


@needs_pty
def test_feetech_servo_sdk_is_served_unchanged() -> None:
    sdk = pytest.importorskip("scservo_sdk")
    with twin("pty") as served:
        handler = sdk.PortHandler(served.port)
        assert handler.openPort()
        assert handler.setBaudRate(1_000_000)
        packets = sdk.PacketHandler(0)
        try:
            assert [packets.ping(handler, i)[:2] for i in IDS] == [(777, 0)] * 6
            assert packets.ping(handler, 9)[1] != 0
            reader = sdk.GroupSyncRead(handler, packets, 56, 15)
            for i in IDS:
                reader.addParam(i)
            assert reader.txRxPacket() == 0
            assert reader.getData(1, 56, 2) == 2048
            assert packets.write2ByteTxRx(handler, 1, 42, 2048) == (0, 0)
            assert packets.write1ByteTxRx(handler, 1, 40, 1) == (0, 0)
            writer = sdk.GroupSyncWrite(handler, packets, 42, 2)
            writer.addParam(1, [0x98, 0x08])  # 2200
            assert writer.txPacket() == 0
            assert _arrives(lambda: packets.read2ByteTxRx(handler, 1, 56)[0], 2200)
            handler.setBaudRate(500_000)
            assert packets.ping(handler, 1)[1] != 0  # a servo at another rate is silent
        finally:
            handler.closePort()


@needs_pty
def test_feetech_servo_sdk_is_served_the_other_series_unchanged() -> None:
    sdk = pytest.importorskip("scservo_sdk")
    with twin_of("feetech_scs", "pty") as served:
        handler = sdk.PortHandler(served.port)
        assert handler.openPort()
        assert handler.setBaudRate(1_000_000)
        packets = sdk.PacketHandler(1)
        try:
            assert {packets.ping(handler, i)[:2] for i in IDS} == {(1284, 0), (1295, 0)}
            assert packets.ping(handler, 9)[1] != 0
            assert packets.read2ByteTxRx(handler, 1, 56) == (512, 0, 0)
            assert packets.write2ByteTxRx(handler, 1, 42, 512) == (0, 0)
            assert packets.write1ByteTxRx(handler, 1, 40, 1) == (0, 0)
            writer = sdk.GroupSyncWrite(handler, packets, 42, 2)
            writer.addParam(1, [sdk.SCS_LOBYTE(560), sdk.SCS_HIBYTE(560)])
            assert writer.txPacket() == 0
            assert _arrives(lambda: packets.read2ByteTxRx(handler, 1, 56)[0], 560)
            reader = sdk.GroupSyncRead(handler, packets, 56, 2)
            reader.addParam(1)
            assert reader.txRxPacket() != 0  # the series does not know it
        finally:
            handler.closePort()
            sdk.PacketHandler(0)  # the client keeps its byte order in the module


@needs_pty
def test_rustypot_is_served_unchanged() -> None:
    rustypot = pytest.importorskip("rustypot")
    with twin("pty") as served:
        host = rustypot.Sts3215PyController(served.port, 1_000_000, 0.2)
        assert host.ping(1)
        assert not host.ping(9)
        positions = host.sync_read_present_position(IDS)
        assert positions[0] == pytest.approx(0.0, abs=0.002)
        host.sync_write_goal_position([1], [positions[0]])
        host.sync_write_torque_enable([1], [True])
        host.sync_write_goal_position([1], [0.25])
        assert _arrives(lambda: round(host.sync_read_present_position([1])[0] * 4096 / 6.2832 + 2048), 2211)


@needs_pty
def test_rustypot_is_served_dynamixel_unchanged() -> None:
    rustypot = pytest.importorskip("rustypot")
    ids = [3, 6]  # the XL330 among them
    with twin_of("dynamixel2", "pty", "made_up") as served:
        host = rustypot.Xl330PyController(served.port, 1_000_000, 0.2)
        assert host.ping(3)
        assert not host.ping(9)
        here = host.sync_read_present_position(ids)
        host.sync_write_torque_enable(ids, [True, True])
        assert host.sync_read_torque_enable(ids) == [True, True]
        host.sync_write_goal_position(ids, [position + 0.2 for position in here])
        wanted = round((here[0] + 0.2) * 4096 / 6.283185 + 2048)
        assert _arrives(lambda: round(host.sync_read_present_position(ids)[0] * 4096 / 6.283185 + 2048), wanted)


@needs_pty
def test_dynamixel_sdk_is_served_unchanged() -> None:
    sdk = pytest.importorskip("dynamixel_sdk")
    with twin_of("dynamixel2", "pty", "made_up") as served:
        handler = sdk.PortHandler(served.port)
        assert handler.openPort()
        assert handler.setBaudRate(1_000_000)
        packets = sdk.PacketHandler(2.0)
        try:
            assert [packets.ping(handler, i)[:2] for i in IDS] == [(n, 0) for n in (1060, 1060, 1200, 1020, 1030, 1190)]
            assert packets.ping(handler, 9)[1] != 0
            found, result = packets.broadcastPing(handler)
            assert (sorted(found), result) == (IDS, 0)
            _group_reads(sdk, handler, packets)
            assert packets.write1ByteTxRx(handler, 1, 64, 1) == (0, 0)
            assert packets.write4ByteTxRx(handler, 1, 116, 5000) == (0, 6)  # beyond max_position
            assert packets.write1ByteTxRx(handler, 1, 11, 4) == (0, 7)  # EEPROM under torque
            assert packets.write4ByteTxRx(handler, 1, 116, 2048) == (0, 0)
            writer = sdk.GroupSyncWrite(handler, packets, 116, 4)
            writer.addParam(1, list((2200).to_bytes(4, "little")))
            assert writer.txPacket() == 0
            assert _arrives(lambda: packets.read4ByteTxRx(handler, 1, 132)[0], 2200)
            assert packets.regWriteTxRx(handler, 1, 116, 4, list((2100).to_bytes(4, "little"))) == (0, 0)
            packets.action(handler, 254)
            assert _arrives(lambda: packets.read4ByteTxRx(handler, 1, 132)[0], 2100)
            assert packets.reboot(handler, 1) == (0, 0)
            assert packets.ping(handler, 1)[1] != 0
            assert _arrives(lambda: packets.ping(handler, 1)[0], 1060)
            assert packets.read1ByteTxRx(handler, 1, 64) == (0, 0, 0)
            handler.setBaudRate(57_600)
            assert packets.ping(handler, 1)[1] != 0  # a servo at another rate is silent
        finally:
            handler.closePort()


def _group_reads(sdk, handler, packets) -> None:
    """Sync, fast sync and bulk reads of the vendor's client find the same positions."""
    single = [packets.read4ByteTxRx(handler, i, 132)[0] for i in IDS]
    assert single[0] == 2048
    sync = sdk.GroupSyncRead(handler, packets, 132, 4)
    bulk = sdk.GroupBulkRead(handler, packets)
    for i in IDS:
        sync.addParam(i)
        bulk.addParam(i, 132, 4)
    for ask in (sync.txRxPacket, sync.fastSyncRead, bulk.txRxPacket, bulk.fastBulkRead):
        group = bulk if ask.__self__ is bulk else sync
        assert ask() == 0
        assert [group.getData(i, 132, 4) for i in IDS] == single


def _arrives(read, goal: int) -> bool:
    deadline = time.perf_counter() + 10.0
    while time.perf_counter() < deadline:
        if abs(read() - goal) <= 12:
            return True
    return False


@pytest.mark.parametrize("cycles", [20, 33, 47])
def test_a_killed_host_leaves_an_arm_that_stands(robot: RobotDescription, cycles: int) -> None:
    script = Path(__file__).with_name("runaway.py")
    with twin("tcp") as served:
        with subprocess.Popen([sys.executable, str(script), served.port], stdout=subprocess.PIPE, text=True) as host:
            assert host.stdout is not None
            lines = [host.stdout.readline() for _ in range(cycles)]
            host.kill()
            lines += host.stdout.readlines()
        history = [
            [float(v) for v in line.split()] for line in lines if line.count(" ") == 6 - 1 and line.endswith("\n")
        ]
        last, before = history[-1], history[-4]
        assert max(abs(a - b) for a, b in zip(last, before, strict=True)) > 0.02  # it was in full motion
        port = _reconnect(served.port)
        bus = ActuatorBus(port, FRAMING)
        ends = [_settled(bus, i) for i in IDS]
        bus.close()
    travel = [abs((ticks - 2048) * 6.283185 / 4096 - q) for ticks, q in zip(ends, last, strict=True)]
    assert max(travel) <= MAX_TRAVEL + TICK_TRAVEL, travel


def _reconnect(url: str):
    deadline = time.perf_counter() + 5.0
    while True:
        port = open_port(url, 1_000_000)
        bus = ActuatorBus(port, FRAMING)
        try:
            if bus.ping(1) == 0:
                return port
        except BusError:
            pass
        port.close()
        assert time.perf_counter() < deadline


def _settled(bus: ActuatorBus, actuator_id: int) -> int:
    deadline = time.perf_counter() + 5.0
    last, since = bus.read(actuator_id, "present_position"), time.perf_counter()
    while time.perf_counter() - since < 0.15:
        now = bus.read(actuator_id, "present_position")
        if now != last:
            last, since = now, time.perf_counter()
        assert time.perf_counter() < deadline
    return last
