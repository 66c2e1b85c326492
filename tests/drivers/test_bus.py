"""The bus on a wire that lies: every value it gives belongs to the question that was asked."""

import pytest

from genba.drivers.bus import ActuatorBus, Fault
from genba.drivers.framing import Telemetry
from genba.drivers.protocols import load_protocol, protocol_names
from genba.drivers.virtual.faults import Faults
from genba.drivers.virtual.line import BROWN_OUT, VirtualLine
from genba.robots.errors import BusError, LinkLostError, RefusedError, UnknownNameError

IDS = (1, 2, 3, 4, 5, 6)


def to_and_fro(way: float) -> float:
    """Position after a way that turns round at -2 and 2 rad."""
    return abs((way - 2.0) % 8.0 - 4.0) - 2.0


class Ramp:
    """A plant whose joint k turns steadily to and fro, so that counts tell the instant."""

    period = 0.001

    def __init__(self, line: VirtualLine) -> None:
        self._motion = type(line.plant.motion())
        self.time = 0.0

    def motion(self):
        speeds = [0.5 * (k + 1) for k in range(6)]
        return self._motion([to_and_fro(s * self.time) for s in speeds], speeds, [0.0] * 6)

    def step(self, commands):
        self.time += self.period
        return self.motion()


def test_an_unknown_protocol_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=", ".join(protocol_names())):
        load_protocol("feetech")


def test_telemetry_of_a_quiet_arm(bus: ActuatorBus) -> None:
    results = bus.telemetry(IDS)
    assert list(results) == list(IDS)
    for i, result in results.items():
        assert isinstance(result, Telemetry)
        table = bus.table(i)
        assert table["min_voltage"].default <= result.voltage * 10.0 <= table["max_voltage"].default
        assert (result.temperature, result.status, result.moving) == (28, 0, False)


@pytest.mark.parametrize("silent", IDS)
def test_one_silent_servo_costs_only_its_own_value(bus: ActuatorBus, faults: Faults, silent: int) -> None:
    faults.silent.add(silent)
    results = bus.telemetry(IDS)
    assert [i for i, r in results.items() if isinstance(r, Fault)] == [silent]
    fault = results[silent]
    assert isinstance(fault, Fault)
    assert f"servo {silent}" in fault.text
    # Where replies form a chain, those behind the silent servo did not come either and were asked for once more.
    assert bus.statistics.timeouts == (7 - silent if bus.framing.chained else 1)
    assert bus.statistics.retries == (bus.framing.chained and silent < 6)


@pytest.mark.parametrize("trouble", ["late", "duplicate"])
def test_an_old_reply_never_answers_a_new_question(
    bus: ActuatorBus, line: VirtualLine, faults: Faults, trouble: str
) -> None:
    plant = Ramp(line)
    line.plant = plant
    servo = line.servos[0]
    bus.port.clock.sleep_until(line.now + 0.01)
    setattr(faults, trouble, 0.3)
    heard = 0
    for _ in range(3000):
        asked = plant.time
        results = bus.telemetry(IDS)
        answered = plant.time
        for i, result in results.items():
            if isinstance(result, Telemetry):
                heard += 1
                was = servo.counts // 2 + to_and_fro(0.5 * i * asked) / servo.tick
                assert abs(result.position_ticks - was) <= 0.5 * i * (answered - asked) / servo.tick + 1.0
        bus.port.clock.sleep_until(line.now + 0.02)
    assert heard > 5000
    assert bus.statistics.late_replies + bus.statistics.stray_bytes > 1000


@pytest.mark.parametrize("trouble", ["drop", "insert", "truncate"])
def test_spoiled_replies_are_lost_not_wrong(bus: ActuatorBus, faults: Faults, trouble: str) -> None:
    truth = {i: r for i, r in bus.telemetry(IDS).items() if isinstance(r, Telemetry)}
    setattr(faults, trouble, 0.3)
    heard = 0
    for _ in range(500):
        for i, result in bus.telemetry(IDS).items():
            if isinstance(result, Telemetry):
                heard += 1
                assert result == truth[i]
    assert 1000 < heard < 3000 + 1


def test_replies_of_servos_that_were_not_asked_are_nobody_s(bus: ActuatorBus, faults: Faults) -> None:
    truth = bus.telemetry(IDS)
    faults.foreign = 0.2
    heard = 0
    for _ in range(300):
        for i, result in bus.telemetry(IDS).items():
            if isinstance(result, Telemetry):
                heard += 1
                assert repr(result) == repr(truth[i])
    assert 1000 < heard < 1700
    assert bus.statistics.stray_bytes > 2000


def test_a_servo_that_loses_its_power_is_silent_and_comes_back_without_torque(
    bus: ActuatorBus, line: VirtualLine, faults: Faults
) -> None:
    bus.write(1, "torque_switch", 1)
    faults.reboot = 1.0
    assert isinstance(bus.ping(1), Fault)
    faults.reboot = 0.0
    bus.port.clock.sleep_until(line.now + BROWN_OUT)
    assert bus.read(1, "torque_switch") == 0


def test_turned_bits_are_counted_and_lost(bus: ActuatorBus, faults: Faults) -> None:
    truth = bus.telemetry(IDS)
    faults.flip = 1.0
    for _ in range(300):
        for i, result in bus.telemetry(IDS).items():
            assert isinstance(result, Fault), (i, result, truth[i])
    assert bus.statistics.checksum_errors > 100
    faults.flip = 0.0
    assert bus.telemetry(IDS) == truth


class Trickle:
    """A port that gives exactly what is asked for, and lets the time run out where that is more than there is."""

    name, baud_rate = "trickle", 1_000_000

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.clock = self
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep_until(self, moment: float) -> None:
        self.time = moment

    def flush_input(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        pass

    def read(self, size: int, deadline: float) -> bytes:
        if size > len(self.answer):
            self.time = deadline
        got, self.answer = self.answer[:size], self.answer[size:]
        return got


def test_bytes_too_many_are_made_up_for_without_waiting_for_the_deadline(bus: ActuatorBus, line: VirtualLine) -> None:
    address, size = bus.framing.telemetry_block
    if not bus.framing.gathers:
        return  # one reply at a time is never waited for in vain
    request = bus.framing.sync_read(IDS, address, size)
    line.receive(request, line.now)
    port = Trickle(b"\x00\x00\x00" + line.take(line.now + 1.0))
    results = ActuatorBus(port, bus.framing).telemetry(IDS)
    assert all(isinstance(result, Telemetry) for result in results.values())
    wire = (len(request) + bus.framing.replies_size(6, size)) * 10e-6
    assert port.time == pytest.approx(wire + bus.framing.reply_gap(6, size, 1_000_000))


def test_an_echo_is_never_an_answer(bus: ActuatorBus, faults: Faults) -> None:
    truth = bus.telemetry(IDS)
    model = bus.read(1, "model_number")
    faults.echo = True
    assert repr(bus.telemetry(IDS)) == repr(truth)  # as text, because a current that nobody measures is NaN
    assert bus.read(1, "model_number") == model
    assert bus.ping(1) == 0
    assert isinstance(bus.ping(9), Fault)
    faults.silent.add(1)
    with pytest.raises(BusError, match=r"servo 1 does not answer"):
        bus.read(1, "present_position")
    assert isinstance(bus.ping(1), Fault)


@pytest.mark.parametrize("robot", ["feetech_sts"], indirect=True)
def test_a_reply_that_equals_its_request_is_believed_where_nothing_echoes(bus: ActuatorBus, line: VirtualLine) -> None:
    line.servo(1).voltage = 3.0
    bus.port.clock.sleep_until(line.now + 0.1)
    assert bus.ping(1) == 1  # FF FF 01 02 01 FB both ways


def test_a_write_is_confirmed_by_reading_back(bus: ActuatorBus, faults: Faults, line: VirtualLine) -> None:
    bus.write(1, "goal_position", 321)
    assert line.servo(1).get("goal_position") == 321
    faults.silent.add(1)
    with pytest.raises(BusError, match="servo 1"):
        bus.write(1, "goal_position", 400)
    with pytest.raises(BusError, match="servo 1"):
        bus.write(1, "goal_position", 400, verify=False)


def test_a_lost_acknowledgement_is_not_a_lost_write(bus: ActuatorBus, faults: Faults) -> None:
    faults.drop = 1.0
    with pytest.raises(BusError):
        bus.write(1, "goal_position", 400, verify=False)
    faults.drop = 0.0
    assert bus.read(1, "goal_position") == 400


def test_bad_values_and_names_reach_no_wire(bus: ActuatorBus) -> None:
    before = bus.statistics.requests
    highest = bus.table(1)["torque_switch"].upper
    with pytest.raises(RefusedError, match=rf"outside 0\.\.{highest}"):
        bus.write(1, "torque_switch", highest + 1)
    with pytest.raises(UnknownNameError, match="torque_switch"):
        bus.write(1, "torque_switchh", 1)
    with pytest.raises(RefusedError, match="read-only"):
        bus.write(1, "present_position", 1)
    assert bus.statistics.requests == before


def test_scan_finds_who_is_there(bus: ActuatorBus, faults: Faults) -> None:
    faults.silent.add(3)
    assert bus.scan(range(1, 9)) == [1, 2, 4, 5, 6]


def test_sync_read_and_write(bus: ActuatorBus) -> None:
    bus.sync_write("goal_position", {1: 100, 2: 200})
    assert bus.sync_read("goal_position", (1, 2)) == {1: 100, 2: 200}


def test_the_end_of_memory_can_be_read(bus: ActuatorBus) -> None:
    first, *_, last = bus.table(1)
    for _ in range(5):
        assert bus.read(1, last.name) == last.default
        assert bus.read(1, first.name) == first.default


def test_an_unplugged_cable_is_a_lost_link(bus: ActuatorBus, faults: Faults) -> None:
    faults.unplugged = True
    for call in (
        lambda: bus.ping(1),
        lambda: bus.telemetry(IDS),
        lambda: bus.sync_write("goal_position", {1: 1}),
    ):
        with pytest.raises(LinkLostError, match="check cable"):
            call()
