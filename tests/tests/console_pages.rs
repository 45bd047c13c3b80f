//! Every page of the console, as an operator and as a tenant find it by its links: no barrier for anybody, on a phone and on a
//! desk, light and dark; small; and without a complaint of the browser. Needs root, Chromium and axe (`scripts/tools test`).

use tests::browser::show::Show;
use tests::browser::{Browser, LOOKS, SIZES};

/// The largest page, in bytes.
const LARGEST: u64 = 100_000;

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
    let size = browser.run(size, &[]).as_u64().unwrap_or_default();
    if size > LARGEST {
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
    for (browser, least) in [(show.of_admin(), 12), (show.of_tim(), 8)] {
        let pages = browser.crawl(|path| wrong(&browser, path));
        assert!(pages.len() >= least, "links lead to {} pages alone: {:?}", pages.len(), pages.keys());
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
