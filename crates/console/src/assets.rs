//! The style and the scripts, built into the program. Their addresses have a digest of their contents, so that browsers keep
//! them for good and yet never have old ones.

use std::sync::LazyLock;

use api::fabric::PageAnswer;
use sha2::{Digest, Sha256};

use crate::{answer, pictures};

/// A file, as it is served.
struct Asset {
    /// `/assets/DIGEST-NAME`.
    address: String,
    kind: &'static str,
    contents: String,
}

impl Asset {
    fn new(name: &str, kind: &'static str, contents: String) -> Self {
        let digest = Sha256::digest(&contents);
        let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { address: format!("/assets/{digest}-{name}"), kind, contents }
    }
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let all = [include_str!("../assets/console.css"), pictures::CSS.as_str()].join("\n");
    Asset::new("console.css", "text/css; charset=utf-8", all)
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let script = include_str!("../assets/console.js").to_owned();
    Asset::new("console.js", "text/javascript; charset=utf-8", script)
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg").to_owned()));

/// The address of the style.
pub fn style() -> &'static str {
    &STYLE.address
}

/// The address of the script.
pub fn script() -> &'static str {
    &SCRIPT.address
}

/// The address of the icon.
pub fn icon() -> &'static str {
    &ICON.address
}

/// Answers for a path below `/assets/`.
pub fn answer(path: &str) -> PageAnswer {
    match [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.address == path) {
        Some(asset) => answer::asset(asset.kind, asset.contents.as_bytes()),
        None => answer::json_status(404, &serde_json::json!({ "detail": "there is no such file" })),
    }
}
