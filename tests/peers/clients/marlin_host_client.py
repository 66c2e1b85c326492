"""The package marlin-host against a port; run as a program: python marlin_host_client.py PORT."""

import sys

from marlin_host import MarlinHost, SerialTransport

PROGRAM = [f"G1 X{k % 5} Y{k % 3} F6000" for k in range(60)]


def main(port):
    """Identify, stream with line numbers and checksums, home, and shut down, after which nothing is obeyed."""
    host = MarlinHost(SerialTransport(port, 115200, reset_on_open=False), reliable=True)
    host.connect()
    found = host.capabilities()
    assert found.firmware.startswith("FIRMWARE_NAME:Marlin 2"), found
    assert found.caps["EMERGENCY_PARSER"], found
    assert [progress.commands_sent for progress in host.stream(PROGRAM)][-1] == len(PROGRAM)
    assert host.send("M400").is_ack
    assert host.send("G28").is_ack
    host.emergency_stop()
    assert host.is_halted


if __name__ == "__main__":
    main(*sys.argv[1:])
