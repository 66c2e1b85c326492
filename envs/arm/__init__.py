"""The simulated arm: joints, drives and fingers, each by the law of the real one."""
