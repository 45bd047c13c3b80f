//! The prompt: lines with history, completion, and lines that go on while something is open.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use powershell::cmdlets::{self, bind};
use powershell::run::Shell;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper};

const PROMPT: &str = "PS netvirt> ";

/// What completes and validates lines.
#[derive(Default)]
struct Assistant {
    functions: Vec<String>,
    variables: Vec<String>,
}

impl Assistant {
    /// What the word before the cursor can become, and where it begins.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        let start =
            line.rfind(|letter: char| letter.is_whitespace() || "|;({=,".contains(letter)).map_or(0, |at| at + 1);
        let word = &line[start..];
        let lower = word.to_lowercase();
        let fitting = |all: Vec<String>| -> Vec<String> {
            let mut fitting: Vec<String> = all.into_iter().filter(|it| it.to_lowercase().starts_with(&lower)).collect();
            fitting.sort_unstable();
            fitting.dedup();
            fitting
        };
        if word.starts_with('$') {
            let names = self.variables.iter().map(String::as_str).chain(["true", "false", "null"]);
            return (start, fitting(names.map(|name| format!("${name}")).collect()));
        }
        if word.starts_with('-') {
            let command =
                line[..start].rsplit(['|', ';', '(', '{', '=']).next().and_then(|part| part.split_whitespace().next());
            let parameters = command.and_then(cmdlets::find).map(|cmdlet| {
                bind::parameters(cmdlet).map(|parameter| format!("-{}", parameter.name)).collect::<Vec<_>>()
            });
            return (start, fitting(parameters.unwrap_or_default()));
        }
        let names = cmdlets::all().map(|cmdlet| cmdlet.name.to_owned()).chain(self.functions.iter().cloned());
        (start, if word.is_empty() { Vec::new() } else { fitting(names.collect()) })
    }
}

impl Helper for Assistant {}
impl Highlighter for Assistant {}
impl Hinter for Assistant {
    type Hint = String;
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(line.get(..position).unwrap_or_default()))
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let open = powershell::syntax::is_open(context.input());
        Ok(if open { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

/// Where lines are remembered.
fn history() -> Option<PathBuf> {
    let folder = std::env::home_dir()?.join(".local/share/netvirt");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("powershell-history"))
}

/// Ctrl-C ends the command, not the prompt; pressed again before that has come to its end, it ends the program.
fn watch(interrupted: Arc<AtomicBool>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("ctrl-c".to_owned()).spawn(move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if interrupted.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
            }
        });
    })?;
    Ok(())
}

/// Reads commands and carries them out until the end of the input, or `exit`; its code.
pub fn run(shell: &mut Shell) -> i64 {
    let mut editor = match Editor::<Assistant, DefaultHistory>::new() {
        Ok(editor) => editor,
        Err(error) => {
            shell.console.complain(&format!("cannot read from the terminal: {error}"));
            return 1;
        }
    };
    let history = history();
    if let Some(path) = &history {
        // There is none at first.
        let _ = editor.load_history(path);
    }
    shell.file = "prompt".to_owned();
    if let Err(error) = watch(shell.interrupted.clone()) {
        shell.console.complain(&format!("Ctrl-C ends the prompt, not a command alone: {error}"));
    }
    let mut code = 0;
    loop {
        editor.set_helper(Some(Assistant { functions: shell.function_names(), variables: shell.variable_names() }));
        shell.console.settle();
        let line = match editor.readline(PROMPT) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => {
                shell.console.complain(&format!("cannot read from the terminal: {error}"));
                code = 1;
                break;
            }
        };
        if line.trim().is_empty() {
            continue;
        }
        // A line that cannot be remembered can be carried out all the same.
        let _ = editor.add_history_entry(&line);
        match shell.parse(&line) {
            Ok(block) => {
                let ended = shell.run(&block, &[]);
                code = ended.code;
                if ended.by_exit {
                    break;
                }
            }
            Err(mistakes) => {
                mistakes.iter().for_each(|mistake| shell.console.complain(&mistake.in_file("prompt")));
                code = 1;
            }
        }
    }
    if let Some(path) = &history {
        // As above.
        let _ = editor.save_history(path);
    }
    code
}

/// Asks yes or no at the terminal; anything else than yes is no.
pub fn confirm(question: &str) -> Option<bool> {
    let mut editor = rustyline::DefaultEditor::new().ok()?;
    let answer = editor.readline(&format!("{question}\n[Y] Yes  [N] No  (default is \"N\"): ")).ok()?;
    Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// The columns of the terminal.
pub fn width() -> Option<usize> {
    let mut editor = rustyline::DefaultEditor::new().ok()?;
    editor.dimensions().map(|(columns, _)| usize::from(columns)).filter(|columns| *columns > 20)
}

#[cfg(test)]
mod tests {
    use super::Assistant;

    #[test]
    fn cmdlets_parameters_and_variables_are_completed() {
        let assistant = Assistant { functions: vec!["Add-Blue".into()], variables: vec!["nic".into()] };
        let of = |line: &str| assistant.candidates(line);
        assert_eq!(of("get-netvirtualizationg").1, ["Get-NetVirtualizationGlobal"]);
        assert_eq!(of("Get-VM | where").1, ["Where-Object"]);
        assert_eq!(of("$x = New-NetVirtualizationCustomerRoute -Met"), (40, vec!["-Metric".to_owned()]));
        assert_eq!(of("Add-B").1, ["Add-Blue"]);
        assert_eq!(of("Write-Host $n"), (11, vec!["$nic".to_owned(), "$null".to_owned()]));
        assert!(of("Nonsense -").1.is_empty() && of("").1.is_empty());
    }
}
