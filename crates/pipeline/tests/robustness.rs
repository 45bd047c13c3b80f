//! Whatever bytes come, the pipeline decides without a panic, and what it decides can be carried out.

mod common;

use common::{BROADCAST, GATEWAY, Net, UPLINK, Way, blue, nvgre, red, syn, udp};
use pipeline::Meta;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// How a frame comes in.
fn any_meta() -> impl Strategy<Value = Meta> {
    let ports = select(vec![11, 12, 13, 14, 21, 99, UPLINK]);
    let segment = prop_oneof![4 => Just(0), 1 => any::<u32>(), 1 => 500..1600u32];
    (ports, segment, prop::bool::weighted(0.1), prop::bool::weighted(0.1))
        .prop_map(|(ifindex, segment, vlan, relayed)| Meta { ifindex, segment, vlan, relayed, ..Meta::default() })
}

/// A right frame.
fn good() -> Vec<Vec<u8>> {
    let inner = udp(blue(5), blue(7), "10.0.0.7", "10.0.0.5", &[1; 40]);
    vec![
        udp(blue(7), blue(5), "10.0.0.5", "10.0.0.7", &[1; 40]),
        udp(blue(8), blue(5), "fd00::5", "fd00::8", &[1; 1600]),
        udp(GATEWAY, blue(5), "10.0.0.5", "10.0.1.7", &[1; 40]),
        udp(BROADCAST, blue(5), "10.0.0.5", "255.255.255.255", &[1; 40]),
        syn(blue(7), blue(5), "10.0.0.5", "10.0.0.7", &[1, 2, 4, 0x23, 0x28, 3, 3, 7]),
        syn(blue(10), blue(9), "fd00::9", "fd00::10", &[2, 4, 0x23, 0x28, 3, 3, 7, 0]),
        udp(red(7), red(5), "fd00::5", "fd00::7", &[1; 40]),
        udp([2; 6], [4; 6], "198.18.0.10", "198.18.0.9", &[1; 40]),
        nvgre("192.168.4.22", "192.168.4.11", 5001, &inner),
        nvgre("fd01::22", "fd01::11", 5001, &inner),
    ]
}

fn run(net: &Net, mut meta: Meta, frame: &[u8]) -> Way {
    meta.len = frame.len() as u32;
    let port = net.port_sends_as(&meta, frame).way;
    let uplink = net.underlay_sends_as(&meta, frame).way;
    if meta.ifindex == UPLINK { uplink } else { port }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes_are_decided_about(meta in any_meta(), frame in vec(any::<u8>(), 0..200)) {
        run(&Net::new(), meta, &frame);
    }

    #[test]
    fn right_frames_made_wrong_are_decided_about(
        meta in any_meta(),
        frame in select(good()),
        flips in vec((any::<Index>(), any::<u8>()), 0..6),
        cut in any::<Index>(),
        cutting in any::<bool>(),
    ) {
        let mut frame = frame;
        for (at, byte) in flips {
            let near = at.index(frame.len().min(110));
            frame[near] = byte;
        }
        if cutting {
            frame.truncate(cut.index(frame.len()));
        }
        run(&Net::new(), meta, &frame);
    }
}

#[test]
fn every_length_of_every_right_frame_is_decided_about() {
    let net = Net::new();
    for frame in good() {
        for length in 0..frame.len().min(160) {
            for ifindex in [11, 14, 21, UPLINK] {
                run(&net, Meta { ifindex, ..Meta::default() }, &frame[..length]);
            }
        }
    }
}
