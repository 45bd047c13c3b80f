//! A script as a tree that holds nothing but what can be carried out: whoever has one need not ask what is supported.

use std::rc::Rc;

/// Where something stands in its file, both from 1; columns count characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Statements one after the other, and what they take.
#[derive(Debug, Default)]
pub struct Block {
    /// Parameters of `param(...)`.
    pub parameters: Vec<Parameter>,
    /// What it does.
    pub statements: Vec<Statement>,
}

/// A parameter of a script, a function or a script block.
#[derive(Debug)]
pub struct Parameter {
    /// Its name as it is written, without the dollar sign.
    pub name: String,
    /// What it is made.
    pub cast: Option<Cast>,
    /// Whether it must be given.
    pub mandatory: bool,
    /// What it is when it is not given.
    pub default: Option<Expression>,
    /// Where it stands.
    pub at: Place,
}

/// A statement, and where it stands.
#[derive(Debug)]
pub struct Statement {
    /// What it does.
    pub what: What,
    /// Where it stands.
    pub at: Place,
}

/// What a statement does.
#[derive(Debug)]
pub enum What {
    /// Commands whose output goes from one to the next; the first may be an expression.
    Pipeline(Pipeline),
    /// `$x = ...`; what stands on the right may be any statement.
    Assign {
        /// What is assigned to.
        target: Target,
        /// `=`, or the operator before it.
        operator: Option<Operator>,
        /// What is assigned.
        value: Box<Statement>,
    },
    /// `if`, each `elseif`, and `else`.
    If {
        /// Conditions with their blocks.
        branches: Vec<(Statement, Block)>,
        /// `else`.
        otherwise: Option<Block>,
    },
    /// `while`, and with the body first `do ... while` and `do ... until`.
    While {
        /// Whether it goes on.
        condition: Box<Statement>,
        /// Whether it ends when the condition is true.
        until: bool,
        /// Whether the body comes first.
        body_first: bool,
        /// What is repeated.
        body: Block,
    },
    /// `for`.
    For {
        /// Once, at first.
        first: Option<Box<Statement>>,
        /// Whether it goes on.
        condition: Option<Box<Statement>>,
        /// After each turn.
        next: Option<Box<Statement>>,
        /// What is repeated.
        body: Block,
    },
    /// `foreach`.
    ForEach {
        /// Name of the variable.
        variable: String,
        /// What it goes over.
        items: Box<Statement>,
        /// What is done with each.
        body: Block,
    },
    /// `function`.
    Function(Rc<Function>),
    /// `return`.
    Return(Option<Box<Statement>>),
    /// `throw`.
    Throw(Option<Box<Statement>>),
    /// `exit`.
    Exit(Option<Box<Statement>>),
    /// `break`.
    Break,
    /// `continue`.
    Continue,
    /// `try`.
    Try {
        /// What is tried.
        body: Block,
        /// What is done when it fails.
        catch: Option<Block>,
        /// What is done in any case.
        finally: Option<Block>,
    },
}

/// A function.
#[derive(Debug)]
pub struct Function {
    /// Its name as it is written.
    pub name: String,
    /// What it takes and does.
    pub block: Rc<Block>,
}

/// What can be assigned to.
#[derive(Debug)]
pub enum Target {
    /// A variable, and what its values are made.
    Variable(String, Option<Cast>),
    /// Several variables at once.
    List(Vec<Target>),
    /// A property.
    Member(Expression, String),
    /// An element.
    Index(Expression, Expression),
}

/// Commands whose output goes from one to the next.
#[derive(Debug)]
pub struct Pipeline {
    /// At least one stage.
    pub stages: Vec<Stage>,
}

/// One stage of a pipeline.
#[derive(Debug)]
pub enum Stage {
    /// An expression; only at the beginning.
    Expression(Expression),
    /// A command.
    Command(Command),
}

/// A command with its arguments.
#[derive(Debug)]
pub struct Command {
    /// What is called.
    pub callee: Callee,
    /// Its arguments, in their order.
    pub arguments: Vec<Argument>,
    /// Whether its output, and its errors, are thrown away (`> $null`, `2> $null`).
    pub discard: Discard,
    /// Where it stands.
    pub at: Place,
}

/// What a command throws away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Discard {
    /// What it outputs.
    pub output: bool,
    /// What it complains of.
    pub errors: bool,
}

/// What a command calls.
#[derive(Debug)]
pub enum Callee {
    /// A function of the script or a cmdlet, by a name that is known.
    Name(String),
    /// A script block: `& { ... }`.
    Block(Box<Expression>),
}

/// An argument of a command.
#[derive(Debug)]
pub enum Argument {
    /// By its place.
    Positional(Expression, Place),
    /// By its name; a switch may have no value.
    Named {
        /// Name as it is written, without the hyphen.
        name: String,
        /// Value.
        value: Option<Expression>,
        /// Whether the value stands behind a colon, so that it belongs to the name also of a switch.
        tied: bool,
        /// Where it stands.
        at: Place,
    },
    /// `@name`: the entries of a hash table by name, or the elements of an array by their places.
    Splat(String, Place),
}

/// An expression, and where it stands.
#[derive(Debug)]
pub struct Expression {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub at: Place,
}

/// What an expression is.
#[derive(Debug)]
pub enum Kind {
    /// A text.
    Text(Rc<str>),
    /// A text with values in it.
    Expanding(Vec<Piece>),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// A variable, by its name in lower case.
    Variable(String),
    /// A variable of the environment.
    Environment(String),
    /// `-not x`, `-x` and such.
    Unary(Unary, Box<Expression>),
    /// `x + y` and such.
    Binary(Operator, Box<Expression>, Box<Expression>),
    /// `x -and y`, `x -or y`.
    Logical(Logical, Box<Expression>, Box<Expression>),
    /// `x++` and such: the variable, how much is added, and whether the new value is the result.
    Step(Box<Target>, i64, bool),
    /// `[int] x`.
    Cast(Cast, Box<Expression>),
    /// `x -is [int]`, and whether it is asked if it is not.
    Is(Box<Expression>, Cast, bool),
    /// `x.Name`.
    Member(Box<Expression>, String),
    /// `x.Name(...)`.
    Call(Box<Expression>, Method, Vec<Expression>),
    /// `[type]::Name(...)`.
    Static(Static, Vec<Expression>),
    /// `x[y]`.
    Index(Box<Expression>, Box<Expression>),
    /// `( ... )`.
    Paren(Box<Statement>),
    /// `$( ... )`.
    Sub(Block),
    /// `@( ... )`.
    Array(Block),
    /// `x, y`.
    List(Vec<Expression>),
    /// `@{ ... }`; whether it keeps its order.
    Table(Vec<(Expression, Statement)>, bool),
    /// `{ ... }`.
    Script(Rc<Block>),
}

/// A piece of a text with values in it.
#[derive(Debug)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// The value of an expression.
    Value(Expression),
}

/// Operators before their operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unary {
    /// `-not`, `!`.
    Not,
    /// `-`.
    Minus,
    /// `+`.
    Plus,
    /// `,`.
    Comma,
    /// `-join`.
    Join,
    /// `-split`.
    Split,
}

/// Operators that look at their right side only when they must.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Logical {
    /// `-and`.
    And,
    /// `-or`.
    Or,
    /// `-xor`.
    Xor,
}

/// Operators between two operands. Comparisons of texts look at case only where their name begins with `c`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Remainder,
    /// `..`.
    Range,
    /// `-f`.
    Format,
    /// `-join`.
    Join,
    /// `-split`.
    Split,
    /// `-replace`.
    Replace,
    /// `-band`.
    BitAnd,
    /// `-bor`.
    BitOr,
    /// `-bxor`.
    BitXor,
    /// `-shl`.
    ShiftLeft,
    /// `-shr`.
    ShiftRight,
    /// `-as`.
    Compare(Comparison, bool),
}

/// Comparisons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// `-eq`.
    Equal,
    /// `-ne`.
    NotEqual,
    /// `-lt`.
    Less,
    /// `-le`.
    LessOrEqual,
    /// `-gt`.
    Greater,
    /// `-ge`.
    GreaterOrEqual,
    /// `-like`.
    Like,
    /// `-notlike`.
    NotLike,
    /// `-match`.
    Match,
    /// `-notmatch`.
    NotMatch,
    /// `-contains`.
    Contains,
    /// `-notcontains`.
    NotContains,
    /// `-in`.
    In,
    /// `-notin`.
    NotIn,
}

/// What a value can be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cast {
    /// Of one value.
    pub to: Simple,
    /// Whether it is an array of these.
    pub array: bool,
}

/// Types of one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Simple {
    /// `[object]`, `[psobject]`: as it is.
    Any,
    /// `[string]`.
    Text,
    /// `[bool]`.
    Boolean,
    /// `[switch]`.
    Switch,
    /// A whole number of this range, and its name.
    Integer(i64, i64, &'static str),
    /// `[double]`.
    Real,
    /// `[hashtable]`.
    Table,
    /// `[ordered]`.
    Ordered,
    /// `[pscustomobject]`.
    Object,
    /// `[scriptblock]`.
    Script,
    /// `[guid]`.
    Guid,
    /// `[ipaddress]`.
    Address,
    /// `[void]`.
    Void,
}

/// Methods of values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // Each is .NET's method of its name.
pub enum Method {
    ToString,
    ToUpper,
    ToLower,
    Trim,
    TrimStart,
    TrimEnd,
    Split,
    Replace,
    Contains,
    StartsWith,
    EndsWith,
    Substring,
    IndexOf,
    PadLeft,
    PadRight,
    Add,
    Remove,
    ContainsKey,
    Equals,
}

/// Methods and properties of types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Static {
    /// `[guid]::NewGuid()`.
    NewGuid,
    /// `[string]::IsNullOrEmpty(x)`.
    IsNullOrEmpty,
    /// `[string]::IsNullOrWhiteSpace(x)`.
    IsNullOrWhiteSpace,
    /// `[string]::Join(separator, list)`.
    Join,
    /// `[string]::Format(format, ...)`.
    Format,
    /// `[math]::Min(x, y)`.
    Min,
    /// `[math]::Max(x, y)`.
    Max,
    /// `[math]::Floor(x)`.
    Floor,
    /// `[math]::Ceiling(x)`.
    Ceiling,
    /// `[math]::Round(x)`.
    Round,
    /// `[guid]::Empty`.
    EmptyGuid,
}
