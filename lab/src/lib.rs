//! Hosts, VMs and underlays in network namespaces, for 'netvirt lab', tests and benchmarks.
