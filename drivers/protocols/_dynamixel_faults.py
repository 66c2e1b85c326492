"""What a Dynamixel servo complains of, in words: error numbers of its status packets and bits of its hardware error."""

ALERT = 0x80  # bit of the error byte: register hardware_error tells what is wrong
RESULT_FAIL, BAD_INSTRUCTION, BAD_CRC, DATA_RANGE, DATA_LENGTH, DATA_LIMIT, NO_ACCESS = range(1, 8)
VOLTAGE, OVERHEATING, ENCODER, ELECTRICAL_SHOCK, OVERLOAD = 0x01, 0x04, 0x08, 0x10, 0x20

REFUSALS = {
    RESULT_FAIL: "it could not do it now (result fail): stop the joint and release its torque, then ask again",
    BAD_INSTRUCTION: "it does not know the instruction, or no write was prepared: prepare one, or update its firmware",
    BAD_CRC: "the request came spoiled (CRC): check the cable and keep it away from motor wires, then ask again",
    DATA_RANGE: "the value is outside the register's range, or its bus watchdog has tripped: write 0 to bus_watchdog",
    DATA_LENGTH: "the register is longer than the data (length): write all of its bytes at once",
    DATA_LIMIT: "the value is beyond a limit in its EEPROM: change the limit register or the goal",
    NO_ACCESS: "the register is read-only, or EEPROM while torque is on: switch its torque off, then write again",
}

# A latched fault ends with the power, or with the instruction REBOOT.
FAULTS = {
    VOLTAGE: "supply voltage out of range: check the power supply's voltage and its cable, then switch it off and on",
    OVERHEATING: "too hot: release the arm in its rest position, let it cool down, then switch its power off and on",
    ENCODER: "encoder error: switch its power off and on; if it stays, replace the servo",
    ELECTRICAL_SHOCK: "electrical fault or a supply too weak for the motor: check it, then switch it off and on",
    OVERLOAD: "overload: take the load off the joint, then switch its power off and on",
}
