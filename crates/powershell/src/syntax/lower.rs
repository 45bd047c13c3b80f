//! From the parser's tree, which has all of PowerShell, to ours, which has what netvirt carries out. What is in the one and
//! not in the other becomes a mistake, never nothing.

use std::collections::BTreeSet;
use std::rc::Rc;

use poshtree::v2::{Node, NodeKind as N};

use super::tree::{
    Block, Cast, Expression, Function, Kind, Operator, Parameter, Pipeline, Place, Simple, Stage, Statement, Target,
    Unary, What,
};
use super::{Known, Mistake, text, words};

/// What it takes to lower a tree.
pub struct Lowering<'a> {
    /// The script.
    pub text: &'a str,
    /// From an offset to its place.
    pub place: &'a dyn Fn(usize) -> Place,
    /// What can be called.
    pub known: &'a dyn Known,
    /// The functions that the script defines, in lower case.
    pub functions: BTreeSet<String>,
    /// What was found wrong.
    pub mistakes: Vec<Mistake>,
}

/// What stands between brackets.
pub(super) fn inside(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text).trim()
}

/// The elements of a list, which the parser keeps as the first and the list of the others.
pub(super) fn elements(node: &Node) -> Vec<&Node> {
    let (mut all, mut rest) = (Vec::new(), node);
    while let N::ArrayLiteral(items) = &rest.kind {
        let Some((last, before)) = items.split_last() else { return all };
        all.extend(before);
        rest = last;
    }
    all.push(rest);
    all
}

impl Lowering<'_> {
    pub(super) fn at(&self, node: &Node) -> Place {
        (self.place)(node.span.start)
    }

    pub(super) fn source(&self, node: &Node) -> &str {
        node.span.slice(self.text)
    }

    pub(super) fn wrong(&mut self, node: &Node, message: impl Into<String>) {
        let (at, message) = (self.at(node), message.into());
        let message = if message.is_empty() { "this is not understood".to_owned() } else { message };
        self.mistakes.push(Mistake { at, message });
    }

    pub(super) fn unsupported(&mut self, node: &Node, what: &str, instead: &str) {
        self.wrong(node, format!("{what} is not supported; {instead}"));
    }

    /// The statements of a script block, a script, or the body of anything.
    pub fn block(&mut self, node: &Node) -> Block {
        let statements = match &node.kind {
            N::Script(statements) => statements.as_slice(),
            N::ScriptBlockExpression(inner) => return self.block(inner),
            _ => std::slice::from_ref(node),
        };
        let mut block = Block::default();
        for statement in statements {
            match &statement.kind {
                N::ParamBlock(parameters) => block.parameters = self.parameters(parameters),
                // The parser takes these for script blocks by themselves.
                N::ScriptBlockExpression(_) if !self.source(statement).starts_with('{') => self.unsupported(
                    statement,
                    "a block begin, process or end",
                    "let the function take its input as a parameter and go over it with foreach",
                ),
                _ => block.statements.extend(self.statement(statement)),
            }
        }
        block
    }

    fn parameters(&mut self, nodes: &[Node]) -> Vec<Parameter> {
        nodes.iter().filter_map(|node| self.parameter(node)).collect()
    }

    fn parameter(&mut self, node: &Node) -> Option<Parameter> {
        let N::Parameter { attributes, name, default, .. } = &node.kind else {
            self.wrong(node, "this is no parameter; write one such as [string] $Name = \"x\"");
            return None;
        };
        let (mut cast, mut mandatory) = (None, false);
        for attribute in attributes {
            let source = inside(self.source(attribute)).to_owned();
            match source.split_once('(') {
                None => cast = self.cast_of(attribute, &source),
                Some((name, rest)) if name.trim().eq_ignore_ascii_case("parameter") => {
                    mandatory |= self.is_mandatory(attribute, rest.trim_end().trim_end_matches(')'));
                }
                Some((name, _)) => self.unsupported(
                    attribute,
                    &format!("the attribute {}", name.trim()),
                    "leave it out, and check the value in the body",
                ),
            }
        }
        let at = self.at(node);
        let default = default.as_ref().and_then(|default| self.expression(default));
        Some(Parameter { name: name.trim_start_matches('$').to_owned(), cast, mandatory, default, at })
    }

    /// What `[Parameter(...)]` says.
    fn is_mandatory(&mut self, node: &Node, settings: &str) -> bool {
        let mut mandatory = false;
        for setting in settings.split(',').map(str::trim).filter(|setting| !setting.is_empty()) {
            let (name, value) =
                setting.split_once('=').map_or((setting, "$true"), |(name, value)| (name.trim(), value.trim()));
            match name.to_lowercase().as_str() {
                "mandatory" => mandatory = !value.eq_ignore_ascii_case("$false"),
                "helpmessage" | "position" => {}
                _ => self.unsupported(
                    node,
                    &format!("{name} of a parameter"),
                    "only Mandatory, Position and HelpMessage are",
                ),
            }
        }
        mandatory
    }

    pub(super) fn cast_of(&mut self, node: &Node, name: &str) -> Option<Cast> {
        let cast = words::cast(name);
        if cast.is_none() {
            self.wrong(node, format!("type [{}] is not supported; the types are {}", name.trim(), words::TYPES));
        }
        cast
    }

    /// A statement; what is none is told, whatever is wrong with it.
    pub(super) fn statement(&mut self, node: &Node) -> Option<Statement> {
        let before = self.mistakes.len();
        let statement = self.lowered(node);
        if statement.is_none() && self.mistakes.len() == before {
            self.wrong(node, "this is not understood");
        }
        statement
    }

    fn lowered(&mut self, node: &Node) -> Option<Statement> {
        let at = self.at(node);
        let what = match &node.kind {
            N::Pipeline(stages) => self.pipeline(stages)?,
            N::Command { .. } => What::Pipeline(Pipeline { stages: vec![Stage::Command(self.command(node)?)] }),
            N::Assignment { target, op, value } => self.assignment(node, target, op, value)?,
            N::If { conditions, blocks, else_block } => {
                let branches = conditions.iter().zip(blocks).filter_map(|(condition, block)| {
                    let condition = self.statement(condition);
                    let block = self.block(block);
                    Some((condition?, block))
                });
                let branches = branches.collect();
                What::If { branches, otherwise: else_block.as_ref().map(|block| self.block(block)) }
            }
            N::While { condition, body } => self.repeat(condition, body, false, false)?,
            N::DoWhile { body, condition, until } => self.repeat(condition, body, *until, true)?,
            N::For { init, condition, update, body } => {
                let [first, condition, next] =
                    [init, condition, update].map(|part| part.as_ref().and_then(|it| self.statement(it)).map(Box::new));
                What::For { first, condition, next, body: self.block(body) }
            }
            N::ForEach { variable, iterable, body } => {
                let variable = self.variable_name(variable)?;
                let items = self.statement(iterable).map(Box::new);
                let body = self.block(body);
                What::ForEach { variable, items: items?, body }
            }
            N::Function { .. } => self.function(node)?,
            N::Flow { keyword, value } => self.flow(node, keyword, value.as_deref())?,
            N::Try { body, catches, finally_block } => self.attempt(body, catches, finally_block.as_deref())?,
            _ => return self.rare(node),
        };
        Some(Statement { what, at })
    }

    /// Statements that are not carried out, and expressions.
    fn rare(&mut self, node: &Node) -> Option<Statement> {
        let (what, instead) = match &node.kind {
            N::PipelineChain { .. } => ("&& and ||", "use if"),
            N::Switch { .. } => ("switch", "use if and elseif"),
            N::Using { .. } => ("using", "leave it out"),
            N::ClassDefinition { .. } => ("class", "use hash tables or [pscustomobject]"),
            N::EnumDefinition { .. } => ("enum", "use texts"),
            N::Labeled { .. } => ("a label", "leave the loop by a variable that its condition asks"),
            N::ParamBlock(_) => ("param behind other statements", "put it at the beginning"),
            N::TypeExpression(_) => ("a type by itself", "leave it out"),
            N::Error(message) => {
                let message = message.clone();
                self.wrong(node, message);
                return None;
            }
            _ => {
                let at = self.at(node);
                let stage = Stage::Expression(self.expression(node)?);
                return Some(Statement { what: What::Pipeline(Pipeline { stages: vec![stage] }), at });
            }
        };
        self.unsupported(node, what, instead);
        None
    }

    fn pipeline(&mut self, nodes: &[Node]) -> Option<What> {
        let mut stages = Vec::new();
        for (number, node) in nodes.iter().enumerate() {
            let stage = match &node.kind {
                N::Command { .. } => self.command(node).map(Stage::Command),
                _ if number == 0 => self.expression(node).map(Stage::Expression),
                _ => {
                    self.wrong(node, "only a command can stand behind |; use ForEach-Object { ... } for an expression");
                    None
                }
            };
            stages.push(stage);
        }
        Some(What::Pipeline(Pipeline { stages: stages.into_iter().collect::<Option<_>>()? }))
    }

    fn repeat(&mut self, condition: &Node, body: &Node, until: bool, body_first: bool) -> Option<What> {
        let condition = self.statement(condition).map(Box::new);
        let body = self.block(body);
        Some(What::While { condition: condition?, until, body_first, body })
    }

    fn function(&mut self, node: &Node) -> Option<What> {
        let N::Function { name, filter, parameters, body, .. } = &node.kind else { return None };
        if *filter {
            self.unsupported(node, "filter", "use function");
            return None;
        }
        let listed = self.parameters(parameters);
        let mut block = self.block(body);
        if !listed.is_empty() {
            block.parameters = listed;
        }
        Some(What::Function(Rc::new(Function { name: name.clone(), block: Rc::new(block) })))
    }

    fn flow(&mut self, node: &Node, keyword: &str, value: Option<&Node>) -> Option<What> {
        if matches!(keyword, "break" | "continue") {
            if value.is_some() {
                self.unsupported(node, "a label", "leave the loop by a variable that its condition asks");
            }
            return Some(if keyword == "break" { What::Break } else { What::Continue });
        }
        let value = match value {
            Some(value) => Some(Box::new(self.statement(value)?)),
            None => None,
        };
        Some(match keyword {
            "return" => What::Return(value),
            "throw" => What::Throw(value),
            "exit" => What::Exit(value),
            other => {
                self.unsupported(node, other, "leave it out");
                return None;
            }
        })
    }

    fn attempt(&mut self, body: &Node, catches: &[Node], finally: Option<&Node>) -> Option<What> {
        for catch in catches {
            let source = self.source(catch);
            let behind = source.get("catch".len()..).unwrap_or_default().trim_start();
            if !behind.starts_with('{') {
                self.unsupported(catch, "catch of one type", "catch all, and look at $_");
            }
        }
        if let Some(second) = catches.get(1) {
            self.unsupported(second, "a second catch", "look at $_ in the first one");
        }
        let body = self.block(body);
        let catch = catches.first().and_then(|catch| match &catch.kind {
            N::Catch { body } => Some(self.block(body)),
            _ => None,
        });
        Some(What::Try { body, catch, finally: finally.map(|finally| self.block(finally)) })
    }

    fn assignment(&mut self, node: &Node, target: &Node, op: &str, value: &Node) -> Option<What> {
        let target = self.target(target, None);
        let value = self.statement(value).map(Box::new);
        let operator = match op {
            "=" => None,
            "+=" => Some(Operator::Add),
            "-=" => Some(Operator::Subtract),
            "*=" => Some(Operator::Multiply),
            "/=" => Some(Operator::Divide),
            "%=" => Some(Operator::Remainder),
            other => {
                self.unsupported(node, &format!("the assignment {other}"), "write it with =");
                return None;
            }
        };
        Some(What::Assign { target: target?, operator, value: value? })
    }

    fn target(&mut self, node: &Node, cast: Option<Cast>) -> Option<Target> {
        Some(match &node.kind {
            N::Variable(raw) if raw.to_lowercase().starts_with("$env:") => {
                self.unsupported(node, "a change of the environment", "use a variable of the script");
                return None;
            }
            N::Variable(_) => Target::Variable(self.variable_name(node)?, cast),
            N::Cast { type_name, operand } => {
                let cast = self.cast_of(node, type_name)?;
                self.target(operand, Some(cast))?
            }
            N::ArrayLiteral(_) => {
                Target::List(elements(node).into_iter().map(|item| self.target(item, None)).collect::<Option<_>>()?)
            }
            N::Paren(inner) if matches!(inner.kind, N::ArrayLiteral(_)) => self.target(inner, None)?,
            N::MemberAccess { target, member, is_static: false } if !member.is_empty() => {
                let (owner, name) = self.owner(node, target, member)?;
                Target::Member(owner, name)
            }
            N::Index { target, index } => {
                let target = self.expression(target);
                let index = self.expression(index);
                Target::Index(target?, index?)
            }
            _ => {
                self.wrong(node, "nothing can be assigned to this; assign to a variable, a property or an element");
                return None;
            }
        })
    }

    /// The name of a variable in lower case, with its scope if that is the script's.
    fn variable_name(&mut self, node: &Node) -> Option<String> {
        let N::Variable(raw) = &node.kind else {
            self.wrong(node, "a variable is expected here, such as $name");
            return None;
        };
        let bare = raw.strip_prefix('$').unwrap_or(raw);
        let bare = bare.strip_prefix('{').and_then(|bare| bare.strip_suffix('}')).unwrap_or(bare);
        let name = bare.to_lowercase();
        let name = match name.split_once(':') {
            None => name,
            Some(("script" | "global", name)) => format!("script:{name}"),
            Some(("local" | "private", name)) => name.to_owned(),
            Some((drive, _)) => {
                self.unsupported(node, &format!("the drive {drive}:"), "use a variable of the script");
                return None;
            }
        };
        if words::UNKNOWN_VARIABLES.contains(&name.as_str()) {
            self.unsupported(
                node,
                &format!("${name}, which PowerShell sets by itself,"),
                "use a variable of the script",
            );
            return None;
        }
        Some(name)
    }

    pub(super) fn expression(&mut self, node: &Node) -> Option<Expression> {
        let kind = self.kind(node)?;
        Some(Expression { kind, at: self.at(node) })
    }

    pub(super) fn expressions(&mut self, nodes: &[&Node]) -> Option<Vec<Expression>> {
        let all: Vec<Option<Expression>> = nodes.iter().map(|node| self.expression(node)).collect();
        all.into_iter().collect()
    }

    pub(super) fn boxed(&mut self, node: &Node) -> Option<Box<Expression>> {
        self.expression(node).map(Box::new)
    }

    fn kind(&mut self, node: &Node) -> Option<Kind> {
        Some(match &node.kind {
            N::Variable(raw) if raw.to_lowercase().starts_with("$env:") => Kind::Environment(raw[5..].to_owned()),
            N::Variable(_) => Kind::Variable(self.variable_name(node)?),
            N::Number(raw) => match text::number(raw) {
                Some(number) => number,
                None => {
                    self.wrong(node, format!("{raw} is no number that fits into 64 bits"));
                    return None;
                }
            },
            N::BareWord(word) => Kind::Text(word.as_str().into()),
            N::StringLiteral { .. } => self.string(node)?,
            N::Binary { op, left, right } => self.binary(node, op, left, right)?,
            N::Unary { op, operand } | N::PostfixUnary { op, operand } if matches!(op.as_str(), "++" | "--") => {
                let by = if op == "++" { 1 } else { -1 };
                let before = matches!(node.kind, N::Unary { .. });
                Kind::Step(Box::new(self.target(operand, None)?), by, before)
            }
            N::Unary { op, operand } => self.unary(node, op, operand)?,
            N::Cast { type_name, operand } => self.cast(node, type_name, operand)?,
            N::MemberAccess { target, member, is_static } => self.member(node, target, member, *is_static, None)?,
            N::InvokeMember { target, member, is_static, args } => {
                self.member(node, target, member, *is_static, Some(args))?
            }
            N::Index { target, index } => {
                let target = self.boxed(target);
                let index = self.boxed(index);
                Kind::Index(target?, index?)
            }
            N::Paren(inner) => Kind::Paren(Box::new(self.statement(inner)?)),
            N::SubExpression(inner) => Kind::Sub(self.block(inner)),
            N::Array(items) => {
                let statements = items.iter().filter_map(|item| self.statement(item)).collect();
                Kind::Array(Block { parameters: Vec::new(), statements })
            }
            N::ArrayLiteral(_) => {
                let items = elements(node);
                for pair in items.windows(2) {
                    self.same_line(pair[0], pair[1], ",");
                }
                let items: Vec<Option<Expression>> = items.into_iter().map(|item| self.expression(item)).collect();
                Kind::List(items.into_iter().collect::<Option<_>>()?)
            }
            N::Hashtable(pairs) => self.table(pairs, false)?,
            N::ScriptBlockExpression(inner) => Kind::Script(Rc::new(self.block(inner))),
            N::Pipeline(_) | N::Command { .. } | N::Assignment { .. } | N::If { .. } => {
                Kind::Paren(Box::new(self.statement(node)?))
            }
            _ => return self.rare_expression(node),
        })
    }

    fn rare_expression(&mut self, node: &Node) -> Option<Kind> {
        match &node.kind {
            N::Ternary { .. } => self.unsupported(node, "? :", "use if"),
            N::TypeExpression(name) => {
                let name = name.clone();
                self.unsupported(node, &format!("type {name} as a value"), "use its name as a text");
            }
            N::Error(message) => {
                let message = message.clone();
                self.wrong(node, message);
            }
            _ => self.unsupported(node, &format!("\"{}\" here", text::beginning(self.source(node))), "leave it out"),
        }
        None
    }

    /// PowerShell ends a statement with its line, unless an operator or a comma stands at the end of it.
    fn same_line(&mut self, left: &Node, right: &Node, operator: &str) {
        let between = self.text.get(left.span.end..right.span.start).unwrap_or_default();
        let before = between.split(operator).next().unwrap_or_default();
        if before.replace("`\r\n", "").replace("`\n", "").contains('\n') {
            let message = format!(
                "{operator} at the beginning of a line does not go on with the line before; put it at the end of that"
            );
            self.wrong(right, message);
        }
    }

    fn binary(&mut self, node: &Node, op: &str, left: &Node, right: &Node) -> Option<Kind> {
        let word = op.to_lowercase();
        self.same_line(left, right, op);
        if matches!(word.as_str(), "-is" | "-isnot" | "-as") {
            let N::TypeExpression(name) = &right.kind else {
                self.wrong(right, format!("{op} needs a type, such as [string]"));
                return None;
            };
            let cast = self.cast_of(right, inside(name).to_owned().as_str());
            let left = self.boxed(left);
            let (cast, left) = (cast?, left?);
            return Some(if word == "-as" { Kind::Cast(cast, left) } else { Kind::Is(left, cast, word == "-isnot") });
        }
        let (logical, binary) = (words::logical(&word), words::binary(&word));
        let left = self.boxed(left);
        let right = self.boxed(right);
        match (logical, binary) {
            (Some(operator), _) => Some(Kind::Logical(operator, left?, right?)),
            (_, Some(operator)) => Some(Kind::Binary(operator, left?, right?)),
            _ => {
                self.unsupported(node, &format!("the operator {op}"), "write it in another way");
                None
            }
        }
    }

    fn unary(&mut self, node: &Node, op: &str, operand: &Node) -> Option<Kind> {
        let Some(operator) = words::unary(&op.to_lowercase()) else {
            self.unsupported(node, &format!("the operator {op}"), "write it in another way");
            return None;
        };
        let operand = self.boxed(operand)?;
        Some(match (operator, &operand.kind) {
            (Unary::Minus, Kind::Integer(number)) => Kind::Integer(number.wrapping_neg()),
            (Unary::Minus, Kind::Real(number)) => Kind::Real(-number),
            _ => Kind::Unary(operator, operand),
        })
    }

    fn cast(&mut self, node: &Node, type_name: &str, operand: &Node) -> Option<Kind> {
        let cast = self.cast_of(node, type_name)?;
        match (&operand.kind, cast.to) {
            (N::Hashtable(pairs), Simple::Ordered) => self.table(pairs, true),
            (N::Hashtable(pairs), Simple::Object) => {
                let kind = self.table(pairs, true)?;
                let at = self.at(operand);
                Some(Kind::Cast(cast, Box::new(Expression { kind, at })))
            }
            (_, Simple::Ordered) => {
                self.wrong(node, "[ordered] stands before @{ ... } alone");
                None
            }
            _ => Some(Kind::Cast(cast, self.boxed(operand)?)),
        }
    }

    fn table(&mut self, pairs: &[(Node, Node)], ordered: bool) -> Option<Kind> {
        let entries: Vec<Option<(Expression, Statement)>> = pairs
            .iter()
            .map(|(key, value)| {
                let key = self.expression(key);
                let value = self.statement(value);
                Some((key?, value?))
            })
            .collect();
        Some(Kind::Table(entries.into_iter().collect::<Option<_>>()?, ordered))
    }
}
