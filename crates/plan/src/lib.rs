//! Tier 1: from what is declared to the tables of one host. Pure: no clock, no randomness, no I/O, no async.
