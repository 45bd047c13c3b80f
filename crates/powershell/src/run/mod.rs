//! Carrying out a script. How much it may do is bounded: steps, depth, and the size of what it makes.

mod commands;
mod expressions;
mod statements;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::hosts::{Console, Hosts};
use crate::render::Printer;
use crate::syntax::tree::{Block, Function, Place};
use crate::syntax::{self, Mistake};
use crate::value::Value;

/// How many steps a script may take unless more is allowed: minutes on any machine.
pub const MAX_STEPS: u64 = 100_000_000;
/// How deeply functions, blocks and expressions may stand in each other while they are carried out.
const MAX_DEPTH: usize = 1000;

/// How much stack that takes, in bytes; most of it is never touched.
const STACK: usize = 512 << 20;

/// Does something with as much stack as scripts may need: a shell is to be made and used in here.
///
/// # Errors
/// When the system has no thread left for it.
pub fn with_stack<T: Send>(act: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, act)?;
        // What ended it in there ends it here.
        thread.join().or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Where.
    pub at: Place,
    /// What, in a sentence.
    pub message: String,
    /// The cmdlet that says so, if it is one.
    pub cmdlet: Option<&'static str>,
}

impl Failure {
    /// Something that went wrong in the script itself.
    pub(crate) fn new(at: Place, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), cmdlet: None }
    }
}

/// Why what is carried out does not go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// `break`.
    Break,
    /// `continue`.
    Continue,
    /// `return`.
    Return,
    /// `exit`, with its code.
    Exit(i64),
    /// A stage of the pipeline with this number has all that it wants.
    Enough(u64),
    /// A command went wrong: that is told and the script goes on, unless it was said to stop.
    Failed(Failure),
    /// It went wrong, and goes to the `catch` that is next outside, or ends the script.
    Thrown(Failure),
    /// A bound was reached, or somebody stopped it; no `try` holds that.
    Bounded(Failure),
}

impl Stop {
    /// As something that nobody tells on its way out.
    pub(crate) fn thrown(self) -> Self {
        if let Self::Failed(failure) = self { Self::Thrown(failure) } else { self }
    }
}

/// Takes what is output.
pub type Emit<'e> = dyn FnMut(&mut Shell, Value) -> Result<(), Stop> + 'e;

/// What carries out scripts, with the variables and functions that they left.
pub struct Shell {
    /// The hosts.
    pub hosts: Box<dyn Hosts>,
    /// Where it prints.
    pub console: Box<dyn Console>,
    /// What is printed, grouped.
    pub(crate) printer: Printer,
    /// Variables of the script, then those of each function that is being carried out.
    scopes: Vec<HashMap<String, Value>>,
    functions: HashMap<String, Rc<Function>>,
    steps: u64,
    /// See [`MAX_STEPS`].
    pub max_steps: u64,
    depth: usize,
    at: Place,
    pipelines: u64,
    /// Name of the script, for messages.
    pub file: String,
    /// Whether anything went wrong so far that was not foreseen.
    pub failed: bool,
    /// How many times complaints are not told: a command throws its errors away.
    pub(crate) quiet: usize,
    /// Set from outside, as by Ctrl-C, it ends what is carried out.
    pub interrupted: Arc<AtomicBool>,
    /// How many `try` are around what is carried out.
    pub(crate) trying: usize,
    /// What the `catch` around what is carried out have caught.
    pub(crate) caught: Vec<Failure>,
}

/// How a script ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// 0 if all went well, what `exit` said, or 1.
    pub code: i64,
    /// Whether `exit` ended it.
    pub by_exit: bool,
}

impl Shell {
    /// A shell without variables.
    pub fn new(hosts: Box<dyn Hosts>, console: Box<dyn Console>) -> Self {
        Self {
            hosts,
            console,
            printer: Printer::default(),
            scopes: vec![HashMap::new()],
            functions: HashMap::new(),
            steps: 0,
            max_steps: MAX_STEPS,
            depth: 0,
            at: Place::default(),
            pipelines: 0,
            file: "netvirt".to_owned(),
            failed: false,
            quiet: 0,
            interrupted: Arc::default(),
            trying: 0,
            caught: Vec::new(),
        }
    }

    /// Sets a variable of the script.
    pub fn set(&mut self, name: &str, value: Value) {
        self.scopes[0].insert(name.to_lowercase(), value);
    }

    /// The names that can be called here, functions first, for completion.
    pub fn function_names(&self) -> Vec<String> {
        self.functions.values().map(|function| function.name.clone()).collect()
    }

    /// The names of the variables, for completion.
    pub fn variable_names(&self) -> Vec<String> {
        self.scopes[0].keys().cloned().collect()
    }

    /// Reads a script, with what it may call.
    ///
    /// # Errors
    /// All that is wrong with it, before anything is carried out.
    pub fn parse(&self, text: &str) -> Result<Block, Vec<Mistake>> {
        syntax::parse(text, &commands::Callable { functions: &self.functions })
    }

    /// Carries out a script with arguments, as they are typed behind its name.
    pub fn run(&mut self, script: &Block, arguments: &[String]) -> Ended {
        self.steps = 0;
        self.failed = false;
        self.interrupted.store(false, Ordering::Relaxed);
        let result = self.script(script, arguments);
        self.flush();
        match result {
            Ok(()) | Err(Stop::Return | Stop::Break | Stop::Continue | Stop::Enough(_)) => {
                Ended { code: i64::from(self.failed), by_exit: false }
            }
            Err(Stop::Exit(code)) => Ended { code, by_exit: true },
            Err(Stop::Failed(failure) | Stop::Thrown(failure) | Stop::Bounded(failure)) => {
                self.complain(&failure);
                Ended { code: 1, by_exit: false }
            }
        }
    }

    fn script(&mut self, script: &Block, arguments: &[String]) -> Result<(), Stop> {
        let at = Place { line: 1, column: 1 };
        let arguments = commands::of_command_line(arguments);
        let bound = self.bind_parameters(&script.parameters, &arguments, at, "the script")?;
        self.scopes[0].extend(bound);
        self.statements(&script.statements, &mut |shell, value| shell.print(value))
    }

    /// Prints what is output at the end of a pipeline.
    pub(crate) fn print(&mut self, value: Value) -> Result<(), Stop> {
        let width = self.console.width();
        let text = self.printer.take(value, width);
        if !text.is_empty() {
            self.console.print(&text);
        }
        Ok(())
    }

    /// Prints what waits for others of its kind.
    pub(crate) fn flush(&mut self) {
        let text = self.printer.flush(self.console.width());
        if !text.is_empty() {
            self.console.print(&text);
        }
    }

    /// Says what went wrong, and goes on.
    pub(crate) fn complain(&mut self, failure: &Failure) {
        self.failed = true;
        self.flush();
        let cmdlet = failure.cmdlet.map(|name| format!("{name}: ")).unwrap_or_default();
        let text = format!("{}:{}: {cmdlet}{}", self.file, failure.at, failure.message);
        self.console.complain(&text);
    }

    /// Counts steps.
    pub(crate) fn step(&mut self, at: Place, steps: u64) -> Result<(), Stop> {
        if self.interrupted.swap(false, Ordering::Relaxed) {
            return Err(Stop::Bounded(Failure::new(at, "stopped")));
        }
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.max_steps {
            let message = format!(
                "the script has taken {} steps, and would not end; allow more with --max-steps if it is meant to",
                self.max_steps
            );
            return Err(Stop::Bounded(Failure::new(at, message)));
        }
        Ok(())
    }

    /// Goes one level deeper for what is done there.
    pub(crate) fn deeper<T>(&mut self, at: Place, act: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        if self.depth >= MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} functions, blocks and expressions stand in each other here");
            return Err(Stop::Bounded(Failure::new(at, message)));
        }
        self.depth += 1;
        let result = act(self);
        self.depth -= 1;
        result
    }

    pub(crate) fn fail<T>(at: Place, message: impl Into<String>) -> Result<T, Stop> {
        Err(Stop::Failed(Failure::new(at, message)))
    }

    /// What went wrong with the arguments of a command: within a `try` it is caught, else told (`about_Try_Catch_Finally`:
    /// an error that ends a statement).
    pub(crate) fn binding<T>(&self, result: Result<T, Stop>) -> Result<T, Stop> {
        if self.trying > 0 { result.map_err(Stop::thrown) } else { result }
    }

    /// The value of a variable.
    pub(crate) fn variable(&self, name: &str) -> Value {
        match name {
            "true" => return Value::Boolean(true),
            "false" => return Value::Boolean(false),
            "null" => return Value::Null,
            _ => {}
        }
        let scopes = match name.strip_prefix("script:") {
            Some(name) => return self.scopes[0].get(name).cloned().unwrap_or_default(),
            None => self.scopes.iter().rev(),
        };
        scopes.into_iter().find_map(|scope| scope.get(name)).cloned().unwrap_or_default()
    }

    /// Sets a variable where it is said.
    pub(crate) fn assign(&mut self, name: &str, value: Value) {
        let (scope, name) = match name.strip_prefix("script:") {
            Some(name) => (self.scopes.first_mut(), name),
            None => (self.scopes.last_mut(), name),
        };
        if let (Some(scope), false) = (scope, matches!(name, "true" | "false" | "null")) {
            scope.insert(name.to_owned(), value);
        }
    }

    /// Carries out something with variables of its own.
    pub(crate) fn in_scope<T>(
        &mut self,
        variables: HashMap<String, Value>,
        act: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        self.scopes.push(variables);
        let result = act(self);
        self.scopes.pop();
        result
    }
}
