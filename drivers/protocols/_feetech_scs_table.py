"""The memory of a Feetech SCS servo, 84 bytes, high bytes first: a potentiometer of 10 bits and a short position loop.

Bits of `status` (also of the two masks): 0 voltage, 2 temperature, 5 overload. Both limits 0 make the servo a motor
whose duty is `goal_time`. Default 1284 is the model number of the SCS0009.
"""

from ..registers import Access, Register, RegisterTable, Sign

SIZE = 84
MODELS = {"SCS0009": 1284, "SCS15": 1295}  # also sold as SC09 and SC15

# name, address, size, access, lower, upper, default, unit, sign
_ROWS: tuple[tuple[str, int, int, Access, int, int, int, str, Sign], ...] = (
    ("firmware_major", 0, 1, "read", 0, 255, 0, "", "none"),
    ("firmware_minor", 1, 1, "read", 0, 255, 16, "", "none"),
    ("byte_order", 2, 1, "read", 0, 1, 1, "0 little, 1 big", "none"),
    ("model_number", 3, 2, "read", 0, 65535, 1284, "", "none"),
    ("id", 5, 1, "eeprom", 0, 253, 1, "", "none"),
    ("baud_code", 6, 1, "eeprom", 0, 7, 0, "", "none"),
    ("return_delay", 7, 1, "eeprom", 0, 253, 0, "2 us", "none"),
    ("response_level", 8, 1, "eeprom", 0, 1, 1, "", "none"),
    ("min_angle", 9, 2, "eeprom", 0, 1023, 20, "tick", "none"),
    ("max_angle", 11, 2, "eeprom", 0, 1023, 1003, "tick", "none"),
    ("max_temperature", 13, 1, "eeprom", 0, 100, 70, "degC", "none"),
    ("max_voltage", 14, 1, "eeprom", 0, 254, 140, "0.1 V", "none"),
    ("min_voltage", 15, 1, "eeprom", 0, 254, 40, "0.1 V", "none"),
    ("max_torque", 16, 2, "eeprom", 0, 1000, 1000, "0.1 %", "none"),
    ("phase", 18, 1, "eeprom", 0, 254, 0, "bits", "none"),
    ("unload_mask", 19, 1, "eeprom", 0, 254, 0x24, "bits", "none"),
    ("led_mask", 20, 1, "eeprom", 0, 254, 0x25, "bits", "none"),
    ("position_gain", 21, 1, "eeprom", 0, 254, 32, "1/4 permille/tick", "none"),
    ("derivative_gain", 22, 1, "eeprom", 0, 254, 32, "1/8", "none"),
    ("start_force", 24, 2, "eeprom", 0, 1000, 16, "0.1 %", "none"),
    ("dead_zone_cw", 26, 1, "eeprom", 0, 16, 1, "tick", "none"),
    ("dead_zone_ccw", 27, 1, "eeprom", 0, 16, 1, "tick", "none"),
    ("holding_torque", 37, 1, "eeprom", 0, 254, 20, "%", "none"),
    ("protection_time", 38, 1, "eeprom", 0, 254, 200, "10 ms", "none"),
    ("overload_torque", 39, 1, "eeprom", 0, 254, 80, "%", "none"),
    ("torque_switch", 40, 1, "ram", 0, 1, 0, "0 free, 1 on", "none"),
    ("goal_position", 42, 2, "ram", 0, 1023, 0, "tick", "none"),
    ("goal_time", 44, 2, "ram", -1000, 1000, 0, "ms, or 0.1 % of a motor's duty", "bit10"),
    ("goal_speed", 46, 2, "ram", 0, 1000, 0, "tick/s", "none"),
    ("lock", 48, 1, "ram", 0, 1, 1, "0 open, 1 locked", "none"),
    ("present_position", 56, 2, "read", 0, 1023, 0, "tick", "none"),
    ("present_speed", 58, 2, "read", -32767, 32767, 0, "tick/s", "bit15"),
    ("present_load", 60, 2, "read", -1000, 1000, 0, "-0.1 %", "bit10"),
    ("present_voltage", 62, 1, "read", 0, 254, 60, "0.1 V", "none"),
    ("present_temperature", 63, 1, "read", 0, 254, 28, "degC", "none"),
    ("async_flag", 64, 1, "read", 0, 1, 0, "", "none"),
    ("status", 65, 1, "read", 0, 255, 0, "bits", "none"),
    ("moving", 66, 1, "read", 0, 1, 0, "", "none"),
)

REGISTERS = RegisterTable(
    "Feetech SCS",
    SIZE,
    tuple(
        Register(
            name=name,
            address=address,
            size=size,
            access=access,
            lower=lower,
            upper=upper,
            default=default,
            unit=unit,
            sign=sign,
            big_endian=True,
        )
        for name, address, size, access, lower, upper, default, unit, sign in _ROWS
    ),
)
