//! Who may depend on whom: reads the dependencies of every crate and keeps the tiers that `ARCHITECTURE.md` draws.
//!
//! Each rule is a function from the crates to the sentences that say what breaks it, and is itself tested on a graph
//! made up to break it.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::path::{Path, PathBuf};

/// A crate of the project and what its `Cargo.toml` asks for, of every kind.
struct Crate {
    name: String,
    needs: Vec<Need>,
}

struct Need {
    name: String,
    kind: DependencyKind,
}

/// The lowest tier is 0. A crate may use those of lower tiers.
const TIERS: [&[&str]; 5] = [
    &["pipeline"],
    &["model", "plan", "dhcp"],
    &["store", "api", "proto", "datapath", "host", "powershell", "qemu"],
    &["controller", "agent", "gateway", "cni", "cli", "console"],
    &["netvirt"],
];

/// The arrows inside a tier.
const SIDEWAYS: [(&str, &str); 2] = [("plan", "model"), ("dhcp", "model")];

/// Stands beside the tiers, over tier 2: builds whole deployments out of namespaces.
const LAB: &str = "lab";
const LAB_TIER: usize = 2;
const LAB_USERS: [&str; 3] = ["cli", "tests", "benches"];

/// They stand over everything, and nothing may stand on them.
const OUTERMOST: [&str; 2] = ["tests", "benches"];

/// The kernel programs, whose crate is no member of the workspace.
const KERNEL: &str = "netvirt-ebpf";

/// What of the outside world has one owner: the crates that speak it (a trailing `*` stands for anything), who may use
/// them, and what is being owned.
const OWNED: &[(&[&str], &[&str], &str)] = &[
    (&["aya-ebpf*"], &[KERNEL], "the kernel's side of BPF"),
    (&["aya", "aya-obj", "aya-log*", "libbpf*"], &["datapath"], "the loading and filling of kernel programs"),
    (&["rtnetlink", "netlink-*", "genetlink", "neli*"], &["host"], "netlink"),
    (&["redb", "etcd-client"], &["store"], "what is kept on disk"),
    (&["tonic*", "prost*", "protox*"], &["proto"], "the protocol between controller and agent"),
    (
        &["axum*", "hyper", "http-body*", "reqwest", "tower-http"],
        &["api", "controller", "console"],
        "the northbound interface, which others use through the client in \"api\"",
    ),
    (&["openidconnect", "oauth2", "ureq"], &["console"], "the questions to identity providers"),
    (&["hyper-util"], &["api", "controller", "console", "proto"], "HTTP, and gRPC over it"),
];

/// All sentences, one a broken rule and arrow.
fn broken(crates: &[Crate]) -> Vec<String> {
    let rules = [placed, upward, sideways, roles, lab, outermost, pipeline_alone, kernel_alone, owned];
    rules.iter().flat_map(|rule| rule(crates)).collect()
}

fn tier(name: &str) -> Option<usize> {
    TIERS.iter().position(|tier| tier.contains(&name))
}

/// Whether the project has a crate of this name that these rules know.
fn known(name: &str) -> bool {
    tier(name).is_some() || name == LAB || name == KERNEL || OUTERMOST.contains(&name)
}

/// Every arrow between two different crates of the project. A crate that names itself, to turn on a feature in its
/// tests, draws no arrow.
fn arrows(crates: &[Crate]) -> impl Iterator<Item = (&str, &str)> {
    let ours = move |name: &str| crates.iter().any(|member| member.name == name);
    crates
        .iter()
        .flat_map(|member| member.needs.iter().map(|need| (member.name.as_str(), need.name.as_str())))
        .filter(move |(from, to)| from != to && ours(to))
}

fn placed(crates: &[Crate]) -> Vec<String> {
    let strangers = crates.iter().filter(|member| !known(&member.name));
    strangers
        .map(|member| {
            let name = &member.name;
            format!(
                "\"{name}\" has no place in the tiers; give it one in ARCHITECTURE.md and in tests/tests/tiers.rs, or \
                 let it be a module"
            )
        })
        .collect()
}

fn upward(crates: &[Crate]) -> Vec<String> {
    arrows(crates)
        .filter_map(|(from, to)| {
            let (below, above) = (tier(from)?, tier(to)?);
            (below < above).then(|| {
                format!(
                    "\"{from}\" (tier {below}) depends on \"{to}\" (tier {above}), but arrows never point up; move what \
                     \"{from}\" needs of it into tier {below} or lower"
                )
            })
        })
        .collect()
}

/// Tests may bring neighbours together: their needs are not looked at here.
fn sideways(crates: &[Crate]) -> Vec<String> {
    let needed = |from: &str, to: &str| {
        let member = crates.iter().find(|member| member.name == from);
        let kinds = member.into_iter().flat_map(|member| &member.needs).filter(|need| need.name == to);
        kinds.into_iter().any(|need| need.kind != DependencyKind::Development)
    };
    arrows(crates)
        .filter(|(from, to)| needed(from, to))
        .filter(|arrow| !SIDEWAYS.contains(arrow))
        .filter_map(|(from, to)| {
            let level = tier(from).filter(|level| *level != 3 && tier(to) == Some(*level))?;
            Some(format!(
                "\"{from}\" depends on \"{to}\", both of tier {level}; inside a tier only \"plan\" and \"dhcp\" may use \"model\", so \
                 let what they share move down, or let the tier above bring them together"
            ))
        })
        .collect()
}

fn roles(crates: &[Crate]) -> Vec<String> {
    arrows(crates)
        .filter(|(from, to)| tier(from) == Some(3) && tier(to) == Some(3))
        .map(|(from, to)| {
            format!("\"{from}\" depends on \"{to}\", but roles never import each other; they meet through \"api\" and \"proto\"")
        })
        .collect()
}

fn lab(crates: &[Crate]) -> Vec<String> {
    arrows(crates)
        .filter_map(|(from, to)| {
            if to == LAB && !LAB_USERS.contains(&from) {
                Some(format!("\"{from}\" depends on \"lab\", which is there for \"cli\", \"tests\" and \"benches\" alone"))
            } else if from == LAB && tier(to).is_some_and(|level| level > LAB_TIER) {
                Some(format!(
                    "\"lab\" depends on \"{to}\", a crate over tier {LAB_TIER}; the lab starts netvirt as a process, as an \
                     operator does, and links none of its roles"
                ))
            } else {
                None
            }
        })
        .collect()
}

fn outermost(crates: &[Crate]) -> Vec<String> {
    arrows(crates)
        .filter(|(_, to)| OUTERMOST.contains(to) || *to == KERNEL)
        .map(|(from, to)| format!("\"{from}\" depends on \"{to}\", which stands outermost; nothing may stand on it"))
        .collect()
}

fn pipeline_alone(crates: &[Crate]) -> Vec<String> {
    let pipeline = crates.iter().filter(|member| member.name == "pipeline");
    let needs = pipeline.flat_map(|member| &member.needs).filter(|need| need.kind != DependencyKind::Development);
    needs
        .map(|need| {
            let name = &need.name;
            format!("\"pipeline\" depends on \"{name}\", but it is compiled for the kernel too and depends on nothing")
        })
        .collect()
}

fn kernel_alone(crates: &[Crate]) -> Vec<String> {
    let kernel = crates.iter().filter(|member| member.name == KERNEL);
    let needs = kernel.flat_map(|member| &member.needs).filter(|need| !["pipeline", "aya-ebpf"].contains(&&*need.name));
    needs
        .map(|need| {
            let name = &need.name;
            format!(
                "ebpf/ depends on \"{name}\", but it may use \"pipeline\" and \"aya-ebpf\" alone: it carries out what \
                 \"pipeline\" decides"
            )
        })
        .collect()
}

fn owned(crates: &[Crate]) -> Vec<String> {
    let matches = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    };
    let mut sentences = Vec::new();
    for member in crates {
        for need in &member.needs {
            for (foreign, owners, what) in OWNED {
                let (user, name) = (&member.name, &need.name);
                if foreign.iter().any(|pattern| matches(pattern, name)) && !owners.contains(&user.as_str()) {
                    let owners = owners.join("\" or \"");
                    sentences.push(format!("\"{user}\" depends on \"{name}\", but \"{owners}\" owns {what}"));
                }
            }
        }
    }
    sentences
}

/// Every call that moves a process into other namespaces, in sources outside of `host`. The crate nix itself is used
/// for signals and files elsewhere, so that its dependency alone tells nothing.
fn namespace_calls(path: &str, text: &str) -> Vec<String> {
    if path.starts_with("crates/host/") {
        return Vec::new();
    }
    // Spelt in two halves, or this file would be found. The scheduler's calls, of the same module of nix, are anybody's.
    let calls = [concat!("set", "ns("), concat!("un", "share("), concat!("Clone", "Flags")];
    let found = calls.iter().filter(|call| text.contains(**call));
    found.map(|call| format!("{path} uses {call}, but \"host\" alone enters namespaces; use its functions")).collect()
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("the tests stand inside the project")
}

fn read(manifest: &Path) -> Vec<Crate> {
    let mut command = MetadataCommand::new();
    let metadata = command.manifest_path(manifest).no_deps().exec().expect("cargo describes the project");
    let package = |package: cargo_metadata::Package| Crate {
        name: package.name.to_string(),
        needs: package.dependencies.into_iter().map(|it| Need { name: it.name, kind: it.kind }).collect(),
    };
    metadata.packages.into_iter().map(package).collect()
}

#[test]
fn the_project_keeps_its_tiers() {
    let mut crates = read(&root().join("Cargo.toml"));
    crates.extend(read(&root().join("ebpf/Cargo.toml")));
    assert!(crates.iter().any(|member| member.name == KERNEL) && crates.len() > 5, "cargo names too few crates");
    let sentences = broken(&crates);
    assert!(sentences.is_empty(), "the tiers are broken:\n{}", sentences.join("\n"));
}

#[test]
fn only_host_enters_namespaces() {
    let sources = tests::project_files(&root()).into_iter().filter(|path| path.ends_with(".rs"));
    let sentences: Vec<String> = sources
        .flat_map(|path| {
            let text = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
            namespace_calls(&path, &text)
        })
        .collect();
    assert!(sentences.is_empty(), "namespaces are entered:\n{}", sentences.join("\n"));
}

#[test]
fn the_lock_of_the_kernel_programs_is_current() {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("ebpf/Cargo.toml")).other_options(["--locked".to_owned()]);
    if let Err(error) = command.exec() {
        panic!("ebpf/Cargo.lock does not fit ebpf/Cargo.toml; build once and commit the lock: {error}");
    }
}

/// A graph out of lines like "plan -> model"; of each name one crate.
fn graph(arrows: &[&str]) -> Vec<Crate> {
    let mut crates: Vec<Crate> = Vec::new();
    let need = |crates: &mut Vec<Crate>, name: &str| match crates.iter().position(|member| member.name == name) {
        Some(at) => at,
        None => {
            crates.push(Crate { name: name.to_owned(), needs: Vec::new() });
            crates.len() - 1
        }
    };
    for arrow in arrows {
        let (from, to) = arrow.split_once(" -> ").expect("an arrow");
        let at = need(&mut crates, from);
        crates[at].needs.push(Need { name: to.to_owned(), kind: DependencyKind::Normal });
        if known(to) {
            need(&mut crates, to);
        }
    }
    crates
}

/// Asserts that exactly one rule speaks, and that its sentence has all of these words.
fn assert_broken(arrow: &str, words: &[&str]) {
    let sentences = broken(&graph(&[arrow]));
    assert_eq!(sentences.len(), 1, "{arrow} gives {sentences:?}");
    for word in words {
        assert!(sentences[0].contains(word), "\"{word}\" is missing in: {}", sentences[0]);
    }
}

#[test]
fn a_sound_graph_breaks_nothing() {
    let sentences = broken(&graph(&[
        "plan -> model",
        "plan -> pipeline",
        "model -> model",
        "datapath -> plan",
        "datapath -> aya",
        "host -> rtnetlink",
        "api -> axum",
        "agent -> datapath",
        "lab -> host",
        "cli -> lab",
        "tests -> agent",
        "netvirt -> cli",
        "netvirt-ebpf -> pipeline",
        "netvirt-ebpf -> aya-ebpf",
    ]));
    assert!(sentences.is_empty(), "{sentences:?}");
}

#[test]
fn each_rule_names_the_arrow_that_breaks_it() {
    assert_broken("model -> api", &["\"model\" (tier 1)", "\"api\" (tier 2)", "never point up"]);
    assert_broken("pipeline-dev -> serde", &["\"pipeline-dev\"", "no place in the tiers"]);
    assert_broken("model -> plan", &["\"model\" depends on \"plan\"", "inside a tier"]);
    assert_broken("api -> host", &["\"api\" depends on \"host\"", "both of tier 2"]);
    assert_broken("cli -> agent", &["\"cli\" depends on \"agent\"", "roles never import each other"]);
    assert_broken("agent -> lab", &["\"agent\" depends on \"lab\"", "alone"]);
    assert_broken("lab -> agent", &["\"lab\" depends on \"agent\"", "over tier 2"]);
    assert_broken("cli -> tests", &["\"cli\" depends on \"tests\"", "outermost"]);
    assert_broken("pipeline -> serde", &["\"pipeline\" depends on \"serde\"", "nothing"]);
    assert_broken("netvirt-ebpf -> serde", &["ebpf/ depends on \"serde\"", "alone"]);
    assert_broken("agent -> aya", &["\"agent\" depends on \"aya\"", "\"datapath\" owns"]);
    assert_broken("lab -> rtnetlink", &["\"lab\" depends on \"rtnetlink\"", "\"host\" owns"]);
    assert_broken("agent -> netlink-packet-route", &["\"host\" owns netlink"]);
    assert_broken("agent -> redb", &["\"store\" owns"]);
    assert_broken("agent -> prost-types", &["\"proto\" owns"]);
    assert_broken("agent -> hyper", &["\"api\" or \"controller\" or \"console\" owns"]);
    assert_broken("agent -> hyper-util", &["\"console\" or \"proto\" owns HTTP"]);
    assert_broken("datapath -> aya-ebpf", &["\"netvirt-ebpf\" owns"]);
}

#[test]
fn tests_of_the_pipeline_may_use_what_they_like() {
    let need = Need { name: "proptest".to_owned(), kind: DependencyKind::Development };
    assert!(broken(&[Crate { name: "pipeline".to_owned(), needs: vec![need] }]).is_empty());
}

#[test]
fn entering_a_namespace_is_found_outside_of_host() {
    let text = concat!("nix::sched::set", "ns(namespace, flags)?;");
    assert_eq!(namespace_calls("lab/src/lib.rs", text).len(), 1);
    assert!(namespace_calls("crates/host/src/namespace.rs", text).is_empty());
}
