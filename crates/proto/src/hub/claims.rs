//! Claims of ports: the controller is asked until it is done, beside all else that the agent says, and the agent is answered.

use std::sync::Arc;
use std::time::Duration;

use model::fabric::ResourceName;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Hub, Queued};
use crate::convert::{answer_out, claim_in};
use crate::wire::controller_message::Message;
use crate::{Claim, ClaimAnswer, Claimed, Encoded, WireError, wire};

/// How long the hosts may take to know of a claim before it is taken back.
pub const CLAIM_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause between two questions, at first and at most; it doubles.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(100)];
/// Claims of one host that are under way at once; one more is refused.
const MAX_CLAIMS: usize = 64;

/// Room for the claims of one session.
pub fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_CLAIMS))
}

impl Hub {
    /// Begins with a claim of a session's.
    pub(super) fn take_claim(
        self: &Arc<Self>,
        host: &ResourceName,
        session: u64,
        room: &Arc<Semaphore>,
        claim: wire::Claim,
    ) -> Result<(), WireError> {
        let (number, claim) = claim_in(claim)?;
        let Ok(place) = Arc::clone(room).try_acquire_owned() else {
            let refusal = Some(format!("{MAX_CLAIMS} ports of this host are being claimed already; try again"));
            self.answer(host, session, &ClaimAnswer { number, refusal });
            return Ok(());
        };
        let (hub, host) = (Arc::clone(self), host.clone());
        tokio::spawn(async move {
            if let Some(refusal) = hub.pursue(&host, session, &claim, CLAIM_TIMEOUT).await {
                hub.answer(&host, session, &ClaimAnswer { number, refusal });
            }
            drop(place);
        });
        Ok(())
    }

    /// Asks the controller until the claim is done or refused. The refusal, if it is one; nothing when the session has ended.
    async fn pursue(
        &self,
        host: &ResourceName,
        session: u64,
        claim: &Claim,
        limit: Duration,
    ) -> Option<Option<String>> {
        let end = Instant::now() + limit;
        let mut pause = PAUSES[0];
        loop {
            match self.ask_controller(host, claim).await {
                Claimed::Done => return Some(None),
                Claimed::Refused(refusal) => return Some(Some(refusal)),
                Claimed::Pending(why) if Instant::now() >= end => {
                    // Whoever asked will not plug it, so that nothing may be left that says so.
                    let back = Claim { release: true, device: None, ..claim.clone() };
                    self.ask_controller(host, &back).await;
                    return Some(Some(format!("within {} s it did not come about: {why}", limit.as_secs())));
                }
                Claimed::Pending(_) => {}
            }
            if !self.is_on(host, session) {
                return None;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES[1]);
        }
    }

    async fn ask_controller(&self, host: &ResourceName, claim: &Claim) -> Claimed {
        let (controller, host, claim) = (Arc::clone(&self.controller), host.clone(), claim.clone());
        let asked = tokio::task::spawn_blocking(move || controller.claim(&host, &claim)).await;
        asked.unwrap_or_else(|_| Claimed::Refused("the controller failed; see its log".to_owned()))
    }

    fn is_on(&self, host: &ResourceName, session: u64) -> bool {
        let state = self.state.lock();
        let live = state.hosts.get(host).and_then(|known| known.session.as_ref());
        live.is_some_and(|live| live.number == session)
    }

    /// Says what came of a claim, behind all that was published before. Another session of the host would not know it.
    fn answer(&self, host: &ResourceName, session: u64, answer: &ClaimAnswer) {
        let mut state = self.state.lock();
        let Some(known) = state.hosts.get_mut(host) else { return };
        if known.session.as_ref().is_some_and(|live| live.number == session) {
            let message = Encoded::new(Message::ClaimAnswer(answer_out(answer)));
            known.send(host, Queued::Messages(Arc::from([message])));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::SocketAddr;

    use parking_lot::Mutex;
    use plan::fabric::TopicId;
    use uuid::Uuid;

    use super::*;
    use crate::{Controller, HostFacts, JoinAsk, Joined, Peer, Refused, Report, Station, TopicContent};

    /// A controller that is done with a claim after so many questions; of each it is noted whether it was a release.
    struct Slow(usize, Mutex<Vec<bool>>);

    impl Controller for Slow {
        fn join(&self, _: &JoinAsk) -> Result<Joined, Refused> {
            Err(Refused::Token("nobody joins here".to_owned()))
        }
        fn leave(&self, _: &Peer) -> Result<(), Refused> {
            Ok(())
        }
        fn admit(&self, _: &Peer) -> Result<(), Refused> {
            Ok(())
        }
        fn certificate_life(&self) -> Duration {
            Duration::from_secs(60)
        }
        fn topics_of(&self, _: &ResourceName) -> BTreeSet<TopicId> {
            BTreeSet::new()
        }
        fn topic(&self, _: &TopicId) -> TopicContent {
            TopicContent::default()
        }
        fn connected(&self, _: &ResourceName, _: SocketAddr, _: HostFacts) {}
        fn disconnected(&self, _: &ResourceName) {}
        fn acked(&self, _: &ResourceName, _: u64) {}
        fn report(&self, _: &ResourceName, _: Report) {}
        fn successor(&self, _: &ResourceName, _: Station) -> Option<ResourceName> {
            None
        }
        fn claim(&self, _: &ResourceName, claim: &Claim) -> Claimed {
            let mut asked = self.1.lock();
            asked.push(claim.release);
            match asked.len() {
                _ if claim.release => Claimed::Done,
                count if count > self.0 => Claimed::Done,
                _ => Claimed::Pending("host9 does not know it".to_owned()),
            }
        }
    }

    async fn pursue(questions: usize, limit: Duration, end_session: bool) -> (Option<Option<String>>, Vec<bool>) {
        let slow = Arc::new(Slow(questions, Mutex::default()));
        let hub = Hub::new(Arc::clone(&slow) as Arc<dyn Controller>, 1);
        let host: ResourceName = "host1".parse().unwrap();
        let (number, ..) = hub.register(&host, super::super::asking::Asked::default());
        if end_session {
            hub.register(&host, super::super::asking::Asked::default());
        }
        let claim = Claim { uid: Uuid::from_u128(1), device: None, release: false };
        let answer = hub.pursue(&host, number, &claim, limit).await;
        (answer, slow.1.lock().clone())
    }

    #[tokio::test]
    async fn it_is_asked_until_it_is_done() {
        let (answer, asked) = pursue(3, CLAIM_TIMEOUT, false).await;
        assert_eq!((answer, asked), (Some(None), vec![false; 4]));
    }

    #[tokio::test]
    async fn what_is_not_done_in_time_is_taken_back() {
        let (answer, asked) = pursue(1000, Duration::ZERO, false).await;
        assert_eq!(answer, Some(Some("within 0 s it did not come about: host9 does not know it".to_owned())));
        assert_eq!(asked, [false, true]);
    }

    #[tokio::test]
    async fn nobody_is_answered_whose_session_has_ended() {
        let (answer, asked) = pursue(1000, CLAIM_TIMEOUT, true).await;
        assert_eq!((answer, asked), (None, vec![false]));
    }
}
