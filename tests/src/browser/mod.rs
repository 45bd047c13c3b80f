//! A person at a browser: opens pages, fills in fields by their labels, presses buttons and follows links by their names,
//! reads what stands there, or does it all with the keyboard alone.

mod axe;
mod crawl;
mod driver;
pub mod people;
pub mod show;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::Node;
use serde_json::{Value, json};

use crate::fabric::Fabric;
use crate::stage::eventually;
pub use driver::{Driver, Refusal};

/// How long whatever is waited for may take, on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(20);

/// How pages are searched.
const PAGE: &str = include_str!("page.js");

/// What names an element in WebDriver (W3C WebDriver, section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The key that goes to the next field.
pub const TAB: &str = "\u{E004}";
/// The key that sends a form or follows a link.
pub const ENTER: &str = "\u{E007}";

const CONTROL: &str = "\u{E009}";

/// Light or dark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// Both.
pub const LOOKS: [Look; 2] = [Look::Light, Look::Dark];

/// A phone's and a desk's: width and height in pixels.
pub const SIZES: [(u32, u32); 2] = [(360, 740), (1280, 800)];

/// How many browsers a story has had.
static BROWSERS: AtomicU32 = AtomicU32::new(0);

/// The console in a browser of its own, with nobody signed in.
pub struct Browser {
    driver: Driver,
    /// Such as `https://192.168.4.1:7443`.
    url: String,
    /// Which of the story's browsers it is.
    number: u32,
}

impl Browser {
    /// A browser on the machine of a lab's controller.
    #[track_caller]
    pub fn of(fabric: &Fabric) -> Self {
        Self::at(Some(&fabric.controller()), &fabric.rest().url)
    }

    /// A browser in a node, or on this machine, for the console at this address.
    #[track_caller]
    pub fn at(node: Option<&Node>, url: &str) -> Self {
        let number = BROWSERS.fetch_add(1, Ordering::Relaxed) + 1;
        let browser = Self { driver: Driver::start(node), url: url.to_owned(), number };
        browser.look(Look::Light, SIZES[1]);
        browser
    }

    /// Opens the page of a path.
    #[track_caller]
    pub fn open(&self, path: &str) {
        self.must("open", path, self.driver.post("/url", &json!({ "url": format!("{}{path}", self.url) })));
    }

    /// Opens the page to sign in, and does.
    #[track_caller]
    pub fn sign_in(&self, user: &str, password: &str) {
        self.open("/sign-in");
        self.fill("User", user);
        self.fill("Password", password);
        self.submit("Sign in");
        self.expect("Sign out");
    }

    /// The path and the query of the page that is shown.
    #[track_caller]
    pub fn path(&self) -> String {
        let url = self.must("ask for", "the address", self.driver.get("/url"));
        let url = url.as_str().unwrap_or_default();
        url.strip_prefix(&self.url).unwrap_or(url).to_owned()
    }

    /// Puts a text into the field that is labelled so, in place of what was there.
    #[track_caller]
    pub fn fill(&self, label: &str, text: &str) {
        self.fill_in("", label, text);
    }

    /// The same inside the row or group that has a text.
    #[track_caller]
    pub fn fill_in(&self, within: &str, label: &str, text: &str) {
        self.with("field", label, within, |element| {
            self.driver.post(&format!("{element}/clear"), &json!({}))?;
            self.driver.post(&format!("{element}/value"), &json!({ "text": text }))
        });
    }

    /// Chooses what is called so, or begins so, in the list that is labelled so.
    #[track_caller]
    pub fn choose(&self, label: &str, option: &str) {
        self.choose_in("", label, option);
    }

    /// The same inside the row or group that has a text.
    #[track_caller]
    pub fn choose_in(&self, within: &str, label: &str, option: &str) {
        let script = format!("{PAGE}\nreturn optionOf(arguments[0], arguments[1]);");
        self.with("field", label, within, |element| {
            let list = json!({ ELEMENT: element.trim_start_matches("/element/") });
            let found = self.script("sync", &script, &[list, json!(option)])?;
            let missing = Refusal { error: "no such option".to_owned(), message: option.to_owned() };
            let id = found[ELEMENT].as_str().ok_or(missing)?;
            self.driver.post(&format!("/element/{id}/click"), &json!({}))
        });
    }

    /// Ticks the box, or picks the choice, that is labelled so.
    #[track_caller]
    pub fn tick(&self, label: &str) {
        self.with("field", label, "", |element| self.driver.post(&format!("{element}/click"), &json!({})));
    }

    /// What the field that is labelled so holds.
    #[track_caller]
    pub fn value(&self, label: &str) -> String {
        let value = self.with("field", label, "", |element| self.driver.get(&format!("{element}/property/value")));
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Presses the button that is called so.
    #[track_caller]
    pub fn press(&self, name: &str) {
        self.press_in("", name);
    }

    /// The same inside the row or group that has a text.
    #[track_caller]
    pub fn press_in(&self, within: &str, name: &str) {
        self.with("button", name, within, |element| self.driver.post(&format!("{element}/click"), &json!({})));
    }

    /// Presses the button that is called so, and waits until there is another page.
    #[track_caller]
    pub fn submit(&self, name: &str) {
        self.await_another_page(name, || self.press(name));
    }

    /// Follows the link that is called so, and waits until there is another page.
    #[track_caller]
    pub fn follow(&self, name: &str) {
        self.await_another_page(name, || {
            self.with("link", name, "", |element| self.driver.post(&format!("{element}/click"), &json!({})));
        });
    }

    /// Loads the page again, as its reader would to see whether something is new.
    #[track_caller]
    pub fn reload(&self) {
        self.must("reload", "the page", self.driver.post("/refresh", &json!({})));
    }

    /// Does something, and waits until there is another page.
    #[track_caller]
    pub fn await_another_page(&self, name: &str, act: impl FnOnce()) {
        self.run("window.seenBefore = true", &[]);
        act();
        let another = eventually(LIMIT, || {
            let new = "return !window.seenBefore && document.readyState === 'complete'";
            self.script("sync", new, &[]).is_ok_and(|new| new == true)
        });
        assert!(another, "\"{name}\" leads to no other page:\n{}", self.text());
    }

    /// Presses these keys, one after the other, wherever the focus is.
    #[track_caller]
    pub fn keys(&self, keys: &str) {
        let strokes = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })));
        let strokes: Vec<Value> = strokes.collect();
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] });
        self.must("press", keys, self.driver.post("/actions", &body));
    }

    /// Types in place of what the field with the focus holds.
    #[track_caller]
    pub fn keys_over(&self, keys: &str) {
        let stroke = |kind: &str, key: &str| json!({ "type": kind, "value": key });
        let (down, up) = ("keyDown", "keyUp");
        let strokes = [stroke(down, CONTROL), stroke(down, "a"), stroke(up, "a"), stroke(up, CONTROL)];
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] });
        self.must("press", "Control and A", self.driver.post("/actions", &body));
        self.keys(keys);
    }

    /// Does something in another tab of the same browser, and comes back.
    #[track_caller]
    pub fn in_another_tab(&self, act: impl FnOnce()) {
        let here = self.must("ask for", "the tab", self.driver.get("/window"));
        let new = self.must("open", "a tab", self.driver.post("/window/new", &json!({ "type": "tab" })));
        self.must("go to", "the tab", self.driver.post("/window", &json!({ "handle": new["handle"] })));
        act();
        self.must("go back to", "the tab", self.driver.post("/window", &json!({ "handle": here })));
    }

    /// Goes on by the Tab key until what is called so has the focus.
    #[track_caller]
    pub fn tab_to(&self, name: &str) {
        for _ in 0..80 {
            self.keys(TAB);
            let is_there = format!("{PAGE}\nreturn called(document.activeElement).includes(arguments[0]);");
            if self.run(&is_there, &[json!(name)]) == true {
                return;
            }
        }
        panic!("the Tab key never comes to \"{name}\":\n{}", self.text());
    }

    /// All that can be read in the page.
    pub fn text(&self) -> String {
        let text = self.script("sync", "return document.body.innerText", &[]);
        text.map_or_else(|error| error.to_string(), |text| text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until this text can be read in the page.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        let there = eventually(LIMIT, || self.text().contains(text));
        assert!(there, "\"{text}\" does not stand in {}:\n{}", self.path(), self.text());
    }

    /// Waits until this text can no longer be read in the page.
    #[track_caller]
    pub fn expect_gone(&self, text: &str) {
        let gone = eventually(LIMIT, || !self.text().contains(text));
        assert!(gone, "\"{text}\" still stands in {}:\n{}", self.path(), self.text());
    }

    /// Runs a script in the page.
    #[track_caller]
    pub fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.must("run", script, self.script("sync", script, arguments))
    }

    /// Light or dark, and how large.
    #[track_caller]
    pub fn look(&self, look: Look, (width, height): (u32, u32)) {
        let value = if look == Look::Dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.driver.devtools("Emulation.setEmulatedMedia", &media);
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.driver.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// How much wider the page is than its window, in pixels: nobody wants to push a page sideways.
    #[track_caller]
    pub fn too_wide(&self) -> i64 {
        let script = "const page = document.documentElement; return page.scrollWidth - page.clientWidth";
        let beyond = self.run(script, &[]);
        beyond.as_i64().unwrap_or_else(|| panic!("the page says of its width {beyond}"))
    }

    /// A picture of what is in the window, as PNG.
    #[track_caller]
    pub fn screenshot(&self, file: &Path) {
        let picture = self.must("take", "a picture", self.driver.get("/screenshot"));
        let bytes = STANDARD.decode(picture.as_str().unwrap_or_default()).expect("a picture in base64");
        fs::write(file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// Whether a dialog is open: none of ours ever is.
    pub fn has_dialog(&self) -> bool {
        self.driver.get("/alert/text").is_ok()
    }

    /// What the browser has complained about since it was last asked: scripts that failed, what the page's policy forbade.
    /// That a page came with a status of an error is no complaint.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.must("read", "the log", self.driver.post("/se/log", &json!({ "type": "browser" })));
        let entries = entries.as_array().unwrap_or_else(|| panic!("the browser says of its log {entries}"));
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        let texts = severe.map(|entry| entry["message"].as_str().map_or_else(|| entry.to_string(), str::to_owned));
        texts.filter(|text| !text.contains("Failed to load resource")).collect()
    }

    /// Does something to the element that is called so, waiting until it is there and can be used.
    #[track_caller]
    fn with(&self, sort: &str, name: &str, within: &str, act: impl Fn(&str) -> Result<Value, Refusal>) -> Value {
        let find = format!("{PAGE}\nreturn find(...arguments);");
        let mut last = String::from("there is none");
        let mut value = None;
        let done = eventually(LIMIT, || {
            let found = self.script("sync", &find, &[json!(sort), json!(name), json!(within)]);
            let attempt = found.and_then(|found| match found[ELEMENT].as_str() {
                Some(id) => act(&format!("/element/{id}")).map(Some),
                None => Ok(None),
            });
            match attempt {
                Ok(found) => value = found,
                Err(error) => last = error.to_string(),
            }
            value.is_some()
        });
        assert!(done, "{sort} \"{name}\" {within} in {}: {last}\n{}", self.path(), self.text());
        value.unwrap_or_default()
    }

    fn script(&self, kind: &str, script: &str, arguments: &[Value]) -> Result<Value, Refusal> {
        self.driver.post(&format!("/execute/{kind}"), &json!({ "script": script, "args": arguments }))
    }

    #[track_caller]
    fn must(&self, verb: &str, what: &str, outcome: Result<Value, Refusal>) -> Value {
        outcome.unwrap_or_else(|error| panic!("cannot {verb} {what}: {error}"))
    }
}

impl Drop for Browser {
    /// What a story that failed leaves to look at.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let folder = evidence(self.number);
        let picture = self.driver.get("/screenshot").ok().and_then(|picture| STANDARD.decode(picture.as_str()?).ok());
        let source = self.driver.get("/source").ok().and_then(|source| Some(source.as_str()?.as_bytes().to_vec()));
        let console = self.driver.post("/se/log", &json!({ "type": "browser" })).ok();
        let console = console.map(|console| format!("{console:#}").into_bytes());
        for (name, bytes) in [("page.png", picture), ("page.html", source), ("browser.log", console)] {
            let _ = bytes.map(|bytes| fs::write(folder.join(name), bytes));
        }
        for log in self.driver.logs() {
            let _ = log.file_name().map(|name| fs::copy(&log, folder.join(name)));
        }
        eprintln!("what the browser showed last, and its logs, lie in {}", folder.display());
    }
}

/// A folder beside the test's program; that of the story's last failure goes.
fn evidence(number: u32) -> PathBuf {
    let story = std::thread::current().name().unwrap_or("story").replace("::", "-");
    let program = std::env::current_exe().unwrap_or_default();
    let base = program.parent().and_then(Path::parent).map_or_else(std::env::temp_dir, Path::to_owned);
    let folder = base.join("browser").join(format!("{story}-{number}"));
    // Whatever cannot be written is missing there, and the story's own message stands all the same.
    let _ = fs::remove_dir_all(&folder);
    let _ = fs::create_dir_all(&folder);
    folder
}
