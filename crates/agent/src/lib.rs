//! Tier 3: the role of one host.
