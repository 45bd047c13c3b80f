//! The style and the scripts, built into the program. Their addresses have a digest of their contents, so that browsers keep
//! them for good and yet never have old ones.

use std::sync::LazyLock;

use api::fabric::PageAnswer;
use sha2::{Digest, Sha256};

use crate::answer;

/// A file, as it is served.
struct Asset {
    name: &'static str,
    kind: &'static str,
    contents: &'static [u8],
}

const STYLE: Asset =
    Asset { name: "console.css", kind: "text/css; charset=utf-8", contents: include_bytes!("../assets/console.css") };
const SCRIPT: Asset = Asset {
    name: "console.js",
    kind: "text/javascript; charset=utf-8",
    contents: include_bytes!("../assets/console.js"),
};
const ICON: Asset = Asset { name: "icon.svg", kind: "image/svg+xml", contents: include_bytes!("../assets/icon.svg") };

const ALL: [&Asset; 3] = [&STYLE, &SCRIPT, &ICON];

/// The addresses, made once.
static ADDRESSES: LazyLock<[String; 3]> = LazyLock::new(|| ALL.map(|asset| format!("/assets/{}", versioned(asset))));

/// The address of the style.
pub fn style() -> &'static str {
    &ADDRESSES[0]
}

/// The address of the script.
pub fn script() -> &'static str {
    &ADDRESSES[1]
}

/// The address of the icon.
pub fn icon() -> &'static str {
    &ADDRESSES[2]
}

/// `DIGEST-NAME`.
fn versioned(asset: &Asset) -> String {
    let digest = Sha256::digest(asset.contents);
    let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{digest}-{}", asset.name)
}

/// Answers for `/assets/NAME`.
pub fn answer(name: &str) -> PageAnswer {
    match ALL.into_iter().zip(&*ADDRESSES).find(|(_, address)| address.strip_prefix("/assets/") == Some(name)) {
        Some((asset, _)) => answer::asset(asset.kind, asset.contents),
        None => answer::json_status(404, &serde_json::json!({ "detail": "there is no such file" })),
    }
}
