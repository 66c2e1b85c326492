"""The package st3215 against a port; run as a program: python st3215_client.py PORT."""

import sys
import time

from st3215 import ST3215


def main(port):
    """Ping, read what it reads, and move."""
    servo = ST3215(port)
    assert servo.PingServo(1)
    assert not servo.PingServo(9)
    here = servo.ReadPosition(1)
    assert abs(here - 2048) <= 2, here
    assert 4.0 <= servo.ReadVoltage(1) <= 14.0
    assert servo.ReadTemperature(1) == 28
    assert servo.ReadMode(1) == 0
    assert servo.StartServo(1) is not None
    assert servo.MoveTo(1, here + 150, 1500, 50, False) is not False
    end = time.monotonic() + 10.0
    while abs(servo.ReadPosition(1) - here - 150) > 4:
        assert time.monotonic() < end, servo.ReadPosition(1)
    assert servo.StopServo(1) is not None


if __name__ == "__main__":
    main(*sys.argv[1:])
