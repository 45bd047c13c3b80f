//! Claims of ports over TLS on loopback: what is answered, and behind what.

use proto::{Claim, ClaimAnswer, Mirror};
use uuid::Uuid;

use crate::common::serve;

#[tokio::test]
async fn an_answer_comes_behind_what_it_is_about() {
    let served = serve().await;
    let identity = served.join("host1").await.identity;
    let mut agent = served.connect(&identity, Mirror::default()).await;
    agent.update().await;
    let claim = |uid, device: Option<&str>, release| Claim {
        uid: Uuid::from_u128(uid),
        device: device.map(|name| name.parse().unwrap()),
        release,
    };
    agent.session.claim(7, &claim(1, Some("tap0"), false)).await.unwrap();
    agent.session.claim(8, &claim(2, None, true)).await.unwrap();
    let mut answers = Vec::new();
    while answers.len() < 2 {
        let message = agent.session.next().await.unwrap();
        match message.claim_answer().unwrap() {
            Some(answer) if answer.number == 7 => {
                assert_eq!(agent.mirror.resources().len(), 1, "the port is known before");
                answers.push(answer);
            }
            Some(answer) => answers.push(answer),
            None => {
                if let proto::Heard::Synced(revision) = agent.mirror.hear(message).unwrap() {
                    agent.mirror.commit(revision);
                }
            }
        }
    }
    answers.sort_by_key(|answer| answer.number);
    let refusal = Some("there is no port 2".to_owned());
    assert_eq!(answers, [ClaimAnswer { number: 7, refusal: None }, ClaimAnswer { number: 8, refusal }]);
    assert_eq!(
        served.fake.called("claim host1 1 Some(Name(\"tap0\")) false"),
        1,
        "{:?}",
        served.fake.calls.lock().unwrap()
    );
    assert_eq!(served.fake.called("claim host1 2 None true"), 1);
}
