//! Claims of ports, and what is answered.

use super::values::{WireError, name_in, uuid_in, uuid_out};
use crate::{Claim, ClaimAnswer, wire};

pub fn claim_out(number: u64, claim: &Claim) -> wire::Claim {
    wire::Claim {
        number,
        uid: uuid_out(claim.uid),
        device: claim.device.as_ref().map(ToString::to_string),
        release: claim.release,
    }
}

/// The number of a claim, and the claim.
pub fn claim_in(claim: wire::Claim) -> Result<(u64, Claim), WireError> {
    let device = claim.device.map(|name| name_in("device", name)).transpose()?;
    Ok((claim.number, Claim { uid: uuid_in("uid", &claim.uid)?, device, release: claim.release }))
}

pub fn answer_out(answer: &ClaimAnswer) -> wire::ClaimAnswer {
    wire::ClaimAnswer { number: answer.number, refusal: answer.refusal.clone() }
}

pub fn answer_in(answer: wire::ClaimAnswer) -> ClaimAnswer {
    ClaimAnswer { number: answer.number, refusal: answer.refusal }
}
