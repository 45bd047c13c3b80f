//! Scripts over hosts in memory.
#![allow(dead_code)] // Each test file uses its part.

use powershell::memory::{Host, Kept, Memory, interface};
use powershell::run::Shell;

/// A shell over the local host and two others, H1 and H2, each with lo, eth0 and eth1.
pub struct Bench {
    pub memory: Memory,
    pub shell: Shell,
    pub kept: Kept,
}

/// Carries out a test with the stack that scripts may need.
pub fn test(act: impl FnOnce() + Send) {
    powershell::run::with_stack(act).expect("a thread");
}

/// What a script printed, what it complained of, and its code.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub out: String,
    pub complaints: Vec<String>,
    pub code: i64,
}

impl Bench {
    pub fn new() -> Self {
        let host = || Host {
            interfaces: vec![interface("lo", 1), interface("eth0", 2), interface("eth1", 3)],
            ..Host::default()
        };
        Self::over(Memory::of([("", host()), ("H1", host()), ("H2", host())]))
    }

    pub fn over(memory: Memory) -> Self {
        let kept = Kept::default();
        let mut shell = Shell::new(Box::new(memory.clone()), Box::new(kept.clone()));
        shell.file = "s.ps1".to_owned();
        Self { memory, shell, kept }
    }

    /// Runs a script.
    pub fn run(&mut self, script: &str) -> Ran {
        self.run_with(script, &[])
    }

    pub fn run_with(&mut self, script: &str, arguments: &[&str]) -> Ran {
        let code = match self.shell.parse(script) {
            Ok(block) => {
                let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
                self.shell.run(&block, &arguments).code
            }
            Err(mistakes) => {
                let told = mistakes.iter().map(|mistake| mistake.in_file("s.ps1"));
                self.kept.complaints.borrow_mut().extend(told);
                2
            }
        };
        Ran { out: self.kept.out.take(), complaints: self.kept.complaints.take(), code }
    }

    /// What a script prints, when all goes well.
    #[track_caller]
    pub fn out(&mut self, script: &str) -> String {
        let ran = self.run(script);
        assert_eq!((ran.complaints.as_slice(), ran.code), (&[][..], 0), "{script}\n{}", ran.out);
        ran.out
    }

    /// What a script complains of before or while it runs.
    #[track_caller]
    pub fn complaint(&mut self, script: &str) -> String {
        let ran = self.run(script);
        assert!(!ran.complaints.is_empty() && ran.code != 0, "{script}: {ran:?}");
        ran.complaints.join("\n")
    }
}
