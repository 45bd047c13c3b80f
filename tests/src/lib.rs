//! What the end-to-end tests share. Each file of `tests/` tells one story.

pub mod browser;
pub mod capture;
pub mod clients;
pub mod cloud;
pub mod fabric;
pub mod flood;
pub mod frames;
pub mod libvirtd;
pub mod open_vswitch;
pub mod refusal;
pub mod rest;
pub mod site;
pub mod stage;
pub mod tools;

use std::path::Path;
use std::process::Command;

/// Folders that hold no work of ours, for a project without git.
const FOREIGN: [&str; 4] = [".git", ".tools", "target", "node_modules"];

/// The files of the project, relative to its root: what git tracks or would add, else all that lies there.
pub fn project_files(root: &Path) -> Vec<String> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").arg("-C").arg(root).args(arguments).output();
    let mut files = match listed {
        Ok(output) if root.join(".git").exists() && output.status.success() => {
            let names = String::from_utf8_lossy(&output.stdout);
            names.split_terminator('\0').map(str::to_owned).collect()
        }
        _ => {
            let mut files = Vec::new();
            walk(root, "", &mut files);
            files
        }
    };
    files.retain(|path| root.join(path).is_file());
    files.sort();
    files.dedup();
    files
}

fn walk(root: &Path, folder: &str, files: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !FOREIGN.contains(&name.as_str()) => walk(root, &path, files),
            Ok(kind) if kind.is_file() => files.push(path),
            _ => {}
        }
    }
}
