//! What is said of IPsec tunnels that do not come up, against Debian's strongSwan.

mod tunnels;

use gateway::{IpsecPart, Part};
use serde_json::{Value, json};
use tunnels::authority::{Authority, Signed, rsa, traditional};
use tunnels::swan::{Site, certificates, psk};
use tunnels::{Ground, Router, supervisor};

const SITE: &str = "192.0.21.1";
const OURS: &str = "192.0.11.1";

/// A tunnel by key, with more fields or others.
fn by_key(key: &str, more: Value) -> Value {
    let mut ipsec = json!({"remote": SITE, "psk": key, "remotePrefixes": ["10.2.0.0/24", "fd00:2::/64"]});
    ipsec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"name": "office", "ipsec": ipsec})
}

#[test]
fn what_is_said_of_keys_and_offers() {
    let router = Router::new("why");
    let mut ground = Ground::new(&router, 11);
    let mut site = Site::new(&router, 21);
    let supervisor = supervisor();
    let mut part = IpsecPart::new(supervisor.of("ipsec"));
    let mut try_it = |ground: &mut Ground, connection: Value, then: &dyn Fn(), words: &[&str]| {
        ground.connection(connection);
        assert_eq!(part.settle(&ground.place()), []);
        then();
        eprintln!("{}", ground.until_reason(&mut part, "office", words));
    };

    // Nobody is there.
    try_it(
        &mut ground,
        by_key("x", json!({})),
        &|| {},
        &["no answer from 192.0.21.1 to IKE_SA_INIT", "UDP 500 and 4500"],
    );

    // Another key, as the other side sees it, and as we do.
    site.start(&psk(SITE, OURS, "swordfish", "", ""));
    try_it(
        &mut ground,
        by_key("sword", json!({})),
        &|| {},
        &["192.0.21.1 refuses us (AUTHENTICATION_FAILED)", "pre-shared key"],
    );
    let opens = || site.reload(&psk(SITE, OURS, "swordfish", "keyingtries = 0", "start_action = start"));
    try_it(
        &mut ground,
        by_key("sward", json!({"passive": true})),
        &opens,
        &["pre-shared key of 192.0.21.1 is not ours"],
    );

    // Proposals.
    let gcm = "proposals = aes256gcm16-prfsha384-ecp384";
    site.reload(&psk(SITE, OURS, "swordfish", gcm, "esp_proposals = aes256gcm16"));
    let old = json!({"ikeProposals": ["aes128-sha256-modp2048"]});
    let words =
        ["takes none of our proposals (NO_PROPOSAL_CHOSEN)", "we offer aes128-sha256-modp2048", "ipsec.ikeProposals"];
    try_it(&mut ground, by_key("swordfish", old), &|| {}, &words);
    let old = json!({"espProposals": ["aes128-sha256"]});
    let words = ["takes none of our proposals (NO_PROPOSAL_CHOSEN)", "we offer aes128-sha256", "ipsec.espProposals"];
    try_it(&mut ground, by_key("swordfish", old), &|| {}, &words);
    let old = "proposals = aes128-sha256-modp2048\nkeyingtries = 0";
    let opens = || site.reload(&psk(SITE, OURS, "swordfish", old, "start_action = start"));
    let passive = json!({"passive": true, "ikeProposals": ["aes256gcm16-prfsha384-ecp384"]});
    let words = ["no proposal in common", "it offers IKE:AES_CBC_128", "we take aes256gcm16-prfsha384-ecp384"];
    try_it(&mut ground, by_key("swordfish", passive), &opens, &words);

    // Traffic selectors.
    site.reload(&psk(SITE, OURS, "swordfish", "", ""));
    let elsewhere = json!({"remotePrefixes": ["10.77.0.0/24"]});
    let words = ["TS_UNACCEPTABLE", "10.77.0.0/24 there", "ipsec.remotePrefixes"];
    try_it(&mut ground, by_key("swordfish", elsewhere), &|| {}, &words);

    // Names.
    let other = json!({"remoteId": "office.example"});
    try_it(&mut ground, by_key("swordfish", other), &|| {}, &["192.0.21.1"]);

    // And at last all is right.
    ground.connection(by_key("swordfish", json!({})));
    assert_eq!(part.settle(&ground.place()), []);
    let report = ground.until_up(&mut part, "office");
    assert_eq!(report.reason, None);
}

/// A tunnel by certificates.
fn by_certificates(own: &Signed, ca: &str, remote_id: &str) -> Value {
    json!({"name": "office", "ipsec": {
        "remote": SITE, "localId": "gateway.example", "remoteId": remote_id,
        "remotePrefixes": ["10.2.0.0/24", "fd00:2::/64"],
        "certificates": {"certificate": own.certificate, "privateKey": own.key, "ca": ca}
    }})
}

#[test]
fn certificates_that_work_and_what_is_said_of_others() {
    let router = Router::new("cert");
    let mut ground = Ground::new(&router, 11);
    let mut site = Site::new(&router, 21);
    let supervisor = supervisor();
    let mut part = IpsecPart::new(supervisor.of("ipsec"));
    let (company, stranger) = (Authority::new("Company CA"), Authority::new("Stranger CA"));
    let ours = company.sign("gateway.example", &rcgen::PKCS_ECDSA_P256_SHA256, [-1, 1]);
    let conf = certificates(SITE, OURS, ["office.example", "gateway.example"], "");
    site.certify(&company.sign("office.example", &rcgen::PKCS_ED25519, [-1, 1]), &company.pem);
    site.start(&conf);
    ground.connection(by_certificates(&ours, &company.pem, "office.example"));
    assert_eq!(part.settle(&ground.place()), []);
    ground.until_up(&mut part, "office");
    assert!(ground.vm.pings("10.2.0.10", 84));

    let mut try_it = |ground: &mut Ground, connection: Value, words: &[&str]| {
        ground.connection(connection);
        assert_eq!(part.settle(&ground.place()), []);
        eprintln!("{}", ground.until_reason(&mut part, "office", words));
    };
    // The other side's is of nobody whom we know.
    let words = ["certificate of 192.0.21.1", "CN=Company CA", "ipsec.certificates.ca"];
    try_it(&mut ground, by_certificates(&ours, &stranger.pem, "office.example"), &words);
    // Ours is of nobody whom it knows.
    let foreign = stranger.sign("gateway.example", &rcgen::PKCS_ECDSA_P256_SHA256, [-1, 1]);
    let words = ["192.0.21.1 refuses us (AUTHENTICATION_FAILED)", "authority of our certificate"];
    try_it(&mut ground, by_certificates(&foreign, &company.pem, "office.example"), &words);
    // Ours has expired.
    let old = company.sign("gateway.example", &rcgen::PKCS_ECDSA_P256_SHA256, [-3, -1]);
    let words = ["our certificate (\"CN=gateway.example\") has expired on ", "put a new one"];
    try_it(&mut ground, by_certificates(&old, &company.pem, "office.example"), &words);
    // The other side is somebody else.
    let words = ["192.0.21.1", "headquarters.example", "ipsec.remoteId"];
    try_it(&mut ground, by_certificates(&ours, &company.pem, "headquarters.example"), &words);
    // Our key is another one.
    let mixed = Signed { certificate: ours.certificate.clone(), key: old.key };
    try_it(&mut ground, by_certificates(&mixed, &company.pem, "office.example"), &["ipsec.certificates.privateKey"]);
    // Its own has expired.
    site.kill();
    site.certify(&company.sign("office.example", &rcgen::PKCS_ED25519, [-3, -1]), &company.pem);
    site.start(&conf);
    let words = ["a certificate of 192.0.21.1 (\"CN=office.example\") is not valid now", "it needs a new one"];
    try_it(&mut ground, by_certificates(&ours, &company.pem, "office.example"), &words);
}

#[test]
fn certificates_of_rsa_work_and_what_is_said_of_others() {
    let router = Router::new("rsa");
    let mut ground = Ground::new(&router, 11);
    let mut site = Site::new(&router, 21);
    let supervisor = supervisor();
    let mut part = IpsecPart::new(supervisor.of("ipsec"));
    let company = Authority::with("Company CA", rsa(3072));
    let (own, theirs) = (rsa(3072), rsa(2048));
    let ours = company.sign_key("gateway.example", &own, [-1, 1]);
    site.certify(&company.sign_key("office.example", &theirs, [-1, 1]), &company.pem);
    let conf = certificates(SITE, OURS, ["office.example", "gateway.example"], "");
    site.start(&conf);
    // The key in either form in which there are such.
    let old_form = Signed { certificate: ours.certificate.clone(), key: traditional(&ours.key) };
    for own in [&ours, &old_form] {
        ground.connection(by_certificates(own, &company.pem, "office.example"));
        assert_eq!(part.settle(&ground.place()), []);
        ground.until_up(&mut part, "office");
        assert!(ground.vm.pings("10.2.0.10", 84));
    }

    let mut try_it = |ground: &mut Ground, connection: Value, words: &[&str]| {
        ground.connection(connection);
        assert_eq!(part.settle(&ground.place()), []);
        eprintln!("{}", ground.until_reason(&mut part, "office", words));
    };
    // Our key is another one.
    let mixed = Signed { certificate: ours.certificate.clone(), key: company.sign_key("x", &rsa(2048), [-1, 1]).key };
    try_it(&mut ground, by_certificates(&mixed, &company.pem, "office.example"), &["ipsec.certificates.privateKey"]);
    // Ours has expired.
    let old = company.sign_key("gateway.example", &own, [-3, -1]);
    let words = ["our certificate (\"CN=gateway.example\") has expired on ", "put a new one"];
    try_it(&mut ground, by_certificates(&old, &company.pem, "office.example"), &words);
    // Its own has expired.
    site.kill();
    site.certify(&company.sign_key("office.example", &theirs, [-3, -1]), &company.pem);
    site.start(&conf);
    let words = ["a certificate of 192.0.21.1 (\"CN=office.example\") is not valid now", "it needs a new one"];
    try_it(&mut ground, by_certificates(&ours, &company.pem, "office.example"), &words);
}
