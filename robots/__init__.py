"""What is true of an arm everywhere: description, kinematics, controllers, envelope, the tick."""
