//! Tier 2: owns the kernel programs: builds, loads, pins, attaches, fills and reads them back.
