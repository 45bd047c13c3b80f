//! Nothing from one routing domain reaches another, over random networks and frames; in user space alone, since the
//! kernel decides alike.

use std::collections::BTreeMap;

use datapath::Role;
use model::{Intent, RoutingDomainId};
use pipeline::segment;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::memory::Memory;
use crate::port_frames::{Case, Frames};
use crate::userspace::{self, Counts};
use crate::world::{self, Devices};

/// The routing domain of each VSID as it was declared, not as the compiler took it.
fn domains(intent: &Intent) -> BTreeMap<u32, RoutingDomainId> {
    intent.customer_routes().map(|route| (route.vsid.get(), route.rdid)).collect()
}

/// The VSID that a frame from the underlay names.
fn named_vsid(frame: &[u8]) -> Option<u32> {
    let (at, protocol) = match frame.get(12..14)? {
        [0x08, 0x00] => (34, *frame.get(23)?),
        [0x86, 0xdd] => (54, *frame.get(20)?),
        _ => return None,
    };
    match (protocol, frame.get(at..)?) {
        (47, [0x20, 0, 0x65, 0x58, a, b, c, ..])
        | (17, [_, _, 0x12, 0xb5, _, _, _, _, _, _, _, _, a, b, c, ..])
        | (17, [_, _, 0x17, 0xc1, _, _, _, _, _, _, 0x65, 0x58, a, b, c, ..]) => {
            Some(u32::from_be_bytes([0, *a, *b, *c]))
        }
        _ => None,
    }
}

/// The physical network that a frame at the uplink belongs to.
fn named_network(case: &Case) -> u32 {
    let vlan = match case.frame.get(12..16) {
        Some([0x81, 0x00, high, low]) => u16::from_be_bytes([high & 0x0f, *low]),
        _ => 0,
    };
    segment::number(case.meta.ifindex, vlan)
}

#[test]
fn nothing_reaches_another_routing_domain() {
    let devices = Devices { ports: (100..140).collect(), uplink: 2 };
    let (mut crossed, mut carried) = (0, 0);
    for seed in 0..330 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (intent, tables) = world::host_of_a_network(&devices, &mut rng);
        let domains = domains(&intent);
        for _ in 0..250 {
            let case: Case = Frames::new(&mut rng, &tables, &devices).draw();
            let expected =
                userspace::run(case.role, &case.frame, &case.meta, &tables, &Memory::default(), &mut Counts::default());
            let Some(to) = expected.vsid else { continue };
            let from = match case.role {
                Role::Port => tables.ports[&case.meta.ifindex].vsid,
                // What is not encapsulated is known by its addresses, which no two VSIDs share.
                _ if segment::is_physical(to) => named_network(&case),
                Role::Uplink => match named_vsid(&case.frame) {
                    Some(vsid) => vsid,
                    None => to,
                },
                Role::Host => panic!("what the host sends got into VSID {to}, seed {seed}: {case:?}"),
            };
            carried += 1;
            if from == to {
                continue;
            }
            crossed += 1;
            assert_eq!(case.role, Role::Port, "the VSID changed behind the wire, seed {seed}: {case:?}");
            assert!(
                domains.contains_key(&from) && domains.get(&from) == domains.get(&to),
                "from VSID {from} to {to}, seed {seed}: {case:?}\n{tables:#?}"
            );
        }
    }
    assert!(carried > 3_000 && crossed > 100, "only {carried} were carried, {crossed} of them routed");
}
