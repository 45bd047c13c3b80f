//! Whether guests run under KVM or are emulated: found out by starting one, once a boot.
//!
//! That there is a /dev/kvm says little: inside of another VM it may be there and start no ordinary kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::image::{Image, lock};
use super::qemu::{self, QEMU};
use crate::LabError;
use crate::node::run_limited;
use crate::wiring::run_folder;

/// How long a guest may take to come up under KVM, where it is up within a second or hangs.
const TRIAL_LIMIT: Duration = Duration::from_secs(5);
/// What the first process of a guest says when it is up.
const UP: &str = "netvirt: the guest is up";
const KVM: &str = "/dev/kvm";
/// A number that is another one after each boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What runs a guest's instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU's translator, which is slower.
    Tcg,
}

impl Accelerator {
    /// Its name, as QEMU has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// What guests of this machine run under.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Choice {
    pub(crate) accelerator: Accelerator,
    /// Why it is not KVM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) because: Option<String>,
}

/// What was found out, and during which boot.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Remembered {
    boot: String,
    choice: Choice,
}

/// What guests of this machine run under. It takes some seconds the first time after a boot.
pub(crate) fn choose(image: &Image) -> Result<Choice, LabError> {
    if !Path::new(KVM).exists() {
        return Ok(tcg(format!("there is no {KVM}")));
    }
    let path = run_folder().join("guest-accelerator.json");
    // Who asks meanwhile waits for the answer instead of trying too.
    let _turn = lock(&path.with_extension("lock"))?;
    let boot = fs::read_to_string(BOOT_ID).unwrap_or_default();
    if let Some(choice) = remembered(&path, &boot) {
        return Ok(choice);
    }
    let choice = try_kvm(image)?;
    let text = serde_json::to_vec(&Remembered { boot, choice: choice.clone() }).unwrap_or_default();
    fs::write(&path, text).map_err(|source| LabError::File { action: "write", path: PathBuf::from(&path), source })?;
    Ok(choice)
}

/// What was found out since the machine was booted, if it was.
fn remembered(path: &Path, boot: &str) -> Option<Choice> {
    let remembered: Remembered = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (remembered.boot == boot).then_some(remembered.choice)
}

fn tcg(because: String) -> Choice {
    Choice { accelerator: Accelerator::Tcg, because: Some(because) }
}

/// Starts a guest under KVM that ends by itself when it is up.
fn try_kvm(image: &Image) -> Result<Choice, LabError> {
    let mut command = Command::new(QEMU);
    command.args(qemu::machine(image, Accelerator::Kvm, 128, 1, "netvirt.probe")).args(["-serial", "stdio"]);
    command.stdin(Stdio::null());
    let tried = run_limited(&mut command, TRIAL_LIMIT).map_err(qemu::not_started)?;
    if tried.stdout.contains(UP) {
        return Ok(Choice { accelerator: Accelerator::Kvm, because: None });
    }
    Ok(tcg(match tried.status {
        None => format!("{KVM} is there, but a guest under it does not come up within {} s", TRIAL_LIMIT.as_secs()),
        Some(status) => {
            let words = tried.stderr.lines().next().unwrap_or("without a word").trim();
            format!("{KVM} is there, but QEMU ends under it ({status}): {words}")
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_until_the_next_boot() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answer.json");
        assert_eq!(remembered(&path, "one"), None);
        let choice = tcg("it hangs".to_owned());
        let text = serde_json::to_vec(&Remembered { boot: "one".to_owned(), choice: choice.clone() }).unwrap();
        fs::write(&path, text).unwrap();
        assert_eq!(remembered(&path, "one"), Some(choice));
        assert_eq!(remembered(&path, "two"), None);
        fs::write(&path, "{").unwrap();
        assert_eq!(remembered(&path, "one"), None);
    }
}
