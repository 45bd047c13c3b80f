//! Tunnels to companies' sites: IPsec with strongSwan, WireGuard with wireguard-go. Two tenants have the same addresses in the
//! cloud and at home, and neither notices the other. Needs root.

use tests::cloud::Cloud;
use tests::site::{
    Authority, Conversation, Frr, Greeter, IpsecPeer, Signed, StrongSwan, WireguardGo, WireguardPeer, ask,
    wireguard_keys,
};
use tests::stage::{LIMIT, eventually};
use tests::tools::{must_not_ping, must_ping, run};

/// Two companies with the same addresses at home, and one whose router is behind another's.
const SITES: &str = "\
\x20 - {name: contoso, addresses: [203.0.113.100/24], lan: [10.10.2.1/24], servers: [{name: contoso-sql, addresses: [10.10.2.5/24]}]}
\x20 - {name: fabrikam, addresses: [203.0.113.101/24], lan: [10.10.2.1/24], servers: [{name: fabrikam-sql, addresses: [10.10.2.5/24]}]}
\x20 - {name: cafe, addresses: [203.0.113.102/24], nat: true, lan: [10.10.3.1/24], servers: [{name: guest, addresses: [10.10.3.5/24]}]}
";
const SQL: &str = "10.10.2.5:1433";
const VMS: &[(&str, usize, u8)] = &[("contoso-web", 1, 1), ("fabrikam-web", 2, 2)];

/// strongSwan of contoso, as it waits for the cloud.
fn ipsec<'t>(psk: &'t str) -> IpsecPeer<'t> {
    IpsecPeer {
        local: "203.0.113.100",
        remote: "%any",
        psk,
        local_prefixes: "10.10.2.0/24",
        remote_prefixes: "10.10.1.0/24",
        ..IpsecPeer::default()
    }
}

/// strongSwan of the cafe, which opens the tunnel to the cloud's address.
fn cafe(own: &str) -> String {
    format!(
        "connections {{ cloud {{ version = 2\n remote_addrs = {own}\n local {{ auth = psk\n id = cafe.example }}\n remote {{ \
         auth = psk\n id = {own} }}\n children {{ cloud {{ local_ts = 10.10.3.0/24\n remote_ts = 10.10.1.0/24 }} }} }} }}\n\
         secrets {{ ike-cloud {{ id = {own}\n secret = opensesame }} }}\n"
    )
}

/// What contoso's connection says.
fn ipsec_spec(psk: &str) -> String {
    format!("ipsec: {{remote: 203.0.113.100, psk: {psk}, remotePrefixes: [10.10.2.0/24]}}")
}

#[test]
fn two_tenants_with_the_same_addresses_reach_their_sites_by_ipsec_and_by_wireguard() {
    let cloud = Cloud::up(VMS, SITES);
    let servers: Vec<_> = ["contoso-sql", "fabrikam-sql"].map(|name| Greeter::start(&cloud.node(name), SQL)).into();
    for (tenant, mac) in [("contoso", 1), ("fabrikam", 2)] {
        cloud.tenant(tenant);
        let (_, lease) = cloud.vm(tenant, &format!("{tenant}-web"), usize::from(mac), mac);
        assert_eq!(lease.address, "10.10.1.100/24");
    }
    let strongswan = StrongSwan::start(cloud.node("contoso"));
    strongswan.load(&ipsec("opensesame"));
    strongswan.route("10.10.1.0/24");
    cloud.connect("contoso", "office", &ipsec_spec("opensesame"));

    let (private, public) = wireguard_keys();
    cloud.connect(
        "fabrikam",
        "office",
        &format!(
            "wireguard: {{peerKey: \"{public}\", endpoint: \"203.0.113.101:51820\", remotePrefixes: [10.10.2.0/24], \
             keepalive: 1}}"
        ),
    );
    let own = cloud.address("fabrikam", "office");
    let has_key = || cloud.report("fabrikam", "office")["publicKey"].is_string();
    assert!(eventually(LIMIT, has_key), "no key is shown: {}\n{}", cloud.described("fabrikam", "office"), cloud.logs());
    let report = cloud.report("fabrikam", "office");
    let key = report["publicKey"].as_str().unwrap_or_default();
    let peer = WireguardPeer {
        private_key: &private,
        listen_port: 51820,
        public_key: key,
        endpoint: &format!("{own}:51820"),
        allowed: "10.10.1.0/24",
        keepalive: 1,
    };
    let wireguard = WireguardGo::start(cloud.node("fabrikam"), &peer, &[]);
    wireguard.await_handshake();
    for tenant in ["contoso", "fabrikam"] {
        cloud.await_state(tenant, "office", "up");
    }
    strongswan.await_up("cloud");

    // Both at once, and each meets its own.
    let mut talks: Vec<_> = ["contoso", "fabrikam"]
        .map(|tenant| {
            let talk = Conversation::open(&cloud.node(&format!("{tenant}-web")), SQL).unwrap_or_else(|error| {
                panic!("{tenant}: {error}\n{}\n{}", cloud.described(tenant, "office"), cloud.logs())
            });
            let expected = format!("{tenant}-sql sees 10.10.1.100:");
            assert!(talk.greeting().starts_with(&expected), "{}", talk.greeting());
            talk
        })
        .into();
    for tenant in ["contoso", "fabrikam"] {
        // From home to the cloud as well.
        must_ping(&cloud.node(&format!("{tenant}-sql")), "10.10.1.100");
        let path = run(&cloud.node(&format!("{tenant}-web")), "traceroute -n -I -q 1 -w 1 10.10.2.5");
        assert!(path.contains("10.10.1.1 ") && path.contains("10.254.254.") && path.contains("10.10.2.5"), "{path}");
    }
    for talk in &mut talks {
        talk.say("more than one segment, so that sizes matter: ".repeat(200).trim()).unwrap();
    }
    // The end of one is not the other's.
    drop(strongswan);
    assert!(talks[1].say("and I").is_ok());
    assert!(ask(&cloud.node("contoso-web"), SQL).is_err());
    drop(servers);
}

#[test]
fn bgp_inside_of_an_ipsec_tunnel_tells_both_sides_what_there_is() {
    let cloud = Cloud::up(VMS, SITES);
    cloud.tenant("contoso");
    let (web, _) = cloud.vm("contoso", "contoso-web", 1, 1);
    let strongswan = StrongSwan::start(cloud.node("contoso"));
    strongswan.load(&IpsecPeer { local_prefixes: "0.0.0.0/0", remote_prefixes: "0.0.0.0/0", ..ipsec("opensesame") });
    strongswan.address("169.254.10.2/30");
    cloud.connect(
        "contoso",
        "office",
        "ipsec: {remote: 203.0.113.100, psk: opensesame, addresses: [169.254.10.1/30]}, \
         bgp: {localAs: 65010, neighbors: [{address: 169.254.10.2, remoteAs: 65001}]}",
    );
    let speaker = Frr::speaker(65001, "169.254.10.2", &[("169.254.10.1", 65010)], &["10.10.2.0/24"]);
    let frr = Frr::start(cloud.node("contoso"), &speaker);
    frr.await_route("10.10.1.0/24");
    cloud.await_state("contoso", "office", "up");
    cloud.await_learnt("contoso", "office", "10.10.2.0/24");
    must_ping(&web, "10.10.2.5");
}

#[test]
fn a_site_behind_nat_opens_its_tunnel_itself() {
    let cloud = Cloud::up(VMS, SITES);
    cloud.tenant("contoso");
    let (web, _) = cloud.vm("contoso", "contoso-web", 1, 1);
    cloud.connect(
        "contoso",
        "cafe",
        "ipsec: {passive: true, remote: 203.0.113.102, remoteId: cafe.example, psk: opensesame, remotePrefixes: [10.10.3.0/24]}",
    );
    let own = cloud.address("contoso", "cafe");
    let strongswan = StrongSwan::start(cloud.node("cafe"));
    strongswan.load_text(&cafe(&own));
    strongswan.route("10.10.1.0/24");
    strongswan.initiate("cloud");
    cloud.await_state("contoso", "cafe", "up");
    must_ping(&web, "10.10.3.5");
    must_ping(&cloud.node("guest"), "10.10.1.100");
}

#[test]
fn what_is_wrong_with_a_tunnel_is_said_and_ends_with_what_was_wrong() {
    let cloud = Cloud::up(VMS, SITES);
    cloud.tenant("contoso");
    let (web, _) = cloud.vm("contoso", "contoso-web", 1, 1);
    // Nobody is there.
    cloud.connect("contoso", "office", &ipsec_spec("opensesame").replace("203.0.113.100", "203.0.113.99"));
    cloud.await_words("contoso", "office", "no answer from 203.0.113.99 to IKE_SA_INIT");
    // Somebody is there, with another key.
    let strongswan = StrongSwan::start(cloud.node("contoso"));
    strongswan.load(&ipsec("opensesame"));
    strongswan.route("10.10.1.0/24");
    cloud.connect("contoso", "office", &ipsec_spec("swordfish"));
    cloud.await_words("contoso", "office", "set the same key on both sides");
    must_not_ping(&web, "10.10.2.5");
    // Somebody wants other ciphers.
    strongswan.load(&IpsecPeer { connection: "proposals = aes128-sha256-modp2048", ..ipsec("opensesame") });
    cloud.connect("contoso", "office", &ipsec_spec("opensesame"));
    cloud.await_words("contoso", "office", "ikeProposals");
    strongswan.load(&ipsec("opensesame"));
    cloud.await_state("contoso", "office", "up");
    must_ping(&web, "10.10.2.5");
}

#[test]
fn a_tunnel_by_certificates_comes_up_and_says_when_one_has_expired() {
    let cloud = Cloud::up(&VMS[..1], SITES);
    cloud.tenant("contoso");
    let (web, _) = cloud.vm("contoso", "contoso-web", 1, 1);
    let company = Authority::new("Contoso CA");
    let theirs = company.sign("office.contoso.example", [-1, 1]);
    let strongswan = StrongSwan::start(cloud.node("contoso"));
    for (folder, pem) in [("x509ca", &company.pem), ("x509", &theirs.certificate), ("private", &theirs.key)] {
        strongswan.credential(folder, "own.pem", pem);
    }
    strongswan.load_text(
        "connections { cloud { version = 2\n local_addrs = 203.0.113.100\n remote_addrs = %any\n encap = yes\n local { auth = \
         pubkey\n certs = own.pem\n id = office.contoso.example }\n remote { auth = pubkey\n id = cloud.contoso.example }\n \
         children { cloud { local_ts = 10.10.2.0/24\n remote_ts = 10.10.1.0/24 } } } }\n",
    );
    strongswan.route("10.10.1.0/24");
    // A text of YAML in quotes is one of JSON.
    let text = |pem: &str| serde_json::Value::from(pem).to_string();
    let connect = |own: &Signed| {
        let certificates = format!(
            "{{certificate: {}, privateKey: {}, ca: {}}}",
            text(&own.certificate),
            text(&own.key),
            text(&company.pem)
        );
        cloud.connect(
            "contoso",
            "office",
            &format!(
                "ipsec: {{remote: 203.0.113.100, localId: cloud.contoso.example, remoteId: office.contoso.example, \
                 remotePrefixes: [10.10.2.0/24], certificates: {certificates}}}"
            ),
        );
    };
    // One that was forgotten to be renewed.
    connect(&company.sign("cloud.contoso.example", [-3, -1]));
    cloud.await_words("contoso", "office", "our certificate (\"CN=cloud.contoso.example\") has expired on ");
    must_not_ping(&web, "10.10.2.5");
    let described = cloud.described("contoso", "office");
    assert!(described.contains("put a new one") && !described.contains("PRIVATE KEY"), "{described}");
    connect(&company.sign("cloud.contoso.example", [-1, 1]));
    cloud.await_state("contoso", "office", "up");
    strongswan.await_up("cloud");
    must_ping(&web, "10.10.2.5");
    must_ping(&cloud.node("contoso-sql"), "10.10.1.100");
}

#[test]
fn a_site_that_moves_opens_its_tunnel_from_wherever_it_is() {
    let cloud = Cloud::up(&VMS[..1], SITES);
    cloud.tenant("contoso");
    let (web, _) = cloud.vm("contoso", "contoso-web", 1, 1);
    let refused =
        cloud.try_connect("contoso", "cafe", "ipsec: {passive: true, psk: opensesame, remotePrefixes: [10.10.3.0/24]}");
    assert!(refused.stderr.contains("--remote-id NAME"), "{}", refused.stderr);
    cloud.connect(
        "contoso",
        "cafe",
        "ipsec: {passive: true, remoteId: cafe.example, psk: opensesame, remotePrefixes: [10.10.3.0/24]}",
    );
    cloud.await_words("contoso", "cafe", "waiting for \"cafe.example\" from anywhere");
    let own = cloud.address("contoso", "cafe");
    let strongswan = StrongSwan::start(cloud.node("cafe"));
    strongswan.load_text(&cafe(&own));
    strongswan.route("10.10.1.0/24");
    strongswan.initiate("cloud");
    cloud.await_state("contoso", "cafe", "up");
    must_ping(&web, "10.10.3.5");
    must_ping(&cloud.node("guest"), "10.10.1.100");
}
