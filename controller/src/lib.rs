//! The controller: who serves what, told to the brokers.
