//! How large a packet may be so that with ESP around it it fits what is outside.

use super::{Esp, Tunnel};

/// ESP's own header: SPI and sequence number (RFC 4303, section 2).
const HEADER: u32 = 8;
/// Padding's length and the next header, behind the packet.
const TRAILER: u32 = 2;
/// Around ESP wherever a NAT may be (RFC 3948), and always when it is done in user space.
const UDP: u32 = 8;

/// What one suite of algorithms adds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Suite {
    /// Bytes of the initialization vector.
    iv: u32,
    /// Bytes of the integrity check value.
    icv: u32,
    /// Packet, padding and trailer are a multiple of so many bytes.
    block: u32,
}

/// Charon's ESP cuts packets off that are longer (`TUN_DEFAULT_MTU` of its `tun_device.c`), whatever the device's MTU is.
const LONGEST_OF_CHARON: u32 = 1400;

/// The largest packet, in bytes, that passes a tunnel over a link whose MTU is `outside`, whichever of the tunnel's proposals
/// the other side chooses.
pub fn mtu(outside: u32, tunnel: &Tunnel<'_>, esp: Esp) -> u32 {
    let ip = if tunnel.local.is_ipv4() { 20 } else { 40 };
    let room = |proposal: &String| {
        let Suite { iv, icv, block } = suite(proposal);
        let room = outside.saturating_sub(ip + UDP + HEADER + iv + icv);
        (room / block * block).saturating_sub(TRAILER)
    };
    let room = tunnel.esp_proposals.iter().map(room).min().unwrap_or_default();
    match esp {
        Esp::Kernel => room,
        Esp::Userspace => room.min(LONGEST_OF_CHARON),
    }
}

/// What a proposal in strongSwan's words adds. Of what is not known the largest is taken.
fn suite(proposal: &str) -> Suite {
    let has = |words: &[&str]| proposal.split('-').any(|token| words.iter().any(|word| token.contains(word)));
    if has(&["gcm", "ccm", "chacha20"]) {
        return Suite { iv: 8, icv: 16, block: 4 };
    }
    let icv = if has(&["sha256", "sha2_256"]) {
        16
    } else if has(&["sha1", "md5", "aesxcbc", "aescmac"]) {
        12
    } else if has(&["sha384", "sha2_384"]) {
        24
    } else {
        32
    };
    match has(&["ctr"]) {
        true => Suite { iv: 8, icv, block: 4 },
        false => Suite { iv: 16, icv, block: 16 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_algorithms_add() {
        assert_eq!(suite("aes256gcm16-ecp384"), Suite { iv: 8, icv: 16, block: 4 });
        assert_eq!(suite("chacha20poly1305"), Suite { iv: 8, icv: 16, block: 4 });
        assert_eq!(suite("aes256-sha256-modp2048"), Suite { iv: 16, icv: 16, block: 16 });
        assert_eq!(suite("aes128-sha1"), Suite { iv: 16, icv: 12, block: 16 });
        assert_eq!(suite("aes256ctr-sha512"), Suite { iv: 8, icv: 32, block: 4 });
        assert_eq!(suite("something-new"), Suite { iv: 16, icv: 32, block: 16 });
    }
}
