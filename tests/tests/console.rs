//! The console as people meet it in a browser: signing in, declaring, conflicts, and what happens when sessions end or the
//! controller goes away. Needs root, Chromium and its driver (`scripts/tools test`).

use tests::browser::people::{admin_password, user};
use tests::browser::{Browser, ENTER, TAB};
use tests::fabric::Fabric;

/// A controller with a logical network and the tenants blue and red, which has the network `secret`.
fn two_tenants() -> Fabric {
    let fabric = Fabric::alone();
    fabric.op("create logical-network TDIv2 --network-virtualization");
    fabric.op("create tenant blue");
    fabric.op("create tenant red");
    fabric.op("create vm-network secret --tenant red --logical-network TDIv2");
    fabric
}

/// What makes a VM network, as it is typed.
const NETWORK: &str = "logicalNetwork: TDIv2\ndescription: ";

/// Fills in the form of a new VM network, without sending it.
#[track_caller]
fn type_network(browser: &Browser, name: &str, description: &str) {
    browser.open("/t/blue/vm-networks/new/yaml");
    browser.fill("Name", name);
    browser.fill("Declared", &format!("{NETWORK}{description}"));
}

#[test]
fn nobody_gets_in_with_a_wrong_password_and_comes_where_they_wanted_with_the_right_one() {
    let fabric = two_tenants();
    let browser = Browser::of(&fabric);
    browser.open("/t/red/vm-networks?q=secret");
    assert!(browser.path().starts_with("/sign-in?next="), "{}", browser.path());
    browser.fill("User", "admin");
    browser.fill("Password", "not-the-password");
    browser.submit("Sign in");
    browser.expect("That did not work");
    assert_eq!((browser.value("User"), browser.value("Password")), ("admin".to_owned(), String::new()));
    browser.fill("Password", &admin_password(&fabric));
    browser.submit("Sign in");
    browser.expect("Sign out");
    assert_eq!(browser.path(), "/t/red/vm-networks?q=secret");
    let cookies = browser.run("return document.cookie", &[]);
    assert!(!cookies.as_str().unwrap().contains("__Host-"), "scripts see the session's cookie: {cookies}");
    browser.submit("Sign out");
    browser.expect("You have signed out.");
    browser.open("/t/red/vm-networks");
    browser.expect("Password");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_network_is_declared_seen_by_others_at_once_and_deleted() {
    let fabric = two_tenants();
    let browser = Browser::of_tenant(&fabric, "tim", "blue");
    let watcher = Browser::of_admin(&fabric);
    watcher.open("/t/blue/vm-networks");
    type_network(&browser, "AAA", "[");
    browser.submit("Create");
    browser.expect("That did not work");
    assert_eq!(browser.value("Name"), "AAA");
    assert_eq!(browser.value("Declared"), format!("{NETWORK}["));
    browser.fill("Declared", &format!("{NETWORK}first"));
    browser.submit("Create");
    browser.expect("was created");
    browser.expect("first");
    // Nobody has loaded this page again.
    watcher.expect("AAA");
    assert_eq!(fabric.json("get vm-network AAA --tenant blue")["spec"]["description"], "first");
    browser.open("/t/blue/vm-networks/AAA");
    browser.press("Delete");
    browser.expect("Delete vm-network");
    browser.submit("Delete");
    browser.expect("was deleted");
    watcher.expect_gone("AAA");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn another_tenants_pages_look_like_those_of_one_that_there_is_not() {
    let fabric = two_tenants();
    let browser = Browser::of_tenant(&fabric, "tim", "blue");
    for below in ["", "/vm-networks", "/vm-networks/secret", "/vm-networks/secret/edit", "/vm-networks/new", "/ports"] {
        let [theirs, nobodys] = ["red", "green"].map(|tenant| {
            browser.open(&format!("/t/{tenant}{below}"));
            browser.expect("There is no such page");
            browser.text()
        });
        assert_eq!(theirs, nobodys, "{below}");
        assert!(!theirs.contains("red") && !theirs.contains("secret"), "{theirs}");
    }
    for path in ["/fabric", "/fabric/hosts", "/fabric/tenants", "/fabric/audit", "/fabric/access"] {
        browser.open(path);
        browser.expect("There is no such page");
    }
}

#[test]
fn stored_text_stays_text() {
    const EVIL: &str = "</textarea></code><script>alert(1)</script><img src=x onerror=alert(2)><b id=evil>bold</b>";
    let fabric = two_tenants();
    fabric.apply(&format!(
        "kind: vm-network\ntenant: blue\nname: AAA\nspec: {{logicalNetwork: TDIv2, description: '{EVIL}'}}\n"
    ));
    fabric.apply(&format!("kind: port\ntenant: blue\nname: p\nspec: {{vmName: '{EVIL}'}}\n"));
    let browser = Browser::of_tenant(&fabric, "tim", "blue");
    for path in [
        "/t/blue",
        "/t/blue/vm-networks",
        "/t/blue/vm-networks/AAA",
        "/t/blue/vm-networks/AAA/edit",
        "/t/blue/ports",
        "/t/blue/ports/p",
        "/t/blue/ports/p/edit",
        "/t/blue/activity",
    ] {
        browser.open(path);
        assert!(!browser.has_dialog(), "{path} opens a dialog");
        let elements =
            browser.run("return document.querySelectorAll('#evil, main script, main img[src=x]').length", &[]);
        assert_eq!(elements, 0, "{path}");
        let search =
            format!("{path}?q={}&done=created&what={}", "%3Cscript%3Ealert(3)%3C/script%3E", "%3Cb%20id=evil%3E");
        browser.open(&search);
        assert!(!browser.has_dialog(), "{search} opens a dialog");
        assert_eq!(browser.run("return document.querySelectorAll('#evil, main script').length", &[]), 0, "{search}");
    }
    browser.open("/t/blue/vm-networks/AAA/edit");
    assert!(browser.value("Declared").contains("<script>alert(1)</script>"), "{}", browser.value("Declared"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_console_speaks_chinese_when_it_is_asked_to() {
    let fabric = two_tenants();
    let browser = Browser::of_tenant(&fabric, "tim", "blue");
    browser.open("/t/blue/vm-networks");
    browser.await_another_page("Language", || browser.choose("Language", "中文"));
    browser.expect("退出");
    browser.expect("虚拟机网络");
    assert_eq!(browser.path(), "/t/blue/vm-networks");
    assert_eq!(browser.run("return document.documentElement.lang", &[]), "zh-CN");
    assert_eq!(browser.barriers(), Vec::<String>::new());
    browser.await_another_page("外观", || browser.choose("外观", "深色"));
    assert_eq!(browser.run("return document.documentElement.dataset.theme", &[]), "dark");
    browser.await_another_page("语言", || browser.choose("语言", "English"));
    browser.expect("Sign out");
}

#[test]
fn the_keyboard_alone_leads_from_signing_in_to_a_network() {
    let fabric = two_tenants();
    let password = user(&fabric, "tim", "blue");
    let browser = Browser::of(&fabric);
    browser.open("/t/blue/vm-networks/new/yaml");
    browser.expect("Password");
    // The field for the name has the focus when the page comes.
    browser.keys("tim");
    browser.keys(TAB);
    browser.keys(&password);
    browser.await_another_page("Enter", || browser.keys(ENTER));
    browser.tab_to("Skip to content");
    browser.keys(ENTER);
    browser.tab_to("Name");
    browser.keys("AAA");
    browser.keys(TAB);
    browser.keys_over("logicalNetwork: TDIv2");
    browser.tab_to("Create");
    browser.await_another_page("Enter", || browser.keys(ENTER));
    browser.expect("was created");
    assert_eq!(fabric.json("get vm-network AAA --tenant blue")["spec"]["logicalNetwork"], "TDIv2");
}

#[test]
fn a_controller_that_restarts_loses_no_typed_text_and_signs_nobody_out() {
    let mut fabric = two_tenants();
    let browser = Browser::of_tenant(&fabric, "tim", "blue");
    let watcher = Browser::of_admin(&fabric);
    watcher.open("/t/blue/vm-networks");
    type_network(&browser, "AAA", "typed before");
    fabric.stage.lab.kill_controller().unwrap();
    browser.press("Create");
    for one in [&browser, &watcher] {
        one.expect("The controller does not answer. Trying again …");
    }
    assert_eq!(browser.value("Declared"), format!("{NETWORK}typed before"));
    browser.await_another_page("Create", || fabric.stage.lab.start_controller().unwrap());
    browser.expect("was created");
    watcher.expect("AAA");
    watcher.expect_gone("The controller does not answer.");
    assert_eq!(fabric.json("get vm-network AAA --tenant blue")["spec"]["description"], "typed before");
}

#[test]
fn who_saves_second_sees_what_the_first_has_saved_and_loses_nothing() {
    let fabric = two_tenants();
    fabric.op("create vm-network AAA --tenant blue --logical-network TDIv2");
    let password = user(&fabric, "tim", "blue");
    let [first, second] = [(); 2].map(|()| {
        let browser = Browser::of(&fabric);
        browser.sign_in("tim", &password);
        browser.open("/t/blue/vm-networks/AAA/edit");
        browser
    });
    first.fill("Declared", &format!("{NETWORK}of the first"));
    first.submit("Save");
    first.expect("was changed");
    second.fill("Declared", &format!("{NETWORK}of the second"));
    second.submit("Save");
    second.expect("Somebody else has changed this while you had it open.");
    second.expect("description: of the first");
    assert_eq!(second.value("Declared"), format!("{NETWORK}of the second"));
    assert_eq!(second.barriers(), Vec::<String>::new());
    second.submit("Save");
    second.expect("was changed");
    assert_eq!(fabric.json("get vm-network AAA --tenant blue")["spec"]["description"], "of the second");
}

#[test]
fn a_session_that_ends_while_a_form_is_open_loses_no_typed_text() {
    let fabric = two_tenants();
    let browser = Browser::of_tenant(&fabric, "tim", "blue");
    let watching = Browser::of_tenant(&fabric, "tina", "blue");
    watching.open("/t/blue/vm-networks");
    type_network(&browser, "AAA", "typed before");
    // Whoever gets another password is signed out everywhere.
    let [password, _] = ["tim", "tina"].map(|name| {
        let set = fabric.json(&format!("set password {name} --generate"));
        set["password"].as_str().unwrap_or_else(|| panic!("{set}")).to_owned()
    });
    watching.expect("Password");
    browser.submit("Create");
    browser.expect("Your session is over.");
    assert_eq!(browser.value("spec"), format!("{NETWORK}typed before"));
    assert_eq!(browser.barriers(), Vec::<String>::new());
    browser.in_another_tab(|| browser.sign_in("tim", &password));
    browser.submit("Save");
    browser.submit("Save");
    browser.expect("was created");
    assert_eq!(fabric.json("get vm-network AAA --tenant blue")["spec"]["description"], "typed before");
}
