//! Clients that are slow, many or in the way when the server stops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use api::fabric::memory::ADMIN_SECRET;
use api::{MAX_BODY_BYTES, ProblemType};
use model::fabric::Kind;

use crate::support::{Answer, Served, port, put};

#[test]
fn a_client_that_never_speaks_is_cut_off_and_holds_up_nobody() {
    let served = Served::new();
    let mut silent = TcpStream::connect(served.address).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let began = Instant::now();
    served.client().status().unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_connection_that_is_idle_for_too_long_is_ended_in_the_words_of_tls() {
    let served = Served::new();
    let mut stream = served.connect();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // Without the words, reading to the end is an error.
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn a_body_that_is_too_large_is_refused_before_and_while_it_is_read() {
    let served = Served::new();
    let head = |length: &str| {
        format!(
            "POST /v1/changes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_SECRET}\r\n\
             Content-Type: application/json\r\nConnection: close\r\n{length}\r\n\r\n"
        )
    };
    let declared = Answer::read(&served.raw(head(&format!("Content-Length: {}", MAX_BODY_BYTES + 1)).as_bytes()));
    let problem = declared.problem();
    assert_eq!(problem.problem_type, ProblemType::TooLarge);
    assert!(problem.detail.contains("64 MiB"), "{problem}");

    let mut stream = served.connect();
    stream.write_all(head("Transfer-Encoding: chunked").as_bytes()).unwrap();
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
    // The server answers and closes when it has read enough; what is still being sent then cannot be.
    while stream.write_all(&chunk).is_ok() {}
    served.client().status().unwrap();
}

#[test]
fn a_refusal_leaves_the_connection_in_order_though_the_body_comes_late() {
    let served = Served::new();
    let mut stream = served.connect();
    for (authorization, refusal) in [("wrong", "HTTP/1.1 401"), (ADMIN_SECRET, "HTTP/1.1 405")] {
        let head = "PATCH /v1/ports/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nAuthorization: Bearer";
        stream.write_all(format!("{head} {authorization}\r\n\r\n").as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        stream.write_all(b"12345").unwrap();
        let mut answer = Vec::new();
        // The problem is the end of the answer.
        while answer.last() != Some(&b'}') {
            let mut part = [0; 4096];
            let read = stream.read(&mut part).unwrap();
            assert_ne!(read, 0, "the connection was closed");
            answer.extend_from_slice(&part[..read]);
        }
        assert!(answer.starts_with(refusal.as_bytes()), "{}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn a_body_that_comes_in_pieces_is_read_whole() {
    let served = Served::new();
    let mut stream = served.connect();
    let body = r#"{"spec": {"vmName": "slow"}}"#;
    let head = format!(
        "PUT /v1/ports/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_SECRET}\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for byte in head.bytes().chain(body.bytes()) {
        stream.write_all(&[byte]).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(Answer::read(&answer).status, 201);
}

#[test]
fn stopping_ends_watches_and_idle_connections_at_once() {
    let served = Served::new();
    let client = served.client();
    put(&client, port("a", "x"));
    let watch = client.watch(&api::fabric::WatchQuery::default()).unwrap();
    let mut idle = served.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut some = [0; 12];
    idle.read_exact(&mut some).unwrap();
    let began = Instant::now();
    served.stop();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    drop(watch);
    assert!(client.list_all(Kind::Port, None).is_err());
}

#[test]
fn a_request_under_way_is_answered_before_the_server_stops() {
    let served = Served::new();
    let mut stream = served.connect();
    let head = format!(
        "PUT /v1/ports/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_SECRET}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server has the head before it is asked to stop.
    served.client().status().unwrap();
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        stream.write_all(b"{}").unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    });
    served.stop();
    assert_eq!(late.join().unwrap(), "HTTP/1.1 201");
}
