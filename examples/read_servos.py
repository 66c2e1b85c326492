"""Talk to a servo bus without an arm: find servos, read telemetry, write one register and read it back."""

import sys

from genba.drivers.bus import ActuatorBus, Fault
from genba.drivers.ports import open_port
from genba.drivers.protocols import load_protocol


def main(port: str = "genba-sim://so101?ids=1,2,3,5,6&time=virtual") -> None:
    """Print what is on the bus; nothing moves, torque stays off."""
    bus = ActuatorBus(open_port(port, 1_000_000), load_protocol("feetech_sts"))
    try:
        ids = bus.scan(range(1, 8))
        print("servos that answer:", ids)
        for i, result in bus.telemetry([*ids, 4]).items():  # one exchange; a result per servo, never all or nothing
            if isinstance(result, Fault):
                print(f"  {i}: {result.text}")
            else:
                print(f"  {i}: {result.position_ticks} ticks, {result.voltage:.1f} V, {result.temperature} degC")
        bus.write(ids[0], "torque_limit", 600)  # acknowledged and read back
        print("torque limit of servo", ids[0], "is", bus.read(ids[0], "torque_limit"))
        print(bus.statistics.as_dict())
    finally:
        bus.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
