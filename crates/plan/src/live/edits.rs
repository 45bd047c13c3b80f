//! The edits of the tables that change without being made anew.

use pipeline::moves::Move;
use pipeline::{
    Address, Peer, PeerKey, Plain, Port, Record, RecordKey, Replica, ReplicaKey, Route, RouteKey, StationKey, Subnet,
};

use crate::compile::security::SecurityEdits;
use crate::edit::Edit;
use crate::{Changes, HostTables, TableChanges};

/// The edits of all tables that change without being made anew.
#[derive(Default)]
pub(super) struct Edits {
    pub(super) ports: Edit<u32, Port>,
    pub(super) records: Edit<RecordKey, Record>,
    pub(super) stations: Edit<StationKey, Record>,
    pub(super) moves: Edit<StationKey, Move>,
    pub(super) subnets: Edit<u32, Subnet>,
    pub(super) routes: Edit<RouteKey, Route>,
    pub(super) peers: Edit<PeerKey, Peer>,
    pub(super) replicas: Edit<ReplicaKey, Replica>,
    pub(super) plain: Edit<Address, Plain>,
    pub(super) security: SecurityEdits,
}

impl Edits {
    /// Writes all of them, and says what differs from what was.
    pub(super) fn carry_out(self, tables: &mut HostTables) -> Changes {
        Changes {
            host: None,
            ports: self.ports.carry_out(&mut tables.ports),
            records: self.records.carry_out(&mut tables.records),
            stations: self.stations.carry_out(&mut tables.stations),
            moves: self.moves.carry_out(&mut tables.moves),
            subnets: self.subnets.carry_out(&mut tables.subnets),
            routes: self.routes.carry_out(&mut tables.routes),
            peers: self.peers.carry_out(&mut tables.peers),
            providers: TableChanges::default(),
            replicas: self.replicas.carry_out(&mut tables.replicas),
            plain: self.plain.carry_out(&mut tables.plain),
            ..self.security.carry_out(tables)
        }
    }
}
