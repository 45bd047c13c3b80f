//! What a client says that finds no controller, a wrong one, or one that refuses; and what it does with its connections.

use std::net::TcpListener;
use std::time::Duration;

use api::fabric::{Change, Client, ClientError, Endpoint, ServerTls, TlsIdentity};
use api::{MAX_BODY_BYTES, Outcome, ProblemType};
use model::fabric::{Key, Kind};

use crate::support::{Authority, Served, named, port, port_key, put, refused, set};

fn error(endpoint: &Endpoint) -> ClientError {
    Client::new(endpoint).and_then(|client| client.with_timeout(Duration::from_secs(5)).status()).unwrap_err()
}

#[test]
fn each_way_not_to_reach_a_controller_has_its_sentence() {
    let served = Served::new();
    let endpoint = served.endpoint();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = error(&Endpoint { url: format!("https://{closed}"), ..endpoint.clone() });
    assert!(matches!(nobody, ClientError::NoController(_)), "{nobody:?}");
    assert!(nobody.to_string().contains("no controller listens on https://127.0.0.1:"), "{nobody}");

    let stranger = error(&Endpoint { ca_pem: Authority::new().pem(), ..endpoint.clone() });
    assert!(matches!(stranger, ClientError::WrongAuthority(_)), "{stranger:?}");
    assert!(stranger.to_string().contains("is not signed by the authority"), "{stranger}");

    let renamed = error(&Endpoint { url: format!("https://localhost:{}", served.address.port()), ..endpoint.clone() });
    assert!(matches!(renamed, ClientError::WrongName { .. }), "{renamed:?}");

    let token = error(&Endpoint { token: "wrong".to_owned(), ..endpoint.clone() });
    assert!(matches!(token, ClientError::TokenRefused { .. }), "{token:?}");
    assert_eq!(token.problem().unwrap().problem_type, ProblemType::Unauthorized);
    let odd = error(&Endpoint { token: "a\nb".to_owned(), ..endpoint.clone() });
    assert!(matches!(odd, ClientError::TokenRefused { .. }), "{odd:?}");

    for url in ["http://127.0.0.1:1", "127.0.0.1:7443", "https://", "https://a:b@c", "https://c/v1", "https://c?x", ""]
    {
        let wrong = error(&Endpoint { url: url.to_owned(), ..endpoint.clone() });
        assert!(matches!(wrong, ClientError::Url(_)), "{url}: {wrong:?}");
    }
    for ca_pem in ["", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        let wrong = error(&Endpoint { ca_pem: ca_pem.to_owned(), ..endpoint.clone() });
        assert!(matches!(wrong, ClientError::Authority(_)), "{wrong:?}");
        assert!(wrong.to_string().contains("authority"), "{wrong}");
    }
    assert!(!format!("{endpoint:?}").contains(&endpoint.token));
}

#[test]
fn who_does_not_answer_or_speaks_no_tls_is_given_up() {
    let authority = Authority::new().pem();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let endpoint = Endpoint { url, ca_pem: authority, token: "x".to_owned() };
    let client = Client::new(&endpoint).unwrap().with_timeout(Duration::from_millis(200));
    assert!(matches!(client.status().unwrap_err(), ClientError::Timeout { .. }));
    let speaker = std::thread::spawn(move || {
        // The first connection is the one that was given up.
        for _ in 0..2 {
            use std::io::Write;
            let (mut stream, _) = silent.accept().unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        }
    });
    let plain = error(&endpoint);
    assert!(matches!(plain, ClientError::Tls { .. }), "{plain:?}");
    speaker.join().unwrap();
}

#[test]
fn keys_that_do_not_fit_are_not_served() {
    let authority = Authority::new();
    let (one, two) = (authority.identity("a"), authority.identity("b"));
    let mixed = TlsIdentity { key: two.key.clone(), ..one.clone() };
    assert!(ServerTls::new(&mixed).unwrap_err().to_string().contains("certificate with this key"));
    let none = TlsIdentity { key: String::new(), ..one.clone() };
    assert!(ServerTls::new(&none).unwrap_err().to_string().contains("private key"));
    let empty = TlsIdentity { certificate_chain: String::new(), ..one.clone() };
    assert!(ServerTls::new(&empty).unwrap_err().to_string().contains("certificate chain"));
    assert!(!format!("{one:?}").contains("PRIVATE"));
}

#[test]
fn a_certificate_is_exchanged_while_the_server_runs() {
    let served = Served::new();
    let before = served.client();
    before.status().unwrap();
    served.tls.replace(&served.authority.identity("elsewhere")).unwrap();
    before.status().unwrap();
    assert!(matches!(error(&served.endpoint()), ClientError::WrongName { .. }), "new connections see the new one");
    served.tls.replace(&served.authority.identity("127.0.0.1")).unwrap();
    served.client().status().unwrap();
}

#[test]
fn a_client_outlives_restarts_of_the_controller() {
    let served = Served::new();
    let client = served.client();
    client.status().unwrap();
    let (fabric, address, identity) = (served.fabric.clone(), served.address, served.authority.identity("127.0.0.1"));
    served.stop();
    let again = Served::with(fabric.clone(), fabric, address);
    again.tls.replace(&identity).unwrap();
    client.status().unwrap();
}

#[test]
fn several_threads_use_one_client() {
    let served = Served::new();
    let client = served.client();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let client = &client;
            scope.spawn(move || {
                for number in 0..10 {
                    let name = format!("p{thread}-{number}");
                    assert_eq!(put(client, port(&name, "x")).0, Outcome::Created);
                    client.get(&port_key(&name)).unwrap();
                }
            });
        }
    });
    assert_eq!(client.list_all(Kind::Port, None).unwrap().items.len(), 60);
}

#[test]
fn what_the_controller_says_is_what_the_client_says() {
    let served = Served::new();
    let client = served.client();
    let missing = client.get(&Key::global(Kind::Host, &named("host15"))).unwrap_err();
    let by_hand = served.ask("GET", "/v1/hosts/host15", "", "").problem();
    assert_eq!((missing.to_string(), refused(&missing)), (by_hand.detail.clone(), by_hand));
    let mut large = port("a", "x");
    if let model::fabric::Spec::Port(port) = &mut large.spec {
        port.vm_name = Some("x".repeat(MAX_BODY_BYTES));
    }
    let error = client.change(&set(vec![Change::Create(large)])).unwrap_err();
    assert_eq!(refused(&error).problem_type, ProblemType::TooLarge);
}
