"""The memory of Dynamixel X servos, as the control tables of their manuals give it.

One line per register of the XM430-W350; what another model has otherwise stands below, in lines of the same form.
EEPROM (below 64) can be written with the torque off only. The manual's names differ in a few places: torque_switch is
its torque enable, position_offset its homing offset, response_level its status return level, max_temperature its
temperature limit, shutdown_mask its shutdown. Numbers that can be negative are two's complement.
"""

from dataclasses import dataclass

from ..registers import Access, Register, RegisterTable

BAUD_RATES = (9_600, 57_600, 115_200, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 4_500_000)
TURNS = 1_048_575  # ticks that a goal may lie from zero where several turns are allowed, 256 turns
PWM_UNITS = 885  # counts of a PWM register at full duty
VELOCITY_UNIT = 0.0239691227  # rad/s per count, 0.229 rev/min
ACCELERATION_UNIT = 0.37451  # rad/s2 per count, 214.577 rev/min2
_LONG = 2**31 - 1
_RPM = "0.229 rev/min"

# name, address, size, access, lower, upper, default, unit
_Row = tuple[str, int, int, Access, int, int, int, str]
_XM430_W350: tuple[_Row, ...] = (
    ("model_number", 0, 2, "read", 0, 65535, 1020, ""),
    ("model_information", 2, 4, "read", 0, _LONG, 0, ""),
    ("firmware_version", 6, 1, "read", 0, 255, 52, ""),
    ("id", 7, 1, "eeprom", 0, 252, 1, ""),
    ("baud_code", 8, 1, "eeprom", 0, 7, 1, ""),
    ("return_delay", 9, 1, "eeprom", 0, 254, 250, "2 us"),
    ("drive_mode", 10, 1, "eeprom", 0, 13, 0, "bits: 1 reverse, 4 profile by time, 8 torque on by goal"),
    ("operating_mode", 11, 1, "eeprom", 0, 16, 3, "0 current, 1 speed, 3 position, 4 turns, 5 soft position, 16 PWM"),
    ("secondary_id", 12, 1, "eeprom", 0, 255, 255, "below 253: obeys it, too"),
    ("protocol_type", 13, 1, "eeprom", 1, 22, 2, ""),
    ("position_offset", 20, 4, "eeprom", -1_044_479, 1_044_479, 0, "tick"),
    ("moving_threshold", 24, 4, "eeprom", 0, 1023, 10, _RPM),
    ("max_temperature", 31, 1, "eeprom", 0, 100, 80, "degC"),
    ("max_voltage", 32, 2, "eeprom", 95, 160, 160, "0.1 V"),
    ("min_voltage", 34, 2, "eeprom", 95, 160, 95, "0.1 V"),
    ("pwm_limit", 36, 2, "eeprom", 0, PWM_UNITS, PWM_UNITS, "1/885"),
    ("current_limit", 38, 2, "eeprom", 0, 1193, 1193, "2.69 mA"),
    ("velocity_limit", 44, 4, "eeprom", 0, 1023, 200, _RPM),
    ("max_position", 48, 4, "eeprom", 0, 4095, 4095, "tick"),
    ("min_position", 52, 4, "eeprom", 0, 4095, 0, "tick"),
    ("startup_configuration", 60, 1, "eeprom", 0, 3, 0, "bits: 1 torque on, 2 restore RAM"),
    ("shutdown_mask", 63, 1, "eeprom", 0, 63, 52, "bits of hardware_error"),
    ("torque_switch", 64, 1, "ram", 0, 1, 0, "0 free, 1 on"),
    ("led", 65, 1, "ram", 0, 1, 0, ""),
    ("response_level", 68, 1, "ram", 0, 2, 2, "0 ping, 1 and reads, 2 all"),
    ("async_flag", 69, 1, "read", 0, 1, 0, ""),
    ("hardware_error", 70, 1, "read", 0, 63, 0, "bits: 1 volt, 4 heat, 8 encoder, 16 electric, 32 load"),
    ("velocity_i_gain", 76, 2, "ram", 0, 16383, 1920, "1/65536"),
    ("velocity_p_gain", 78, 2, "ram", 0, 16383, 100, "1/128"),
    ("position_d_gain", 80, 2, "ram", 0, 16383, 0, "1/16"),
    ("position_i_gain", 82, 2, "ram", 0, 16383, 0, "1/65536"),
    ("position_p_gain", 84, 2, "ram", 0, 16383, 800, "1/128"),
    ("feedforward_2nd_gain", 88, 2, "ram", 0, 16383, 0, "1/4"),
    ("feedforward_1st_gain", 90, 2, "ram", 0, 16383, 0, "1/4"),
    ("bus_watchdog", 98, 1, "ram", -1, 127, 0, "20 ms; 0 off, -1 tripped"),
    ("goal_pwm", 100, 2, "ram", -PWM_UNITS, PWM_UNITS, PWM_UNITS, "1/885"),
    ("goal_current", 102, 2, "ram", -1193, 1193, 1193, "2.69 mA"),
    ("goal_velocity", 104, 4, "ram", -1023, 1023, 0, _RPM),
    ("profile_acceleration", 108, 4, "ram", 0, 32767, 0, "214.577 rev/min2, or ms"),
    ("profile_velocity", 112, 4, "ram", 0, 32767, 0, "0.229 rev/min, or ms"),
    ("goal_position", 116, 4, "ram", -TURNS, TURNS, 0, "tick"),
    ("realtime_tick", 120, 2, "read", 0, 32767, 0, "ms"),
    ("moving", 122, 1, "read", 0, 1, 0, ""),
    ("moving_status", 123, 1, "read", 0, 63, 0, "bits: 1 in position, 2 profile runs, 8 behind, 48 its shape"),
    ("present_pwm", 124, 2, "read", -PWM_UNITS, PWM_UNITS, 0, "1/885"),
    ("present_current", 126, 2, "read", -32768, 32767, 0, "2.69 mA"),
    ("present_velocity", 128, 4, "read", -_LONG, _LONG, 0, _RPM),
    ("present_position", 132, 4, "read", -_LONG, _LONG, 0, "tick"),
    ("velocity_trajectory", 136, 4, "read", -_LONG, _LONG, 0, _RPM),
    ("position_trajectory", 140, 4, "read", -_LONG, _LONG, 0, "tick"),
    ("present_voltage", 144, 2, "read", 0, 65535, 120, "0.1 V"),
    ("present_temperature", 146, 1, "read", 0, 255, 28, "degC"),
    ("backup_ready", 147, 1, "read", 0, 1, 0, ""),
)


_XM430_W210: tuple[_Row, ...] = (
    ("model_number", 0, 2, "read", 0, 65535, 1030, ""),
    ("velocity_limit", 44, 4, "eeprom", 0, 1023, 330, _RPM),
)

_XL430_W250: tuple[_Row, ...] = (
    ("model_number", 0, 2, "read", 0, 65535, 1060, ""),
    ("operating_mode", 11, 1, "eeprom", 0, 16, 3, "1 speed, 3 position, 4 turns, 16 PWM"),
    ("max_temperature", 31, 1, "eeprom", 0, 100, 72, "degC"),
    ("max_voltage", 32, 2, "eeprom", 60, 140, 140, "0.1 V"),
    ("min_voltage", 34, 2, "eeprom", 60, 140, 60, "0.1 V"),
    ("velocity_limit", 44, 4, "eeprom", 0, 1023, 265, _RPM),
    ("velocity_i_gain", 76, 2, "ram", 0, 16383, 1000, "1/65536"),
    ("position_d_gain", 80, 2, "ram", 0, 16383, 4000, "1/16"),
    ("position_p_gain", 84, 2, "ram", 0, 16383, 640, "1/128"),
    ("present_load", 126, 2, "read", -1000, 1000, 0, "0.1 %"),
)

_XL330_M288: tuple[_Row, ...] = (
    ("model_number", 0, 2, "read", 0, 65535, 1200, ""),
    ("baud_code", 8, 1, "eeprom", 0, 6, 1, ""),
    ("protocol_type", 13, 1, "eeprom", 2, 22, 2, "20..22 are radio control signals"),
    ("max_temperature", 31, 1, "eeprom", 0, 100, 70, "degC"),
    ("max_voltage", 32, 2, "eeprom", 31, 70, 70, "0.1 V"),
    ("min_voltage", 34, 2, "eeprom", 31, 70, 35, "0.1 V"),
    ("current_limit", 38, 2, "eeprom", 0, 1750, 1750, "mA"),
    ("velocity_limit", 44, 4, "eeprom", 0, 2047, 445, _RPM),
    ("pwm_slope", 62, 1, "eeprom", 1, 255, 140, "1.977 mV/ms"),
    ("shutdown_mask", 63, 1, "eeprom", 0, 63, 53, "bits of hardware_error"),
    ("velocity_i_gain", 76, 2, "ram", 0, 16383, 1600, "1/65536"),
    ("velocity_p_gain", 78, 2, "ram", 0, 16383, 180, "1/128"),
    ("position_p_gain", 84, 2, "ram", 0, 16383, 400, "1/128"),
    ("goal_current", 102, 2, "ram", -1750, 1750, 1750, "mA"),
    ("goal_velocity", 104, 4, "ram", -2047, 2047, 0, _RPM),
    ("present_current", 126, 2, "read", -32768, 32767, 0, "mA"),
    ("present_voltage", 144, 2, "read", 0, 65535, 50, "0.1 V"),
)

_XL330_M077: tuple[_Row, ...] = (
    ("model_number", 0, 2, "read", 0, 65535, 1190, ""),
    ("velocity_limit", 44, 4, "eeprom", 0, 2047, 1620, _RPM),
    ("velocity_i_gain", 76, 2, "ram", 0, 16383, 400, "1/65536"),
    ("velocity_p_gain", 78, 2, "ram", 0, 16383, 40, "1/128"),
    ("position_i_gain", 82, 2, "ram", 0, 16383, 400, "1/65536"),
)

# What lies there differs by model, but something always does.
_EFFORT: _Row = ("present_effort", 126, 2, "read", -32768, 32767, 0, "load or current")

# Blocks of indirect registers: first address register, first data register, how many. Firmware 52 and later.
_FAR = ((168, 224, 28), (578, 634, 28))
_NEAR = ((168, 208, 20),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model: its registers and what its table does not say.

    Attributes:
        name: Trade name, as `Drive.model` gives it.
        table: Its registers.
        indirect: Address of the indirect address register of each indirect data register, by address.
        modes: Operating modes it has.
        protocols: Values of protocol_type it takes.
        current_unit: A per count of its current registers; None where it measures none.
        supply: Voltage it is made for, V.
        torque_per_ampere: At the output, N m/A: stall torque by stall current.
    """

    name: str
    table: RegisterTable
    indirect: dict[int, int]
    modes: tuple[int, ...] = (0, 1, 3, 4, 5, 16)
    protocols: tuple[int, ...] = (1, 2)
    current_unit: float | None = 2.69e-3
    supply: float = 12.0
    torque_per_ampere: float

    @property
    def number(self) -> int:
        """What it answers when asked for its model."""
        return self.table["model_number"].default


def _register(row: _Row) -> Register:
    name, address, size, access, lower, upper, default, unit = row
    return Register(
        name=name,
        address=address,
        size=size,
        access=access,
        lower=lower,
        upper=upper,
        default=default,
        unit=unit,
        sign="twos" if lower < 0 else "none",
    )


def _rows(*layers: tuple[_Row, ...], without: tuple[int, ...] = ()) -> list[_Row]:
    """Rows by address, later layers over earlier ones."""
    merged = {row[1]: row for layer in layers for row in layer}
    return [merged[address] for address in sorted(merged) if address not in without]


def _table(name: str, rows: list[_Row], blocks: tuple[tuple[int, int, int], ...] = ()) -> RegisterTable:
    rows = list(rows)
    last = blocks[-1][1] + blocks[-1][2] - 1 if blocks else 0
    number = 0
    for addresses, data, count in blocks:
        for k in range(count):
            number += 1
            rows.append((f"indirect_address_{number}", addresses + 2 * k, 2, "ram", 64, last, data + k, "address"))
            rows.append((f"indirect_data_{number}", data + k, 1, "ram", 0, 255, 0, ""))
    rows.sort(key=lambda row: row[1])
    return RegisterTable(f"Dynamixel {name}", rows[-1][1] + rows[-1][2], tuple(map(_register, rows)), gaps=False)


def _pointers(blocks: tuple[tuple[int, int, int], ...]) -> dict[int, int]:
    return {data + k: addresses + 2 * k for addresses, data, count in blocks for k in range(count)}


MODELS = (
    Model(
        name="XM430-W350",
        table=_table("XM430-W350", _rows(_XM430_W350), _FAR),
        indirect=_pointers(_FAR),
        torque_per_ampere=1.78,
    ),
    Model(
        name="XM430-W210",
        table=_table("XM430-W210", _rows(_XM430_W350, _XM430_W210), _FAR),
        indirect=_pointers(_FAR),
        torque_per_ampere=1.30,
    ),
    Model(
        name="XL430-W250",
        table=_table("XL430-W250", _rows(_XM430_W350, _XL430_W250, without=(38, 102)), _FAR),
        indirect=_pointers(_FAR),
        modes=(1, 3, 4, 16),
        current_unit=None,
        torque_per_ampere=1.07,
    ),
    Model(
        name="XL330-M288",
        table=_table("XL330-M288", _rows(_XM430_W350, _XL330_M288), _NEAR),
        indirect=_pointers(_NEAR),
        protocols=(2, 20, 21, 22),
        current_unit=1e-3,
        supply=5.0,
        torque_per_ampere=0.354,
    ),
    Model(
        name="XL330-M077",
        table=_table("XL330-M077", _rows(_XM430_W350, _XL330_M288, _XL330_M077), _NEAR),
        indirect=_pointers(_NEAR),
        protocols=(2, 20, 21, 22),
        current_unit=1e-3,
        supply=5.0,
        torque_per_ampere=0.146,
    ),
)
BY_NUMBER = {model.number: model for model in MODELS}


def _shared() -> RegisterTable:
    """Registers that lie at one place in all models, with the widest of their ranges."""
    rows: list[_Row] = []
    for name, address, size, access, lower, upper, default, unit in _XM430_W350:
        if not all(name in model.table for model in MODELS):
            continue
        same = [model.table[name] for model in MODELS]
        low, high = min(r.lower for r in same), max(r.upper for r in same)
        rows.append((name, address, size, access, min(low, lower), max(high, upper), default, unit))
    return _table("X series", _rows(tuple(rows), (_EFFORT,)))


SHARED = _shared()
