//! What a host answers to DHCP, DHCPv6 and router solicitations.
