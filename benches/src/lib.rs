//! netvirt measured against its peers.
