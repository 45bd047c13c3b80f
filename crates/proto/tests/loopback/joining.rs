//! How a machine becomes a host and stays one, over TLS on loopback.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::common::{CERTIFICATE_LIFE, Served, facts, network, serve, serve_with};
use proto::ca::{Authority, HostRequest, lifetime};
use proto::client::{ClientError, Identity};
use proto::{Limits, Mirror, Token, client};

async fn refused(address: &str, token: &Token) -> String {
    client::join(address, token, "host1", &facts()).await.err().expect("it is refused").to_string()
}

#[tokio::test]
async fn a_token_makes_a_host_once() {
    let served = serve().await;
    let token = served.token("a");
    let joined = client::join(&served.address, &token, "host1", &facts()).await.unwrap();
    assert_eq!(joined.host.as_str(), "host1");
    assert_eq!(joined.identity.authority, served.authority.certificate());
    served.connect(&joined.identity, Mirror::default()).await.update().await;
    let again = refused(&served.address, &token).await;
    assert_eq!(again, "the controller refuses: join token a was used already");
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_said() {
    let served = serve().await;
    let expired = served.token("b");
    served.fake.spoil("b", "expired 3 hours ago");
    assert!(refused(&served.address, &expired).await.ends_with("join token b expired 3 hours ago"));
    let wrong = Token { secret: "guess".to_owned(), ..served.token("c") };
    assert!(refused(&served.address, &wrong).await.contains("the secret is wrong"));
    let unknown = Token { id: "d".to_owned(), ..wrong };
    assert!(refused(&served.address, &unknown).await.contains("there is no join token d"));
}

#[tokio::test]
async fn a_token_of_another_controller_is_kept_secret() {
    let served = serve().await;
    let other = Token { fingerprint: "0f".repeat(32), ..served.token("a") };
    let sentence = refused(&served.address, &other).await;
    assert!(sentence.contains("the join token is of another controller"), "{sentence}");
    assert!(sentence.contains(served.authority.fingerprint()) && sentence.contains(&other.fingerprint), "{sentence}");
    // The token did not leave: it still works where it belongs.
    client::join(&served.address, &served.token("a"), "host1", &facts()).await.unwrap();
}

#[tokio::test]
async fn addresses_that_lead_nowhere_are_named() {
    let token = Token { id: "a".into(), secret: "b".into(), fingerprint: "0f".repeat(32) };
    for address in ["controller", "controller:", "http://controller:7444", ":7444", "a b:1"] {
        let error = client::join(address, &token, "host1", &facts()).await.err();
        assert_eq!(error, Some(ClientError::Address(address.to_owned())));
    }
    let sentence = refused("127.0.0.1:1", &token).await;
    assert!(sentence.contains("127.0.0.1:1") && sentence.contains("refused"), "{sentence}");
}

async fn connection_error(served: &Served, identity: &Identity) -> String {
    let session = client::connect(&served.address, identity, &facts(), &Mirror::default()).await;
    match session {
        Err(error) => error.to_string(),
        // TLS 1.3 tells a client of a refused certificate after the handshake.
        Ok(mut session) => session.next().await.expect_err("it is refused").to_string(),
    }
}

#[tokio::test]
async fn only_certificates_of_the_authority_are_let_in() {
    let served = serve().await;
    let own = served.join("host1").await.identity;
    let stranger = Authority::create().unwrap();
    let (key, request) = HostRequest::make().unwrap();
    let request = HostRequest::read(&request).unwrap();
    let chain = stranger.sign(&request, &"host1".parse().unwrap(), "uid-1", CERTIFICATE_LIFE).unwrap();
    let forged = Identity { certified: proto::ca::Certified { chain, key }, ..own.clone() };
    let sentence = connection_error(&served, &forged).await;
    assert!(!sentence.is_empty());
    assert_eq!(served.fake.called("connected"), 0, "{sentence}");
    // A certificate of the right authority that is no host's: the controller's own.
    let server = served.authority.server_certificate(&[], CERTIFICATE_LIFE).unwrap();
    connection_error(&served, &Identity { certified: server, ..own.clone() }).await;
    assert_eq!(served.fake.called("connected"), 0);
    // And a controller that another authority vouches for is not believed.
    let other = Identity { authority: stranger.certificate().to_owned(), ..own };
    let sentence = connection_error(&served, &other).await;
    assert!(sentence.contains("certificate"), "{sentence}");
}

#[tokio::test]
async fn a_host_cannot_play_the_controller() {
    let served = serve().await;
    let host = served.join("host1").await.identity;
    // What a host would answer with: its own certificate, with the authority's behind it.
    let chain = format!("{}{}", host.certified.chain, host.authority);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let config = {
        use rustls::pki_types::pem::PemObject as _;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(host.certified.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    };
    tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    let sentence = refused(&address, &served.token("a")).await;
    assert!(sentence.contains("cannot connect"), "{sentence}");
}

#[tokio::test]
async fn a_host_that_was_deleted_is_refused_and_its_name_is_free() {
    let served = serve().await;
    let old = served.join("host1").await.identity;
    let mut agent = served.connect(&old, Mirror::default()).await;
    agent.update().await;
    served.fake.delete_host("host1");
    let end = loop {
        if let Err(error) = agent.session.next().await {
            break error.to_string();
        }
    };
    assert!(end.contains("does not know this host any more"), "{end}");
    assert!(connection_error(&served, &old).await.contains("host host1 was deleted"));
    let error = client::renew(&served.address, &old).await.err().unwrap();
    assert!(error.is_refusal(), "{error}");
    // Another of the same name is let in, and the old one still is not.
    served.fake.delete_host("nobody");
    let new = served.join("host2").await.identity;
    served.connect(&new, Mirror::default()).await.update().await;
    assert!(connection_error(&served, &old).await.contains("deleted"));
}

#[tokio::test]
async fn a_host_leaves_when_nothing_needs_it_and_once_is_enough() {
    let served = serve().await;
    let identity = served.join("host1").await.identity;
    served.fake.needs("host1", &[network(1)]);
    let error = client::leave(&served.address, &identity).await.unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains("host host1 is in use"), "{error}");
    served.fake.needs("host1", &[]);
    client::leave(&served.address, &identity).await.unwrap();
    assert!(connection_error(&served, &identity).await.contains("host host1 was deleted"));
    // Whoever was interrupted leaves again.
    client::leave(&served.address, &identity).await.unwrap();
    let nowhere = client::leave("127.0.0.1:1", &identity).await.unwrap_err();
    assert!(!nowhere.is_refusal() && nowhere.to_string().contains("cannot connect"), "{nowhere}");
}

#[tokio::test]
async fn certificates_are_renewed_until_they_end() {
    let authority = Arc::new(Authority::create().unwrap());
    let served = serve_with(Limits::default(), Duration::from_secs(4), authority, None).await;
    let first = served.join("host1").await.identity;
    assert!(lifetime(&first.certified.chain).unwrap().renew_at() <= SystemTime::now() + Duration::from_secs(3));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let second = client::renew(&served.address, &first).await.unwrap();
    assert!(second.certified.key != first.certified.key, "the key is new too");
    tokio::time::sleep(Duration::from_millis(2200)).await;
    // The first has ended by now, the second has not.
    connection_error(&served, &first).await;
    assert_eq!(served.fake.called("connected"), 0);
    served.connect(&second, Mirror::default()).await.update().await;
}
