"""LeRobot's own motor bus against a port: connect, handshake, calibrate, read and write; run as a program.

python lerobot_bus.py feetech|dynamixel PORT
"""

import sys
import time

from lerobot.motors import Motor, MotorCalibration, MotorNormMode

MODELS = {
    "feetech": ["sts3215"] * 6,
    "dynamixel": ["xl430-w250", "xl430-w250", "xl330-m288", "xl330-m288", "xl330-m288", "xl330-m288"],
}
NAMES = ["shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper"]


def bus_of(kind, port):
    """The bus as LeRobot's follower arms make it."""
    motors = {
        name: Motor(i, model, MotorNormMode.DEGREES)
        for i, (name, model) in enumerate(zip(NAMES, MODELS[kind], strict=True), start=1)
    }
    if kind == "feetech":
        from lerobot.motors.feetech import FeetechMotorsBus

        return FeetechMotorsBus(port, motors)
    from lerobot.motors.dynamixel import DynamixelMotorsBus

    return DynamixelMotorsBus(port, motors)


def arrives(read, wanted, within):
    """Whether a value comes close to another in ten seconds."""
    end = time.monotonic() + 10.0
    while time.monotonic() < end:
        if abs(read() - wanted) <= within:
            return True
    return False


def main(kind, port):
    """Do what `lerobot-calibrate` and a follower arm do."""
    bus = bus_of(kind, port)
    bus.connect()  # its handshake asks every motor for its model and firmware
    assert bus.is_connected
    found = bus.broadcast_ping()
    assert found is not None
    assert sorted(found) == [1, 2, 3, 4, 5, 6], found
    bus.disable_torque()
    bus.configure_motors()
    homings = bus.set_half_turn_homings()
    assert set(homings) == set(NAMES)
    middle = bus.sync_read("Present_Position", normalize=False)
    assert all(abs(position - 2047) <= 1 for position in middle.values()), middle
    calibration = {
        name: MotorCalibration(id=i, drive_mode=0, homing_offset=homings[name], range_min=700, range_max=3400)
        for i, name in enumerate(NAMES, start=1)
    }
    bus.write_calibration(calibration)
    assert bus.read_calibration() == calibration
    assert bus.is_calibrated
    before = bus.sync_read("Present_Position")
    bus.sync_write("Goal_Position", before)
    bus.enable_torque()
    bus.sync_write("Goal_Position", {"shoulder_pan": before["shoulder_pan"] + 15.0})
    assert arrives(lambda: bus.sync_read("Present_Position")["shoulder_pan"], before["shoulder_pan"] + 15.0, 1.0)
    assert bus.read("Present_Position", "gripper", normalize=False) is not None
    bus.disable_torque()
    bus.reset_calibration()
    bus.disconnect()


if __name__ == "__main__":
    main(*sys.argv[1:])
