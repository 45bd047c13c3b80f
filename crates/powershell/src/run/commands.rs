//! Commands and pipelines: each object goes through all stages before the next one comes.

use std::collections::HashMap;
use std::rc::Rc;

use super::{Emit, Shell, Stop};
use crate::cmdlets::bind::{self, Bound, Given};
use crate::cmdlets::{self, Call, Cmdlet, Style};
use crate::syntax::Known;
use crate::syntax::tree::{Argument, Block, Callee, Command, Function, Parameter, Pipeline, Place, Simple, Stage};
use crate::value::Value;

/// What can be called.
pub(super) struct Callable<'a> {
    pub(super) functions: &'a HashMap<String, Rc<Function>>,
}

impl Known for Callable<'_> {
    fn command(&self, name: &str) -> bool {
        self.functions.contains_key(name) || cmdlets::find(name).is_some()
    }

    fn wrong_parameter(&self, command: &str, parameter: &str) -> Option<String> {
        if self.functions.contains_key(command) {
            return None;
        }
        bind::find(cmdlets::find(command)?, parameter).err()
    }

    fn similar(&self, name: &str) -> Option<String> {
        let functions = self.functions.values().map(|function| function.name.as_str());
        let known = cmdlets::all().map(|cmdlet| cmdlet.name).chain(functions);
        let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&known.to_lowercase(), name);
        let (likeness, best) =
            known.map(|known| (likeness(known), known)).max_by(|one, other| one.0.total_cmp(&other.0))?;
        (likeness >= SIMILAR).then(|| best.to_owned())
    }
}

/// How much alike two names are, of 1, so that one may be meant by the other: two letters in ten are wrong at most.
const SIMILAR: f64 = 0.8;

/// The arguments of a script as a shell gives them: `-Name value`, `-Switch`, `value`.
pub(super) fn of_command_line(arguments: &[String]) -> Vec<Given> {
    let mut given = Vec::new();
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        given.push(match parameter_name(argument) {
            None => Given::Positional(of_text(argument)),
            Some(name) => match name.split_once(':') {
                Some((name, value)) => Given::Named(name.to_owned(), Some(of_text(value)), true),
                None => {
                    let value = rest.next_if(|next| parameter_name(next).is_none()).map(|value| of_text(value));
                    Given::Named(name.to_owned(), value, false)
                }
            },
        });
    }
    given
}

/// The name of a parameter out of a shell; a number below zero is none.
fn parameter_name(argument: &str) -> Option<&str> {
    argument.strip_prefix('-').filter(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()))
}

/// A value out of a shell: several with commas between are an array.
fn of_text(text: &str) -> Value {
    let one = |text: &str| match text.to_lowercase().as_str() {
        "$true" => Value::Boolean(true),
        "$false" => Value::Boolean(false),
        "$null" => Value::Null,
        _ => match crate::syntax::bare_argument(text) {
            Some(number) => number,
            None => Value::text(text),
        },
    };
    if text.contains(',') { Value::array(text.split(',').map(one).collect()) } else { one(text) }
}

/// A stage that is being carried out.
enum Running<'p> {
    Cmdlet { cmdlet: &'static Cmdlet, bound: Bound, collected: Vec<Value>, before: usize, command: &'p Command },
    Function { function: Rc<Block>, name: String, given: Vec<Given>, command: &'p Command, called: bool },
}

impl Running<'_> {
    const fn command(&self) -> &Command {
        match self {
            Self::Cmdlet { command, .. } | Self::Function { command, .. } => command,
        }
    }

    /// What `-ErrorAction` says, if it was given.
    fn error_action(&self) -> Option<String> {
        match self {
            Self::Cmdlet { bound, .. } => bound.text("ErrorAction"),
            Self::Function { given, .. } => given.iter().find_map(|given| match given {
                Given::Named(name, Some(value), _) if is_error_action(name) => Some(value.to_text()),
                _ => None,
            }),
        }
    }
}

impl Shell {
    pub(crate) fn pipeline(&mut self, pipeline: &Pipeline, at: Place, emit: &mut Emit<'_>) -> Result<(), Stop> {
        self.pipelines += 1;
        let number = self.pipelines;
        let (source, commands) = match pipeline.stages.split_first() {
            Some((Stage::Expression(expression), rest)) => (Some(expression), rest),
            _ => (None, pipeline.stages.as_slice()),
        };
        let mut stages = Vec::with_capacity(commands.len());
        for stage in commands {
            if let Stage::Command(command) = stage {
                match self.prepare(command) {
                    Ok(running) => stages.push(running),
                    Err(stop) => {
                        let action = self.error_action(command)?;
                        return self.complained(action, command.discard.errors, stop);
                    }
                }
            }
        }
        let result = match source {
            Some(expression) => {
                let value = self.evaluate(expression)?;
                // Nothing is an object too where it stands by itself.
                let items = if matches!(value, Value::Null) { vec![value] } else { value.items() };
                items.into_iter().try_for_each(|item| self.push(&mut stages, number, item, emit))
            }
            None => self.first(&mut stages, number, at, emit),
        };
        match result {
            Err(Stop::Enough(which)) if which == number => {}
            other => other?,
        }
        for stage in 0..stages.len() {
            let (this, behind) = stages.split_at_mut(stage + 1);
            let ended = match this.last_mut() {
                Some(this) => self.end(this, behind, number, emit),
                None => Ok(()),
            };
            match ended {
                Err(Stop::Enough(which)) if which == number => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// What went wrong in a command is told, and the script goes on, unless it was said to stop.
    fn complained(&mut self, action: Option<String>, discard: bool, stop: Stop) -> Result<(), Stop> {
        let Stop::Failed(failure) = stop else { return Err(stop) };
        let action = action.unwrap_or_else(|| self.variable("erroractionpreference").to_text());
        match action.to_lowercase().as_str() {
            "stop" | "1" => Err(Stop::Thrown(failure)),
            "silentlycontinue" | "ignore" | "0" | "4" => Ok(()),
            _ if discard || self.quiet > 0 => Ok(()),
            _ => {
                self.complain(&failure);
                Ok(())
            }
        }
    }

    /// What `-ErrorAction` says where the arguments could not be bound.
    fn error_action(&mut self, command: &Command) -> Result<Option<String>, Stop> {
        let said = command.arguments.iter().find_map(|argument| match argument {
            Argument::Named { name, value: Some(value), .. } if is_error_action(name) => Some(value),
            _ => None,
        });
        said.map(|value| self.evaluate(value).map(|value| value.to_text())).transpose()
    }

    fn prepare<'p>(&mut self, command: &'p Command) -> Result<Running<'p>, Stop> {
        let given = self.given(&command.arguments)?;
        match &command.callee {
            Callee::Block(expression) => match self.evaluate(expression)? {
                Value::Script(function) => Ok(Running::Function {
                    function,
                    name: "the script block".to_owned(),
                    given,
                    command,
                    called: false,
                }),
                Value::Text(name) => self.prepare_named(&name, given, command),
                other => Self::fail(
                    command.at,
                    format!("{} cannot be called; & takes a script block or a name", other.sort()),
                ),
            },
            Callee::Name(name) => self.prepare_named(name, given, command),
        }
    }

    fn prepare_named<'p>(&mut self, name: &str, given: Vec<Given>, command: &'p Command) -> Result<Running<'p>, Stop> {
        if let Some(function) = self.functions.get(&name.to_lowercase()) {
            let function = function.block.clone();
            return Ok(Running::Function { function, name: name.to_owned(), given, command, called: false });
        }
        let Some(cmdlet) = cmdlets::find(name) else {
            return Self::fail(command.at, format!("the function {name} is not defined yet here"));
        };
        let bound = bind::command_line(cmdlet, &given).or_else(|message| Self::fail(command.at, message));
        let bound = self.binding(bound)?;
        Ok(Running::Cmdlet { cmdlet, bound, collected: Vec::new(), before: 0, command })
    }

    fn given(&mut self, arguments: &[Argument]) -> Result<Vec<Given>, Stop> {
        let mut given = Vec::new();
        for argument in arguments {
            match argument {
                Argument::Positional(expression, _) => given.push(Given::Positional(self.evaluate(expression)?)),
                Argument::Named { name, value, tied, .. } => {
                    let value = value.as_ref().map(|value| self.evaluate(value)).transpose()?;
                    given.push(Given::Named(name.clone(), value, *tied));
                }
                Argument::Splat(name, at) => match self.variable(name) {
                    Value::Table(table) => given.extend(
                        table
                            .borrow()
                            .entries
                            .iter()
                            .map(|(name, value)| Given::Named(name.to_string(), Some(value.clone()), true)),
                    ),
                    Value::Null => {
                        return Self::fail(*at, format!("@{name} is $null; it takes a hash table or an array"));
                    }
                    other => given.extend(other.items().into_iter().map(Given::Positional)),
                },
            }
        }
        Ok(given)
    }

    /// The first stage, which has no input.
    fn first(&mut self, stages: &mut [Running<'_>], number: u64, at: Place, emit: &mut Emit<'_>) -> Result<(), Stop> {
        let Some((first, behind)) = stages.split_first_mut() else { return Ok(()) };
        let result = match first {
            Running::Function { function, name, given, command, called } => {
                *called = true;
                let (function, name, given) = (function.clone(), name.clone(), given.clone());
                let out = &mut |shell: &mut Self, value| shell.output(command, behind, number, value, emit);
                self.call(&function, &name, &given, at, out)
            }
            Running::Cmdlet { cmdlet, bound, command, .. } => {
                let out = &mut |shell: &mut Self, value| shell.output(command, behind, number, value, emit);
                self.call_cmdlet(cmdlet, bound, None, 0, number, command, out)
            }
        };
        // A cmdlet has carried out nothing more than it could; those behind it get their end.
        let discard = first.command().discard.errors;
        result.or_else(|stop| self.complained(first.error_action(), discard, stop))
    }

    /// One object goes into the first of some stages.
    fn push(&mut self, stages: &mut [Running<'_>], number: u64, value: Value, emit: &mut Emit<'_>) -> Result<(), Stop> {
        let Some((first, behind)) = stages.split_first_mut() else { return emit(self, value) };
        let result = match first {
            Running::Cmdlet { cmdlet, collected, .. } if cmdlet.style == Style::All => {
                self.step(self.here(), 1)?;
                collected.push(value);
                return Ok(());
            }
            Running::Cmdlet { cmdlet, bound, before, command, .. } => {
                let mut bound = bound.clone();
                let count = *before;
                *before += 1;
                match bind::piped(cmdlet, &mut bound, &value) {
                    Ok(()) => {
                        let out = &mut |shell: &mut Self, value| shell.output(command, behind, number, value, emit);
                        self.call_cmdlet(cmdlet, &bound, Some(vec![value]), count, number, command, out)
                    }
                    Err(message) => Self::fail(command.at, message),
                }
            }
            Running::Function { name, command, .. } => {
                let message =
                    format!("{name} takes nothing from the pipeline; give it as an argument, or use ForEach-Object");
                return Self::fail(command.at, message);
            }
        };
        let discard = first.command().discard.errors;
        result.or_else(|stop| self.complained(first.error_action(), discard, stop))
    }

    /// All input was seen.
    fn end(
        &mut self,
        stage: &mut Running<'_>,
        behind: &mut [Running<'_>],
        number: u64,
        emit: &mut Emit<'_>,
    ) -> Result<(), Stop> {
        let Running::Cmdlet { cmdlet, bound, collected, command, .. } = stage else { return Ok(()) };
        if cmdlet.style != Style::All {
            return Ok(());
        }
        let input = std::mem::take(collected);
        let out = &mut |shell: &mut Self, value| shell.output(command, behind, number, value, emit);
        let result = self.call_cmdlet(cmdlet, bound, Some(input), 0, number, command, out);
        let discard = command.discard.errors;
        result.or_else(|stop| self.complained(stage.error_action(), discard, stop))
    }

    fn output(
        &mut self,
        command: &Command,
        behind: &mut [Running<'_>],
        number: u64,
        value: Value,
        emit: &mut Emit<'_>,
    ) -> Result<(), Stop> {
        self.step(command.at, 1)?;
        if command.discard.output { Ok(()) } else { self.push(behind, number, value, emit) }
    }

    #[allow(clippy::too_many_arguments)] // They are one call's.
    fn call_cmdlet(
        &mut self,
        cmdlet: &'static Cmdlet,
        bound: &Bound,
        input: Option<Vec<Value>>,
        before: usize,
        pipeline: u64,
        command: &Command,
        out: &mut Emit<'_>,
    ) -> Result<(), Stop> {
        // With all input at the end, being the first is to have none.
        if cmdlet.style == Style::All && input.is_none() && before == 0 && !bound.has("InputObject") {
            return Ok(());
        }
        self.binding(bind::whole(cmdlet, bound).or_else(|message| Self::fail(command.at, message)))?;
        let quiet = usize::from(command.discard.errors);
        self.quiet += quiet;
        let call = Call { cmdlet, bound, at: command.at, input, before, pipeline };
        let result = self.deeper(command.at, |shell| (cmdlet.run)(shell, &call, out));
        self.quiet -= quiet;
        result
    }

    /// Calls a function or a script block with arguments.
    pub(crate) fn call(
        &mut self,
        block: &Rc<Block>,
        name: &str,
        given: &[Given],
        at: Place,
        emit: &mut Emit<'_>,
    ) -> Result<(), Stop> {
        let variables = self.bind_parameters(&block.parameters, given, at, name);
        let variables = self.binding(variables)?;
        let result =
            self.in_scope(variables, |shell| shell.deeper(at, |shell| shell.statements(&block.statements, emit)));
        match result {
            Err(Stop::Return) => Ok(()),
            other => other,
        }
    }

    /// Carries out a script block of a cmdlet in the scope of the script, with `$_`.
    pub(crate) fn call_with(&mut self, block: &Rc<Block>, item: Value, emit: &mut Emit<'_>) -> Result<(), Stop> {
        let before = self.variable("_");
        self.assign("_", item);
        let result = self.statements(&block.statements, emit);
        self.assign("_", before);
        match result {
            // `return` in ForEach-Object ends this turn.
            Err(Stop::Return) => Ok(()),
            other => other,
        }
    }

    /// The value of a script block of a cmdlet for an object.
    pub(crate) fn value_with(&mut self, block: &Rc<Block>, item: Value) -> Result<Value, Stop> {
        let mut items = Vec::new();
        self.call_with(block, item, &mut |_, value| {
            items.push(value);
            Ok(())
        })?;
        Ok(Value::collected(items))
    }

    /// The variables that the parameters of a function, a script block or a script are.
    pub(crate) fn bind_parameters(
        &mut self,
        parameters: &[Parameter],
        given: &[Given],
        at: Place,
        name: &str,
    ) -> Result<HashMap<String, Value>, Stop> {
        let mut values: HashMap<String, Value> = HashMap::new();
        let mut positional = Vec::new();
        for argument in given {
            match argument {
                Given::Positional(value) => positional.push(value.clone()),
                Given::Named(given, value, tied) => {
                    let Some(parameter) = parameter(parameters, given) else {
                        let known: Vec<String> = parameters.iter().map(|it| format!("-{}", it.name)).collect();
                        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                        return wrong(at, name, format!("there is no parameter -{given}; it has {known}"));
                    };
                    let is_switch = parameter.cast.is_some_and(|cast| cast.to == Simple::Switch);
                    let value = match value {
                        None if is_switch => Value::Boolean(true),
                        None => return wrong(at, name, format!("-{} has no argument; give it one", parameter.name)),
                        Some(value) if is_switch && !tied => {
                            positional.push(value.clone());
                            Value::Boolean(true)
                        }
                        Some(value) => value.clone(),
                    };
                    values.insert(parameter.name.to_lowercase(), value);
                }
            }
        }
        let mut positional = positional.into_iter();
        for parameter in parameters {
            let is_switch = parameter.cast.is_some_and(|cast| cast.to == Simple::Switch);
            let key = parameter.name.to_lowercase();
            if !is_switch
                && !values.contains_key(&key)
                && let Some(value) = positional.next()
            {
                values.insert(key, value);
            }
        }
        let left: Vec<Value> = positional.collect();
        if let (Some(first), false) = (left.first(), parameters.is_empty()) {
            return wrong(at, name, format!("it takes no argument \"{}\" besides the others", first.to_text()));
        }
        values.insert("args".to_owned(), Value::array(left));
        for parameter in parameters {
            let key = parameter.name.to_lowercase();
            let value = match (values.remove(&key), &parameter.default) {
                (Some(value), _) => value,
                (None, _) if parameter.mandatory => return wrong(at, name, format!("it needs -{}", parameter.name)),
                (None, Some(default)) => self.evaluate(default)?,
                (None, None) if parameter.cast.is_some_and(|cast| cast.to == Simple::Switch) => Value::Boolean(false),
                (None, None) => {
                    values.insert(key, Value::Null);
                    continue;
                }
            };
            let value = match parameter.cast {
                Some(cast) => {
                    value.cast(cast).or_else(|message| wrong(at, name, format!("-{}: {message}", parameter.name)))?
                }
                None => value,
            };
            values.insert(key, value);
        }
        Ok(values)
    }

    /// Tells a failure of one of several things that a cmdlet does, and goes on with the others.
    pub(crate) fn tell(&mut self, call: &Call<'_>, message: impl std::fmt::Display) -> Result<(), Stop> {
        self.complained(call.bound.text("ErrorAction"), false, call.failure(message))
    }
}

/// What is wrong with the arguments of a function.
fn wrong<T>(at: Place, name: &str, message: impl std::fmt::Display) -> Result<T, Stop> {
    Shell::fail(at, format!("{name}: {message}"))
}

fn is_error_action(name: &str) -> bool {
    name.eq_ignore_ascii_case("erroraction") || name.eq_ignore_ascii_case("ea")
}

/// The parameter of a name, or of the beginning of one that no other has.
fn parameter<'p>(parameters: &'p [Parameter], name: &str) -> Option<&'p Parameter> {
    if let Some(exact) = parameters.iter().find(|it| it.name.eq_ignore_ascii_case(name)) {
        return Some(exact);
    }
    let lower = name.to_lowercase();
    let mut fitting = parameters.iter().filter(|it| it.name.to_lowercase().starts_with(&lower));
    fitting.next().filter(|_| fitting.next().is_none())
}
