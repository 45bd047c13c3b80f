//! Questions to hosts over TLS on loopback: answered, refused, too late, and of a session that ends.

use std::sync::Arc;
use std::time::Duration;

use proto::{AskError, Hub, MAX_QUESTIONS, MAX_QUESTIONS_OF_ONE, Mirror, Waiting};

use crate::common::{Agent, Served, serve};

/// Long enough for whatever comes.
const LONG: Duration = Duration::from_secs(30);

async fn connected() -> (Served, Agent) {
    let served = serve().await;
    let identity = served.join("host1").await.identity;
    let mut agent = served.connect(&identity, Mirror::default()).await;
    agent.update().await;
    (served, agent)
}

fn ask(hub: &Hub, about: &str) -> Result<Waiting, AskError> {
    ask_as(hub, "tim", about)
}

fn ask_as(hub: &Hub, asker: &str, about: &str) -> Result<Waiting, AskError> {
    hub.ask(&"host1".parse().unwrap(), asker, about, format!("{about}?").into_bytes())
}

/// Waits on a thread that may block.
async fn wait(waiting: Waiting, limit: Duration) -> Result<Vec<u8>, AskError> {
    tokio::task::spawn_blocking(move || waiting.wait(limit)).await.unwrap()
}

/// The next question that the agent gets.
async fn question(agent: &mut Agent) -> proto::Question {
    loop {
        if let Some(question) = agent.session.next().await.unwrap().question().unwrap() {
            return question;
        }
    }
}

#[tokio::test]
async fn answers_go_to_whoever_asked_whatever_their_order() {
    let (served, mut agent) = connected().await;
    let (one, other) = (ask(&served.hub, "weather").unwrap(), ask(&served.hub, "weather").unwrap());
    let (first, second) = (question(&mut agent).await, question(&mut agent).await);
    assert_eq!((first.content.as_slice(), first.number == second.number), (b"weather?".as_slice(), false));
    agent.session.answer(second.number, b"rain".to_vec()).await.unwrap();
    agent.session.answer(first.number, b"sun".to_vec()).await.unwrap();
    assert_eq!(wait(one, LONG).await.unwrap(), b"sun");
    assert_eq!(wait(other, LONG).await.unwrap(), b"rain");
    // What nobody asks any more ends nothing.
    agent.session.answer(first.number, b"snow".to_vec()).await.unwrap();
    agent.session.answer(99, b"hail".to_vec()).await.unwrap();
    let last = ask(&served.hub, "weather").unwrap();
    let asked = question(&mut agent).await;
    agent.session.answer(asked.number, b"fog".to_vec()).await.unwrap();
    assert_eq!(wait(last, LONG).await.unwrap(), b"fog");
}

#[tokio::test]
async fn what_an_agent_does_not_know_it_is_not_asked() {
    let (served, _agent) = connected().await;
    let unknown = ask(&served.hub, "tides").unwrap_err();
    assert_eq!(unknown, AskError::Unknown { version: "1.2.3".to_owned() });
    assert!(unknown.to_string().contains("its agent is of version 1.2.3"), "{unknown}");
    let nobody = served.hub.ask(&"host9".parse().unwrap(), "tim", "weather", Vec::new()).unwrap_err();
    assert_eq!(nobody, AskError::NotConnected);
}

#[tokio::test]
async fn a_host_has_so_many_questions_to_answer_and_no_more() {
    let (served, mut agent) = connected().await;
    let asker = |number: usize| format!("asker {}", number / MAX_QUESTIONS_OF_ONE);
    let mut waiting: Vec<_> =
        (0..MAX_QUESTIONS).map(|number| ask_as(&served.hub, &asker(number), "weather").unwrap()).collect();
    assert_eq!(ask(&served.hub, "weather").unwrap_err(), AskError::Busy);
    // Whoever gives up makes no room: the agent works on it all the same, until it has answered.
    let limit = Duration::from_millis(10);
    assert_eq!(wait(waiting.pop().unwrap(), limit).await, Err(AskError::Late(limit)));
    drop(waiting);
    assert_eq!(ask(&served.hub, "weather").unwrap_err(), AskError::Busy);
    let first = question(&mut agent).await;
    agent.session.answer(first.number, b"rain".to_vec()).await.unwrap();
    let next = asked_in_the_end(&served.hub, "tim").await;
    for _ in 1..MAX_QUESTIONS {
        question(&mut agent).await;
    }
    // What was answered late is nobody else's answer.
    let asked = question(&mut agent).await;
    assert!(asked.number > first.number);
    agent.session.answer(first.number, b"rain".to_vec()).await.unwrap();
    agent.session.answer(asked.number, b"sun".to_vec()).await.unwrap();
    assert_eq!(wait(next, LONG).await.unwrap(), b"sun");
}

/// Asks until an answer that has been sent has made room.
async fn asked_in_the_end(hub: &Hub, asker: &str) -> Waiting {
    for _ in 0..1000 {
        match ask_as(hub, asker, "weather") {
            Ok(waiting) => return waiting,
            Err(AskError::Busy | AskError::Share) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("an answer makes no room")
}

#[tokio::test]
async fn nobody_takes_all_places_of_a_host() {
    let (served, mut agent) = connected().await;
    let of_tim: Vec<_> = (0..MAX_QUESTIONS_OF_ONE).map(|_| ask(&served.hub, "weather").unwrap()).collect();
    assert_eq!(ask(&served.hub, "weather").unwrap_err(), AskError::Share);
    let of_tom = ask_as(&served.hub, "tom", "weather").unwrap();
    drop(of_tim);
    assert_eq!(ask(&served.hub, "weather").unwrap_err(), AskError::Share, "who waits no longer has asked all the same");
    let first = question(&mut agent).await;
    agent.session.answer(first.number, b"rain".to_vec()).await.unwrap();
    asked_in_the_end(&served.hub, "tim").await;
    for _ in 1..MAX_QUESTIONS_OF_ONE {
        question(&mut agent).await;
    }
    let asked = question(&mut agent).await;
    agent.session.answer(asked.number, b"sun".to_vec()).await.unwrap();
    assert_eq!(wait(of_tom, LONG).await.unwrap(), b"sun");
}

#[tokio::test]
async fn who_waits_is_told_when_the_session_ends() {
    let (served, mut agent) = connected().await;
    let waiting = ask(&served.hub, "weather").unwrap();
    question(&mut agent).await;
    drop(agent);
    assert_eq!(wait(waiting, LONG).await, Err(AskError::Gone));
    served.until_called("disconnected host1", 1).await;
    assert_eq!(ask(&served.hub, "weather").unwrap_err(), AskError::NotConnected);
    // A host that is deleted answers nothing either.
    let identity = served.join("host2").await.identity;
    let mut other = served.connect(&identity, Mirror::default()).await;
    other.update().await;
    let hub = Arc::clone(&served.hub);
    let waiting = hub.ask(&"host2".parse().unwrap(), "tim", "weather", Vec::new()).unwrap();
    served.fake.delete_host("host2");
    assert_eq!(wait(waiting, LONG).await, Err(AskError::Gone));
}
