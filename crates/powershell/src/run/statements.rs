//! Statements.

use super::{Emit, Failure, Shell, Stop};
use crate::syntax::tree::{Block, Expression, Kind, Operator, Stage, Statement, Target, What};
use crate::value::{Table, Value, operate};

impl Shell {
    pub(crate) fn statements(&mut self, statements: &[Statement], emit: &mut Emit<'_>) -> Result<(), Stop> {
        statements.iter().try_for_each(|statement| self.statement(statement, emit))
    }

    fn block(&mut self, block: &Block, emit: &mut Emit<'_>) -> Result<(), Stop> {
        self.statements(&block.statements, emit)
    }

    pub(crate) fn statement(&mut self, statement: &Statement, emit: &mut Emit<'_>) -> Result<(), Stop> {
        self.step(statement.at, 1)?;
        // What a command could not do was told in it; the rest ends what it stands in.
        self.deeper(statement.at, |shell| shell.carry_out(statement, emit)).map_err(Stop::thrown)
    }

    fn carry_out(&mut self, statement: &Statement, emit: &mut Emit<'_>) -> Result<(), Stop> {
        let at = statement.at;
        match &statement.what {
            What::Pipeline(pipeline) => match pipeline.stages.as_slice() {
                // What counts up is no output, unless it stands in parentheses.
                [Stage::Expression(step @ Expression { kind: Kind::Step(..), .. })] => self.evaluate(step).map(drop),
                _ => self.pipeline(pipeline, at, emit),
            },
            What::Assign { target, operator, value } => {
                let value = self.collect(value)?;
                self.assign_to(target, *operator, value)
            }
            What::If { branches, otherwise } => {
                for (condition, block) in branches {
                    if self.collect(condition)?.is_true() {
                        return self.block(block, emit);
                    }
                }
                otherwise.as_ref().map_or(Ok(()), |block| self.block(block, emit))
            }
            What::While { .. } | What::For { .. } | What::ForEach { .. } => self.repeat(statement, emit),
            What::Function(function) => {
                self.functions.insert(function.name.to_lowercase(), function.clone());
                Ok(())
            }
            What::Return(value) => {
                if let Some(value) = value {
                    self.statement(value, emit)?;
                }
                Err(Stop::Return)
            }
            What::Throw(value) => {
                let value = value.as_deref().map(|value| self.collect(value)).transpose()?;
                Err(Stop::Thrown(match (value, self.caught.last()) {
                    (Some(value), _) => Failure::new(at, value.to_text()),
                    (None, Some(caught)) => caught.clone(),
                    (None, None) => Failure::new(at, "ScriptHalted"),
                }))
            }
            What::Exit(value) => {
                let value = value.as_deref().map(|value| self.collect(value)).transpose()?;
                Err(Stop::Exit(value.and_then(|value| value.to_integer()).unwrap_or(0)))
            }
            What::Break => Err(Stop::Break),
            What::Continue => Err(Stop::Continue),
            What::Try { body, catch, finally } => {
                let tried = usize::from(catch.is_some());
                self.trying += tried;
                let mut result = self.block(body, emit);
                self.trying -= tried;
                if let (Err(Stop::Thrown(failure)), Some(catch)) = (&result, catch) {
                    let failure = failure.clone();
                    result = self.catch(&failure, catch, emit);
                }
                if let Some(finally) = finally {
                    self.block(finally, emit)?;
                }
                result
            }
        }
    }

    /// The loops.
    fn repeat(&mut self, statement: &Statement, emit: &mut Emit<'_>) -> Result<(), Stop> {
        let at = statement.at;
        match &statement.what {
            What::While { condition, until, body_first, body } => {
                let mut first = *body_first;
                loop {
                    self.step(at, 1)?;
                    if !std::mem::take(&mut first) && self.collect(condition)?.is_true() == *until {
                        return Ok(());
                    }
                    if self.turn(body, emit)? {
                        return Ok(());
                    }
                }
            }
            What::For { first, condition, next, body } => {
                self.quietly(first.as_deref())?;
                loop {
                    self.step(at, 1)?;
                    if let Some(condition) = condition
                        && !self.collect(condition)?.is_true()
                    {
                        return Ok(());
                    }
                    if self.turn(body, emit)? {
                        return Ok(());
                    }
                    self.quietly(next.as_deref())?;
                }
            }
            What::ForEach { variable, items, body } => {
                for item in self.collect(items)?.items() {
                    self.step(at, 1)?;
                    self.assign(variable, item);
                    if self.turn(body, emit)? {
                        break;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn catch(&mut self, failure: &Failure, catch: &Block, emit: &mut Emit<'_>) -> Result<(), Stop> {
        let before = self.variable("_");
        self.assign("_", super::expressions::error_record(failure));
        self.caught.push(failure.clone());
        let result = self.block(catch, emit);
        self.caught.pop();
        self.assign("_", before);
        result
    }

    /// One turn of a loop; whether it was left.
    fn turn(&mut self, body: &Block, emit: &mut Emit<'_>) -> Result<bool, Stop> {
        match self.block(body, emit) {
            Ok(()) | Err(Stop::Continue) => Ok(false),
            Err(Stop::Break) => Ok(true),
            Err(other) => Err(other),
        }
    }

    /// Carries out a statement whose output nobody sees.
    fn quietly(&mut self, statement: Option<&Statement>) -> Result<(), Stop> {
        statement.map_or(Ok(()), |statement| self.statement(statement, &mut |_, _| Ok(())))
    }

    /// What a statement outputs, as one value.
    pub(crate) fn collect(&mut self, statement: &Statement) -> Result<Value, Stop> {
        // An expression by itself is its value: an array of one element stays one.
        if let What::Pipeline(pipeline) = &statement.what
            && let [Stage::Expression(expression)] = pipeline.stages.as_slice()
        {
            self.step(statement.at, 1)?;
            return self.evaluate(expression);
        }
        let mut items = Vec::new();
        self.statement(statement, &mut |_, value| {
            items.push(value);
            Ok(())
        })?;
        self.step(statement.at, items.len() as u64 / 8)?;
        Ok(Value::collected(items))
    }

    pub(crate) fn assign_to(&mut self, target: &Target, operator: Option<Operator>, value: Value) -> Result<(), Stop> {
        match target {
            Target::Variable(name, cast) => {
                let value = match operator {
                    Some(operator) => self.combined(operator, &self.variable(name), &value)?,
                    None => value,
                };
                let value = match cast {
                    Some(cast) => {
                        value.cast(*cast).or_else(|message| Self::fail(self.here(), format!("${name}: {message}")))?
                    }
                    None => value,
                };
                self.assign(name, value);
                Ok(())
            }
            Target::List(targets) => {
                let mut items = value.items().into_iter();
                for (number, target) in targets.iter().enumerate() {
                    // The last one takes all that is left.
                    let value = if number + 1 == targets.len() {
                        Value::collected(items.by_ref().collect())
                    } else {
                        items.next().unwrap_or_default()
                    };
                    self.assign_to(target, operator, value)?;
                }
                Ok(())
            }
            Target::Member(of, name) => self.assign_member(of, name, operator, value),
            Target::Index(of, index) => self.assign_element(of, index, operator, value),
        }
    }

    fn combined(&mut self, operator: Operator, old: &Value, value: &Value) -> Result<Value, Stop> {
        let at = self.here();
        let value = operate::binary(operator, old, value).or_else(|message| Self::fail(at, message))?;
        self.step(at, operate::weight(&value).unsigned_abs())?;
        Ok(value)
    }

    fn assign_member(
        &mut self,
        of: &Expression,
        name: &str,
        operator: Option<Operator>,
        value: Value,
    ) -> Result<(), Stop> {
        let owner = self.evaluate(of)?;
        let value = match operator {
            Some(operator) => self.combined(operator, &owner.member(name), &value)?,
            None => value,
        };
        match &owner {
            Value::Table(table) => table.borrow_mut().set(name, value),
            Value::Object(object) if object.get(name).is_some() => object.properties.borrow_mut().set(name, value),
            Value::Object(object) => {
                let known: Vec<String> =
                    object.properties.borrow().entries.iter().map(|(name, _)| name.to_string()).collect();
                return Self::fail(of.at, format!("it has no property {name}; it has {}", known.join(", ")));
            }
            other => return Self::fail(of.at, format!("{} has no property {name} that can be set", other.sort())),
        }
        Ok(())
    }

    fn assign_element(
        &mut self,
        of: &Expression,
        index: &Expression,
        operator: Option<Operator>,
        value: Value,
    ) -> Result<(), Stop> {
        let owner = self.evaluate(of)?;
        let index = self.evaluate(index)?;
        let value = match operator {
            Some(operator) => self.combined(operator, &super::expressions::element(&owner, &index), &value)?,
            None => value,
        };
        match &owner {
            Value::Table(table) => {
                let table: &mut Table = &mut table.borrow_mut();
                table.set(&index.to_text(), value);
                Ok(())
            }
            Value::Array(items) => {
                let mut items = items.borrow_mut();
                let length = items.len();
                let place = index.to_integer().and_then(|index| super::expressions::place(index, length));
                match place {
                    Some(place) => items[place] = value,
                    None => {
                        let message = format!("there is no element {}; the array has {length}", index.to_text());
                        return Self::fail(of.at, message);
                    }
                }
                Ok(())
            }
            other => Self::fail(of.at, format!("{} has no elements that can be set", other.sort())),
        }
    }
}
