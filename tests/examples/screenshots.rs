//! Takes a picture of every page of the console, for people to look at and for the documents.
//!
//! `screenshots FOLDER`, as root: builds a lab with something of everything, opens all that links lead to, as an operator and
//! as a tenant, and writes PNG files there: of a desk's window in the light, and of some pages in the dark and on a phone too.
//! NETVIRT_LAB says with what the names of the lab's hosts begin.

use std::path::{Path, PathBuf};

use tests::browser::show::Show;
use tests::browser::{Browser, Look};

/// A desk's window, and a phone's.
const DESK: (u32, u32) = (1120, 620);
const PHONE: (u32, u32) = (390, 780);

/// The pages that are taken in the dark and on a phone, too.
const BOTH: [&str; 6] = [
    "/fabric",
    "/fabric/hosts",
    "/t/blue",
    "/t/blue/vm-networks/new",
    "/t/blue/vm-networks/net",
    "/t/blue/security-groups/web",
];

fn main() {
    let folder = std::env::args().nth(1).map(PathBuf::from).expect("usage: screenshots FOLDER");
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let show = Show::up();
    let browser = Browser::of(&show.cloud.fabric);
    browser.look(Look::Light, DESK);
    browser.open("/sign-in");
    browser.screenshot(&folder.join("sign-in.png"));
    for (who, browser) in [("operator", show.of_admin()), ("tenant", show.of_tim())] {
        browser.look(Look::Light, DESK);
        browser.crawl(|path| {
            println!("{who} {path}");
            take(&browser, &folder, who, path);
        });
    }
}

/// The pictures of the page that is shown.
fn take(browser: &Browser, folder: &Path, who: &str, path: &str) {
    // Such questions and forms of YAML are all alike, and an operator sees a tenant's pages as the tenant does.
    let alike = ["/delete", "/edit", "/yaml", "/password"].iter().any(|end| path.ends_with(end));
    if alike || (who == "operator" && path.starts_with("/t/")) {
        return;
    }
    let name = format!("{who}{}", path.trim_end_matches('/').replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    browser.screenshot(&folder.join(format!("{name}.png")));
    if BOTH.contains(&path) {
        browser.look(Look::Dark, DESK);
        browser.screenshot(&folder.join(format!("{name}-dark.png")));
        browser.look(Look::Light, PHONE);
        browser.screenshot(&folder.join(format!("{name}-phone.png")));
        browser.look(Look::Light, DESK);
    }
}
