//! The style of the house, as far as a machine can see it: headers, lengths, nothing unfinished, licences, no paths of
//! somebody's machine.

use std::fs;
use std::path::{Path, PathBuf};

/// More lines than these are two files.
const LINES: usize = 600;

/// What stands for work not done, spelt in two halves so that this file does not hold it.
const UNFINISHED: [&str; 3] = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[ig", "nore")];

/// Folders that exist on somebody's machine alone.
const PRIVATE: [&str; 3] = [concat!("/wo", "rk"), concat!("/ho", "me"), concat!("/ro", "ot")];

/// What one file breaks.
fn broken(path: &str, text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    if path.ends_with(".rs") {
        if !text.starts_with("//!") {
            sentences.push(format!("{path} does not begin with a \"//!\" header that says its one purpose"));
        }
        let lines = text.lines().count();
        if lines > LINES {
            sentences.push(format!("{path} has {lines} lines; split what has more than {LINES}"));
        }
        for (number, line) in text.lines().enumerate() {
            for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
                sentences.push(format!("{path}:{} has {word}: finish it, or leave it out", number + 1));
            }
        }
    }
    for (number, line) in text.lines().enumerate() {
        for folder in PRIVATE.iter().filter(|folder| names_folder(line, folder)) {
            sentences.push(format!("{path}:{} names {folder}, a folder of one machine", number + 1));
        }
    }
    sentences
}

/// Whether a line names this absolute path or one below it, and not "docs/work", "$root/work" or "/workspace".
fn names_folder(line: &str, folder: &str) -> bool {
    let in_a_name = |c: char| c.is_alphanumeric() || "_-.}{)*/".contains(c);
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + folder.len()..].chars().next();
        !before.is_some_and(in_a_name) && !after.is_some_and(|c| c.is_alphanumeric() || "_-".contains(c))
    })
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the tests stand inside the project")
}

#[test]
fn every_file_is_in_the_style_of_the_house() {
    let files = tests::project_files(&root());
    assert!(files.iter().any(|path| path == "tests/tests/house.rs"), "the list of files is wrong: {files:?}");
    // What is no text, like a picture, has no style.
    let texts = files.iter().filter_map(|path| Some((path, fs::read_to_string(root().join(path)).ok()?)));
    let sentences: Vec<String> = texts.flat_map(|(path, text)| broken(path, &text)).collect();
    assert!(sentences.is_empty(), "{} sentences:\n{}", sentences.len(), sentences.join("\n"));
}

#[test]
fn the_licences_are_there_in_full() {
    for (file, words) in [
        ("LICENSE-APACHE", ["Apache License", "END OF TERMS AND CONDITIONS", "The netvirt authors"]),
        ("LICENSE-MIT", ["MIT License", "WITHOUT WARRANTY OF ANY KIND", "The netvirt authors"]),
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        for word in words {
            assert!(text.contains(word), "{file} lacks \"{word}\"");
        }
    }
    let manifests = tests::project_files(&root()).into_iter().filter(|path| path.ends_with("Cargo.toml"));
    for manifest in manifests {
        let text = fs::read_to_string(root().join(&manifest)).expect("a file just listed");
        let stated = text.contains("license.workspace = true") || text.contains("license = \"Apache-2.0 OR MIT\"");
        assert!(stated, "{manifest} does not state the licence; write \"license.workspace = true\"");
    }
}

#[test]
fn a_file_in_the_style_breaks_nothing() {
    let text = "//! Adds numbers.\nlet path = \"docs/work/x\"; // $HOME/work, {root}/home, /workspace, /homeland\n";
    assert_eq!(broken("crates/x/src/lib.rs", text), Vec::<String>::new());
}

#[test]
fn each_rule_names_the_file_that_breaks_it() {
    let one = |path: &str, text: &str, words: &[&str]| {
        let sentences = broken(path, text);
        assert_eq!(sentences.len(), 1, "{text:.60} gives {sentences:?}");
        assert!(words.iter().all(|word| sentences[0].contains(word)), "{words:?} not in: {}", sentences[0]);
    };
    one("a.rs", "use std::fs;\n", &["a.rs", "header"]);
    one("a.rs", &format!("//! Long.\n{}", "\n".repeat(LINES)), &["601 lines"]);
    for word in UNFINISHED {
        one("a.rs", &format!("//! Short.\n{word}\n"), &["a.rs:2", word]);
    }
    for folder in PRIVATE {
        one("a.md", &format!("See {folder}/me/file."), &["a.md:1", folder]);
        one("a.sh", &format!("cd {folder}"), &["a.sh:1", folder]);
    }
}

#[test]
fn without_git_the_files_are_found_by_walking() {
    let walked = tests::project_files(&root().join("tests"));
    assert!(walked.contains(&"tests/house.rs".to_owned()), "{walked:?}");
    assert!(walked.contains(&"src/lib.rs".to_owned()), "{walked:?}");
}
