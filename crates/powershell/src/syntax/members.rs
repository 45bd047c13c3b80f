//! Properties and methods, of values and of types.

use poshtree::v2::{Node, NodeKind as N};

use super::lower::{Lowering, elements, inside};
use super::tree::{Expression, Kind, Method};
use super::words;

impl Lowering<'_> {
    pub(super) fn member(
        &mut self,
        node: &Node,
        target: &Node,
        member: &str,
        is_static: bool,
        arguments: Option<&Vec<Node>>,
    ) -> Option<Kind> {
        if member.is_empty() {
            self.wrong(
                node,
                "the name of a property is expected behind the point; for odd names use [\"name\"] of a hash table",
            );
            return None;
        }
        // The parser keeps a list of arguments as one.
        let arguments: Option<Vec<&Node>> = arguments.map(|arguments| match arguments.as_slice() {
            [list @ Node { kind: N::ArrayLiteral(_), .. }] => elements(list),
            other => other.iter().collect(),
        });
        if is_static {
            return self.of_type(node, target, member, arguments.as_deref());
        }
        let (target, member) = self.owner(node, target, member)?;
        let Some(arguments) = arguments else { return Some(Kind::Member(Box::new(target), member)) };
        let method =
            words::METHODS.iter().find(|(name, _)| member.eq_ignore_ascii_case(name)).map(|(_, method)| *method);
        let Some(method): Option<Method> = method else {
            let known: Vec<&str> = words::METHODS.iter().map(|(name, _)| *name).collect();
            self.unsupported(node, &format!("method {member}"), &format!("the methods are {}", known.join(", ")));
            return None;
        };
        let arguments = self.expressions(&arguments);
        Some(Kind::Call(Box::new(target), method, arguments?))
    }

    /// Whose property or method it is, and its name: the parser keeps `.Exception.Message` as one name.
    pub(super) fn owner(&mut self, node: &Node, target: &Node, member: &str) -> Option<(Expression, String)> {
        let mut owner = self.expression(target)?;
        let mut names: Vec<&str> = member.split('.').collect();
        if let Some(odd) =
            names.iter().find(|name| name.is_empty() || !name.chars().all(|it| it.is_alphanumeric() || it == '_'))
        {
            self.wrong(
                node,
                format!("\"{odd}\" is no name of a property; put blanks around an operator that stands behind one"),
            );
            return None;
        }
        let last = names.pop()?.to_owned();
        for name in names {
            let at = owner.at;
            owner = Expression { kind: Kind::Member(Box::new(owner), name.to_owned()), at };
        }
        Some((owner, last))
    }

    fn of_type(&mut self, node: &Node, target: &Node, member: &str, arguments: Option<&[&Node]>) -> Option<Kind> {
        let N::TypeExpression(name) = &target.kind else {
            self.unsupported(node, ":: behind a value", "use a method of the value");
            return None;
        };
        let name = inside(name).to_owned();
        let Some((what, takes)) = words::of_type(&name, member) else {
            self.unsupported(
                node,
                &format!("[{name}]::{member}"),
                "those of types are [guid]::NewGuid, [guid]::Empty, [string]::IsNullOrEmpty, Join and Format, [math]::Min, Max, \
                 Floor, Ceiling and Round",
            );
            return None;
        };
        let given = arguments.map(<[&Node]>::len);
        let fits = match (takes, given) {
            (None, None) => true,
            (Some((least, most)), Some(given)) => (least..=most).contains(&given),
            _ => false,
        };
        if !fits {
            self.wrong(node, format!("[{name}]::{member} does not take these arguments"));
            return None;
        }
        Some(Kind::Static(what, self.expressions(arguments.unwrap_or_default())?))
    }
}
