//! Watches: what they tell, where they begin, how they resume, and why they end.

use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use api::ProblemType;
use api::fabric::memory::ADMIN_SECRET;
use api::fabric::{Change, Event, EventKind, Role, WatchQuery, Watching, server};
use model::fabric::Kind;
use serde_json::json;

use crate::support::{Served, named, port, port_key, put, refused, resource, set};

const SOON: Duration = Duration::from_secs(10);

fn next(watch: &mut Watching) -> Event {
    watch.next(SOON).unwrap().expect("an event")
}

fn told(watch: &mut Watching) -> (EventKind, u64, String) {
    let event = next(watch);
    (event.event, event.revision, event.item.name.to_string())
}

#[test]
fn a_watch_tells_what_changes_from_now_on_or_from_a_revision() {
    let served = Served::new();
    let client = served.client();
    let (_, first) = put(&client, port("a", "one"));
    let mut now = client.watch(&WatchQuery::default()).unwrap();
    let mut past = client.watch(&WatchQuery { from: Some(0), ..WatchQuery::default() }).unwrap();
    assert_eq!(now.next(Duration::from_millis(100)).unwrap(), None);
    put(&client, port("a", "two"));
    client.change(&set(vec![Change::Delete { key: port_key("a"), revision: None }])).unwrap();
    let expected = [(EventKind::Changed, first + 1, "a".to_owned()), (EventKind::Deleted, first + 2, "a".to_owned())];
    assert_eq!([told(&mut now), told(&mut now)], expected);
    assert_eq!(told(&mut past), (EventKind::Changed, 1, "default".to_owned()));
    assert_eq!(told(&mut past), (EventKind::Changed, first, "a".to_owned()));
    assert_eq!([told(&mut past), told(&mut past)], expected);
}

#[test]
fn a_watch_tells_only_what_it_is_asked_for_and_what_the_caller_may_see() {
    let served = Served::new();
    let client = served.client();
    put(&client, resource(Kind::Tenant, None, "blue", json!({})));
    let blue = served.client_as("b", Role::Tenant, Some("blue"));
    let watch = |query: WatchQuery| client.watch(&query).unwrap();
    let mut kind = watch(WatchQuery { kind: Some(Kind::Port), ..WatchQuery::default() });
    let mut tenant = watch(WatchQuery { tenant: Some(named("blue")), ..WatchQuery::default() });
    let mut name = watch(WatchQuery { name: Some(named("last one")), ..WatchQuery::default() });
    let mut own = blue.watch(&WatchQuery { kind: Some(Kind::Port), ..WatchQuery::default() }).unwrap();
    put(&client, resource(Kind::Host, None, "h", json!({"uplinks": []})));
    put(&client, port("p", "x"));
    put(&client, resource(Kind::Port, Some("blue"), "last one", json!({})));
    assert_eq!((told(&mut kind).2, told(&mut kind).2), ("p".to_owned(), "last one".to_owned()));
    for watch in [&mut tenant, &mut name, &mut own] {
        assert_eq!(told(watch).2, "last one");
    }
}

#[test]
fn a_watch_outlives_the_controller_and_misses_and_repeats_nothing() {
    let served = Served::new();
    let client = served.client();
    let mut watch = client.watch(&WatchQuery::default()).unwrap();
    let both = |vm: &str| {
        set(vec![
            Change::Put { resource: port("a", vm), revision: None },
            Change::Put { resource: port("b", vm), revision: None },
        ])
    };
    client.change(&both("one")).unwrap();
    // One of the two events of a revision is taken, then the connection breaks.
    assert_eq!(told(&mut watch).2, "a");
    let (fabric, address) = (served.fabric.clone(), served.address);
    let identity = served.authority.identity("127.0.0.1");
    served.stop();
    use api::fabric::FabricApi;
    let admin = fabric.authenticate(ADMIN_SECRET).unwrap();
    fabric.change(&admin, both("two")).unwrap();
    let again = Served::with(fabric.clone(), fabric, address);
    again.tls.replace(&identity).unwrap();
    let rest = [told(&mut watch).2, told(&mut watch).2, told(&mut watch).2];
    assert_eq!(rest, ["b", "a", "b"]);
    assert_eq!(watch.next(Duration::from_millis(300)).unwrap(), None);
}

#[test]
fn a_watch_that_broke_before_its_first_event_misses_nothing() {
    let served = Served::new();
    let mut watch = served.client().watch(&WatchQuery::default()).unwrap();
    assert_eq!(watch.next(Duration::from_millis(300)).unwrap(), None);
    let (fabric, address) = (served.fabric.clone(), served.address);
    let identity = served.authority.identity("127.0.0.1");
    served.stop();
    use api::fabric::FabricApi;
    let admin = fabric.authenticate(ADMIN_SECRET).unwrap();
    fabric.change(&admin, set(vec![Change::Create(port("a", "x"))])).unwrap();
    let again = Served::with(fabric.clone(), fabric, address);
    again.tls.replace(&identity).unwrap();
    assert_eq!(told(&mut watch).2, "a");
}

#[test]
fn the_past_that_is_gone_is_refused_and_a_token_that_ends_ends_its_watches() {
    let served = Served::new();
    let client = served.client();
    put(&client, port("a", "x"));
    served.fabric.forget();
    let error = client.watch(&WatchQuery { from: Some(1), ..WatchQuery::default() }).unwrap_err();
    assert_eq!(refused(&error).problem_type, ProblemType::Gone);
    let mut watch = served.client_as("r", Role::Reader, None).watch(&WatchQuery::default()).unwrap();
    client.delete_token(&named("r")).unwrap();
    let error = watch.next(SOON).unwrap_err();
    assert_eq!(refused(&error).problem_type, ProblemType::Unauthorized);
    assert_eq!(refused(&watch.next(SOON).unwrap_err()).problem_type, ProblemType::Gone);
    for query in ["kind=switch", "from=-1", "since=1", "tenant=/"] {
        assert_eq!(served.ask("GET", &format!("/v1/watch?{query}"), "", "").problem().status, 400, "{query}");
    }
    let odd = served.ask("GET", "/v1/watch", "Last-Event-ID: x\r\n", "").problem();
    assert!(odd.detail.contains("Last-Event-ID: x is no revision"), "{odd}");
}

#[test]
fn the_stream_is_that_of_the_standard_and_a_browser_can_resume_it() {
    let served = Served::new();
    let client = served.client();
    put(&client, port("a", "x"));
    let (_, last) = put(&client, port("b", "x"));
    let mut stream = served.connect();
    let request = format!(
        "GET /v1/watch?from=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_SECRET}\r\nLast-Event-ID: {last}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    // Chunk sizes stand on lines of their own.
    let wanted =
        |line: &String| ["content-type", "id: ", "event: ", "data: "].iter().any(|start| line.starts_with(start));
    let lines = lines.filter(wanted).take(5).collect::<Vec<_>>();
    assert_eq!(lines[0], "content-type: text/event-stream");
    assert_eq!(lines[1], format!("id: {}", last - 1));
    assert_eq!(lines[2], "event: changed");
    assert_eq!(lines[3], format!("id: {last}"));
    let event: Event = serde_json::from_str(lines[4].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((event.revision, event.item.name), (last, named("b")));
}

#[test]
fn there_is_a_most_of_watches_and_other_requests_go_on() {
    let served = Served::new();
    let client = served.client();
    let watch = || client.watch(&WatchQuery::default());
    let mut watches = (0..server::MAX_WATCHES).map(|_| watch().unwrap()).collect::<Vec<_>>();
    let problem = refused(&watch().unwrap_err());
    assert_eq!(problem.problem_type, ProblemType::Unavailable);
    assert!(problem.detail.contains("256 watches are open"), "{problem}");
    put(&client, port("a", "x"));
    for watch in &mut watches {
        assert_eq!(told(watch).2, "a");
    }
    drop(watches);
    let began = Instant::now();
    while watch().is_err() {
        assert!(began.elapsed() < SOON, "the watches that have ended still count");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_client_that_reads_nothing_holds_up_nobody() {
    let served = Served::new();
    let client = served.client();
    let mut deaf = served.connect();
    let request = format!("GET /v1/watch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_SECRET}\r\n\r\n");
    deaf.write_all(request.as_bytes()).unwrap();
    let mut watch = client.watch(&WatchQuery::default()).unwrap();
    // More than the queues and both kernels' buffers hold.
    for number in 0..20 {
        let (_, revision) = put(&client, port("a", &number.to_string().repeat(1 << 19)));
        assert_eq!(next(&mut watch).revision, revision);
    }
    served.stop();
}
