//! Tier 2: owns the northbound interface: types, errors, server and client over HTTP.
