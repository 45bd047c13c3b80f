//! Signing in by an identity provider, from the button to the console, over HTTPS and with a provider that others wrote; and
//! all that must not lead in.

#[path = "openid/world.rs"]
mod world;

use api::fabric::accounts::NewUser;
use api::fabric::{Caller, CallerKind, FabricApi as _, Role};
use world::{Provider, World, free_port};

/// What the provider says of tim, whom the controller admits for it.
const TIM: &str = r#"{"name": "tim", "role": "admin", "groups": ["operators"]}"#;

fn world() -> (World, Provider) {
    let port = free_port();
    (World::new(port), Provider::start(port, TIM))
}

#[test]
fn somebody_signs_in_and_comes_where_they_wanted() {
    let (world, _provider) = world();
    let browser = world.browser();
    let asked = browser.get("/?a=b");
    assert!(asked.location.contains("/sign-in?next="), "{asked:?}");
    let page = browser.get(&asked.location);
    assert!(page.body.contains("Sign in with Example ID"), "{}", page.body);
    let address = browser.begin("/?a=b");
    for part in ["response_type=code", "scope=openid+profile+email", "code_challenge_method=S256", "client_id=netvirt"]
    {
        assert!(address.contains(part), "{part} in {address}");
    }
    assert_eq!(browser.cookies(), ["__Host-netvirt-openid"]);
    let back = browser.consent(&address);
    assert!(back.starts_with(&format!("{}/sign-in/openid/callback?", world.url)), "{back}");
    let page = browser.get(&back);
    assert_eq!((page.status, page.location), (303, format!("{}/?a=b", world.url)), "{}", page.body);
    assert_eq!(browser.cookies(), ["__Host-netvirt"]);
    let page = browser.get("/");
    assert!(page.status != 303 || !page.location.contains("sign-in"), "{page:?}");
    assert_eq!(world.browser().get("/").location, format!("{}/sign-in?next=%2F", world.url));
}

#[test]
fn nobody_is_led_to_another_site_afterwards() {
    let (world, _provider) = world();
    let browser = world.browser();
    let back = browser.consent(&browser.begin("https://evil.example/"));
    assert_eq!(browser.get(&back).location, format!("{}/", world.url));
}

#[test]
fn a_code_serves_once() {
    let (world, _provider) = world();
    let browser = world.browser();
    let back = browser.consent(&browser.begin("/"));
    let thief = browser.copy();
    assert_eq!(browser.get(&back).status, 303);
    browser.get(&back).refuses(400, "was not begun in this browser");
    // Even with the cookie of the sign-in.
    thief.get(&back).refuses(403, "Example ID does not take what it sent you back with");
    assert!(!thief.cookies().contains(&"__Host-netvirt".to_owned()));
}

#[test]
fn a_link_of_somebody_else_signs_nobody_in() {
    let (world, _provider) = world();
    let (browser, other) = (world.browser(), world.browser());
    let back = other.consent(&other.begin("/"));
    browser.get(&back).refuses(400, "was not begun in this browser");
    browser.begin("/");
    browser.get(&back).refuses(400, "belongs to no sign-in of this browser");
    for wrong in ["/sign-in/openid/callback", "/sign-in/openid/callback?code=1&state="] {
        browser.begin("/");
        browser.get(wrong).refuses(400, "belongs to no sign-in of this browser");
    }
    assert!(browser.cookies().is_empty(), "{:?}", browser.cookies());
}

#[test]
fn tokens_of_another_time_place_or_person_are_not_believed() {
    let (world, provider) = world();
    let browser = world.browser();
    for (claims, words) in [
        (r#""nonce": "another""#, "it belongs to another sign-in"),
        (r#""exp": 1000000000"#, "compares the clock"),
        (r#""aud": "another-client""#, "compares console.openid.clientId"),
        (r#""aud": ["netvirt", "another-client"]"#, "compares console.openid.clientId"),
        (r#""iss": "https://id.example""#, "compares console.openid.issuer"),
    ] {
        provider.knows(&TIM.replace('{', &format!("{{{claims}, ")));
        browser.sign_in().refuses(403, words);
        assert!(browser.cookies().is_empty(), "{claims}");
    }
    provider.knows(TIM);
    assert_eq!(browser.sign_in().status, 303);
}

#[test]
fn whoever_did_not_ask_for_the_code_gets_no_token_for_it() {
    let (world, _provider) = world();
    let browser = world.browser();
    let address = browser.begin("/");
    let (front, rest) = address.split_once("code_challenge=").unwrap();
    let challenge = format!("{front}code_challenge={}{}", "A".repeat(43), &rest[43..]);
    browser.get(&browser.consent(&challenge)).refuses(403, "Code challenge failed");
}

#[test]
fn refusals_are_shown() {
    let (world, provider) = world();
    let browser = world.browser();
    provider.knows(r#"{"name": "tim"}"#);
    browser.sign_in().refuses(403, "no rule of the controller admits this person");
    let address = browser.begin("/");
    let state = address.split("state=").nth(1).unwrap().split('&').next().unwrap();
    // The provider leaves the state out of its refusal, which real ones do not.
    let denied = browser.post(&address, &["action=deny"]).location;
    browser.get(&format!("{denied}&state={state}")).refuses(403, "Example ID did not sign you in: access_denied");
    let address = browser.begin("/");
    let state = address.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let evil = "error=x&error_description=%3Cscript%3Ealert(1)%3C/script%3E";
    let page = browser.get(&format!("/sign-in/openid/callback?state={state}&{evil}"));
    page.refuses(403, "&lt;script&gt;alert(1)");
    assert!(!page.body.contains("<script>alert"));
}

#[test]
fn a_provider_that_is_away_stops_nobody_who_has_a_password() {
    let port = free_port();
    let world = World::new(port);
    let admin = Caller { kind: CallerKind::Token, name: "admin".parse().unwrap(), role: Role::Admin, tenant: None };
    let eve = NewUser {
        name: "eve".parse().unwrap(),
        role: Role::Reader,
        tenant: None,
        password: Some("correct horse battery".into()),
    };
    world.fabric.create_user(&admin, eve).unwrap();
    let browser = world.browser();
    browser.get("/sign-in/openid").refuses(503, &format!("Example ID cannot be asked at http://127.0.0.1:{port}"));
    let page = browser.post("/sign-in", &["user=eve", "password=correct horse battery", "next=/"]);
    assert_eq!(page.status, 303, "{}", page.body);
    // It is there again, and away again while somebody is on the way back.
    let provider = Provider::start(port, TIM);
    let back = browser.consent(&browser.begin("/"));
    drop(provider);
    browser.get(&back).refuses(503, "try again later, or sign in with a user of the controller");
    // The next one has other keys than those that are known.
    let _provider = Provider::start(port, TIM);
    assert_eq!(browser.sign_in().status, 303);
}

#[test]
fn trust_and_addresses_are_what_the_operator_says() {
    let (world, _provider) = world();
    let browser = world.browser();
    let mut configured = world.configured();
    configured.redirect_uri = Some("https://cloud.example/sign-in/openid/callback".to_owned());
    world.fabric.set_identity_provider(configured.clone());
    let page = browser.get("/sign-in/openid?next=/t/blue");
    assert_eq!(page.location, "https://cloud.example/sign-in/openid?next=%2Ft%2Fblue&moved=1");
    let page = browser.get("/sign-in/openid?moved=1");
    assert!(page.location.contains("redirect_uri=https%3A%2F%2Fcloud.example%2Fsign-in"), "{page:?}");
    // The console itself is no provider, but one with a certificate.
    configured.issuer = world.url.clone();
    world.fabric.set_identity_provider(configured.clone());
    browser.get("/sign-in/openid?moved=1").refuses(503, "console.openid.caFile");
    configured.authorities = Some(world.authority.clone());
    world.fabric.set_identity_provider(configured.clone());
    browser.get("/sign-in/openid?moved=1").refuses(503, "does not answer as an OpenID provider does");
    configured.issuer = "http://id.example".to_owned();
    world.fabric.set_identity_provider(configured);
    browser.get("/sign-in/openid?moved=1").refuses(503, "is not https");
}
