"""The memory of a Feetech STS servo, 87 bytes, as the official memory table gives it.

Addresses 50..54 and 71..79 are undefined. Bits of `status` (also of the two masks): 0 voltage, 1 encoder,
2 temperature, 3 current, 5 overload. Default 777 is the model number of the STS3215.
"""

from ..registers import Access, Register, RegisterTable, Sign

SIZE = 87
BAUD_RATES = (1_000_000, 500_000, 250_000, 128_000, 115_200, 76_800, 57_600, 38_400)
MODELS = {"STS3215": 777, "STS3250": 2825, "SM8512BL": 11272}
STATUS_VOLTAGE, STATUS_ENCODER, STATUS_TEMPERATURE, STATUS_CURRENT, STATUS_OVERLOAD = 1, 2, 4, 8, 32

# name, address, size, access, lower, upper, default, unit, sign
_ROWS: tuple[tuple[str, int, int, Access, int, int, int, str, Sign], ...] = (
    ("firmware_major", 0, 1, "read", 0, 255, 3, "", "none"),
    ("firmware_minor", 1, 1, "read", 0, 255, 10, "", "none"),
    ("byte_order", 2, 1, "read", 0, 1, 0, "0 little, 1 big", "none"),
    ("model_number", 3, 2, "read", 0, 65535, 777, "", "none"),
    ("id", 5, 1, "eeprom", 0, 253, 1, "", "none"),
    ("baud_code", 6, 1, "eeprom", 0, 7, 0, "", "none"),
    ("return_delay", 7, 1, "eeprom", 0, 253, 0, "2 us", "none"),
    ("response_level", 8, 1, "eeprom", 0, 1, 1, "", "none"),
    ("min_angle", 9, 2, "eeprom", 0, 4094, 0, "tick", "none"),
    ("max_angle", 11, 2, "eeprom", 0, 4095, 4095, "tick", "none"),
    ("max_temperature", 13, 1, "eeprom", 0, 100, 70, "degC", "none"),
    ("max_voltage", 14, 1, "eeprom", 0, 254, 140, "0.1 V", "none"),
    ("min_voltage", 15, 1, "eeprom", 0, 254, 40, "0.1 V", "none"),
    ("max_torque", 16, 2, "eeprom", 0, 1000, 1000, "0.1 %", "none"),
    ("phase", 18, 1, "eeprom", 0, 254, 0x0C, "bits", "none"),
    ("unload_mask", 19, 1, "eeprom", 0, 254, 0x2C, "bits", "none"),
    ("led_mask", 20, 1, "eeprom", 0, 254, 0x2F, "bits", "none"),
    ("position_gain", 21, 1, "eeprom", 0, 254, 32, "1/4 permille/tick", "none"),
    ("derivative_gain", 22, 1, "eeprom", 0, 254, 32, "1/8", "none"),
    ("integral_gain", 23, 1, "eeprom", 0, 254, 0, "1/500", "none"),
    ("start_force", 24, 1, "eeprom", 0, 254, 16, "0.1 %", "none"),
    ("integral_limit", 25, 1, "eeprom", 0, 254, 0, "x4", "none"),
    ("dead_zone_cw", 26, 1, "eeprom", 0, 16, 1, "tick", "none"),
    ("dead_zone_ccw", 27, 1, "eeprom", 0, 16, 1, "tick", "none"),
    ("protection_current", 28, 2, "eeprom", 0, 2047, 310, "6.5 mA", "none"),
    ("angle_resolution", 30, 1, "eeprom", 1, 128, 1, "", "none"),
    ("position_offset", 31, 2, "eeprom", -4095, 4095, 0, "tick", "offset"),
    ("mode", 33, 1, "eeprom", 0, 3, 0, "0 position, 1 speed, 2 duty, 3 step", "none"),
    ("holding_torque", 34, 1, "eeprom", 0, 254, 20, "%", "none"),
    ("protection_time", 35, 1, "eeprom", 0, 254, 200, "10 ms", "none"),
    ("overload_torque", 36, 1, "eeprom", 0, 254, 80, "%", "none"),
    ("speed_p_gain", 37, 1, "eeprom", 0, 254, 10, "", "none"),
    ("over_current_time", 38, 1, "eeprom", 0, 254, 200, "10 ms", "none"),
    ("speed_i_gain", 39, 1, "eeprom", 0, 254, 200, "", "none"),
    ("torque_switch", 40, 1, "ram", 0, 128, 0, "0 free, 1 on, 2 damping, 128 centre", "none"),
    ("acceleration", 41, 1, "ram", 0, 254, 0, "100 tick/s2", "none"),
    # -32767 would be FF FF on the wire, which a servo takes for a header.
    ("goal_position", 42, 2, "ram", -32766, 32767, 0, "tick", "bit15"),
    ("goal_duty", 44, 2, "ram", -1000, 1000, 0, "0.1 %", "bit10"),
    ("goal_speed", 46, 2, "ram", -32766, 32767, 0, "tick/s", "bit15"),
    ("torque_limit", 48, 2, "ram", 0, 1000, 1000, "0.1 %", "none"),
    ("lock", 55, 1, "ram", 0, 1, 1, "0 open, 1 locked", "none"),
    ("present_position", 56, 2, "read", -32767, 32767, 0, "tick", "bit15"),
    ("present_speed", 58, 2, "read", -32767, 32767, 0, "tick/s", "bit15"),
    # The sign is set while the servo pushes towards HIGHER counts: its error is measured minus goal.
    ("present_load", 60, 2, "read", -1000, 1000, 0, "-0.1 %", "bit10"),
    ("present_voltage", 62, 1, "read", 0, 254, 120, "0.1 V", "none"),
    ("present_temperature", 63, 1, "read", 0, 254, 28, "degC", "none"),
    ("async_flag", 64, 1, "read", 0, 1, 0, "", "none"),
    ("status", 65, 1, "read", 0, 255, 0, "bits", "none"),
    ("moving", 66, 1, "read", 0, 1, 0, "", "none"),
    ("target_position", 67, 2, "read", -32767, 32767, 0, "tick", "bit15"),
    ("present_current", 69, 2, "read", -32767, 32767, 0, "6.5 mA", "bit15"),
    ("moving_threshold", 80, 1, "eeprom", 0, 254, 2, "", "none"),
    ("speed_window", 81, 1, "eeprom", 0, 254, 20, "ms", "none"),
    ("speed_unit", 82, 1, "eeprom", 0, 254, 50, "", "none"),
    ("min_speed", 83, 1, "eeprom", 0, 254, 1, "0.732 rpm", "none"),
    ("max_speed", 84, 1, "eeprom", 0, 254, 150, "0.732 rpm", "none"),
    ("acceleration_limit", 85, 1, "eeprom", 0, 254, 100, "100 tick/s2", "none"),
    ("acceleration_multiplier", 86, 1, "eeprom", 0, 254, 1, "", "none"),
)

REGISTERS = RegisterTable(
    "Feetech STS",
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
        )
        for name, address, size, access, lower, upper, default, unit, sign in _ROWS
    ),
)
