//! Tier 2: owns netlink, network namespaces, devices and capabilities.
