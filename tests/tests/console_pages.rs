//! Every page of the console, as an operator and as a tenant find it by its links: no barrier for anybody, on a phone and on a
//! desk, light and dark; small; and without a complaint of the browser. Needs root, Chromium and axe (`scripts/tools test`).

use tests::browser::show::Show;
use tests::browser::{Browser, LOOKS, SIZES};

/// The largest page, in bytes.
const LARGEST: f64 = 100_000.0;

/// What a gateway connection can be: each has a form of its own. Routing is an operator's to make.
const SERVICES: [&str; 5] = ["nat", "routing", "ipsec", "wireguard", "dns"];

/// What is wrong with the page that is shown.
#[track_caller]
fn wrong(browser: &Browser, path: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let status = "return performance.getEntriesByType('navigation')[0].responseStatus";
    let status = browser.run(status, &[]);
    if status != 200 {
        wrong.push(format!("{path} is linked to, and answers {status}"));
    }
    let size = "return performance.getEntriesByType('navigation')[0].decodedBodySize";
    // A page that says nothing of its size is none that was looked at.
    let size = browser.run(size, &[]);
    if size.as_f64().is_none_or(|size| size <= 0.0 || size > LARGEST) {
        wrong.push(format!("{path} has {size} bytes"));
    }
    // Colours are the same at any size, and places the same in any colour.
    for (look, size) in LOOKS.into_iter().zip(SIZES) {
        browser.look(look, size);
        let barriers = browser.barriers();
        wrong.extend(barriers.into_iter().map(|barrier| format!("{path}, {look:?}, {} px wide: {barrier}", size.0)));
        let beyond = browser.too_wide();
        if beyond > 0 {
            wrong.push(format!("{path}, {look:?}: {beyond} px stick out where the window is {} px wide", size.0));
        }
    }
    wrong.extend(browser.complaints().into_iter().map(|complaint| format!("{path}: {complaint}")));
    wrong
}

#[test]
fn no_page_has_a_barrier_or_is_too_large() {
    let show = Show::up();
    let mut all = Vec::new();
    // There are 107 and 65 pages; a few are linked to only where something was just seen. A kind whose pages are lost is noticed.
    for (browser, who, least) in [(show.of_admin(), "admin", 103), (show.of_tim(), "tim", 63)] {
        let pages = browser.crawl(|path| wrong(&browser, path));
        println!("{who}: {} pages: {:?}", pages.len(), pages.keys());
        assert!(pages.len() >= least, "{who}'s links lead to {} pages alone: {:?}", pages.len(), pages.keys());
        for service in SERVICES.iter().filter(|service| who == "admin" || **service != "routing") {
            let form = format!("gateway-connections/new?service={service}");
            assert!(pages.keys().any(|page| page.ends_with(&form)), "no link of {who}'s leads to {form}");
        }
        all.extend(pages.into_values().flatten());
    }
    let browser = Browser::of(&show.cloud.fabric);
    browser.open("/sign-in");
    all.extend(wrong(&browser, "/sign-in"));
    assert!(all.is_empty(), "{} sentences:\n{}", all.len(), all.join("\n"));
}

#[test]
fn axe_finds_what_is_wrong_in_a_page_that_has_barriers() {
    let fabric = tests::fabric::Fabric::alone();
    let browser = Browser::of(&fabric);
    browser.open("/sign-in");
    assert_eq!(browser.barriers(), Vec::<String>::new());
    browser.run("document.querySelector('main').append(document.createElement('input'), new Image())", &[]);
    let barriers = browser.barriers().join("\n");
    assert!(barriers.contains("label: ") && barriers.contains("image-alt: "), "{barriers}");
}
