//! Who may do what: the rules of the three roles, each with the sentence that refuses.

use api::fabric::{Caller, CallerKind, Change, Role};
use api::{Problem, ProblemType};
use model::fabric::{Key, Kind, ResourceName};

/// Whether the caller may see the resource.
pub fn sees(caller: &Caller, key: &Key) -> bool {
    match confined_to(caller) {
        None => true,
        Some(tenant) => match key.kind {
            Kind::LogicalNetwork => true,
            Kind::Tenant => key.name == *tenant,
            _ => key.tenant.as_ref() == Some(tenant),
        },
    }
}

/// The tenant beyond which the caller sees nothing.
pub const fn confined_to(caller: &Caller) -> Option<&ResourceName> {
    match caller.role {
        Role::Admin => None,
        Role::Tenant | Role::Reader => caller.tenant.as_ref(),
    }
}

/// The caller may read this resource.
pub fn read(caller: &Caller, key: &Key) -> Result<(), Problem> {
    if sees(caller, key) {
        return Ok(());
    }
    Err(forbidden(caller, &format!("read {key}")))
}

/// The caller may list this kind; of which tenant: the one that he asks for, or all that he may see.
pub fn list(caller: &Caller, kind: Kind, asked: Option<&ResourceName>) -> Result<Option<ResourceName>, Problem> {
    let Some(own) = confined_to(caller) else { return Ok(asked.cloned()) };
    if !(kind.has_tenant() || matches!(kind, Kind::LogicalNetwork | Kind::Tenant)) {
        return Err(forbidden(caller, &format!("read {}", kind.plural())));
    }
    match asked {
        Some(asked) if asked != own && kind.has_tenant() => {
            Err(forbidden(caller, &format!("read what belongs to tenant \"{asked}\"")))
        }
        _ => Ok(Some(own.clone())),
    }
}

/// The caller may make this change.
pub fn change(caller: &Caller, change: &Change) -> Result<(), Problem> {
    let key = change.key();
    let allowed = match caller.role {
        Role::Admin => true,
        Role::Tenant => key.tenant.is_some() && key.tenant == caller.tenant,
        Role::Reader => false,
    };
    if allowed { Ok(()) } else { Err(forbidden(caller, &format!("change {key}"))) }
}

/// The caller is an admin; `what` is what only an admin may do: "make tokens".
pub fn admin(caller: &Caller, what: &str) -> Result<(), Problem> {
    if caller.role == Role::Admin { Ok(()) } else { Err(forbidden(caller, what)) }
}

/// Which token or user of which role (and tenant) may not do it, and who may.
fn forbidden(caller: &Caller, what: &str) -> Problem {
    let Caller { kind, name, role, tenant } = caller;
    let of = tenant.as_ref().map(|tenant| format!(" of tenant \"{tenant}\"")).unwrap_or_default();
    let role = role.as_str();
    let remedy = match kind {
        CallerKind::Token => "use a token that may, or ask an admin for one",
        CallerKind::User => "ask an admin to do it, or for a role that may",
    };
    Problem::new(ProblemType::Forbidden, format!("{kind} \"{name}\" has role {role}{of} and may not {what}; {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::fabric::{Port, Resource, Tenant};

    fn name(text: &str) -> ResourceName {
        text.parse().unwrap()
    }

    fn caller(role: Role, tenant: Option<&str>) -> Caller {
        Caller { kind: CallerKind::Token, name: name("tim"), role, tenant: tenant.map(name) }
    }

    fn port(tenant: &str) -> Change {
        Change::Create(Resource::new(Some(name(tenant)), name("p"), Port::default()))
    }

    #[test]
    fn a_tenant_changes_what_is_its_own() {
        let blue = caller(Role::Tenant, Some("blue"));
        assert!(change(&blue, &port("blue")).is_ok());
        let problem = change(&blue, &port("red")).unwrap_err();
        assert_eq!(problem.status, 403);
        assert_eq!(
            problem.detail,
            "token \"tim\" has role tenant of tenant \"blue\" and may not change port \"p\" of tenant \"red\"; use a \
             token that may, or ask an admin for one"
        );
        let own = Change::Create(Resource::new(None, name("blue"), Tenant::default()));
        assert!(change(&blue, &own).is_err(), "not its own quota");
        assert!(change(&caller(Role::Reader, None), &port("blue")).is_err());
        assert!(change(&caller(Role::Admin, None), &own).is_ok());
    }

    #[test]
    fn a_confined_caller_reads_its_own_and_logical_networks() {
        for role in [Role::Tenant, Role::Reader] {
            let blue = caller(role, Some("blue"));
            let key = |kind, tenant: Option<&str>, text| Key::new(kind, tenant.map(name), name(text));
            assert!(sees(&blue, &key(Kind::Port, Some("blue"), "p")));
            assert!(!sees(&blue, &key(Kind::Port, Some("red"), "p")));
            assert!(sees(&blue, &key(Kind::LogicalNetwork, None, "x")));
            assert!(sees(&blue, &key(Kind::Tenant, None, "blue")) && !sees(&blue, &key(Kind::Tenant, None, "red")));
            assert!(!sees(&blue, &key(Kind::Host, None, "h")));
            assert_eq!(list(&blue, Kind::Port, None), Ok(Some(name("blue"))));
            assert!(list(&blue, Kind::Port, Some(&name("red"))).is_err());
            assert!(list(&blue, Kind::Host, None).unwrap_err().detail.contains("may not read hosts"));
            assert!(admin(&blue, "make tokens").is_err());
        }
        let reader = caller(Role::Reader, None);
        assert_eq!(list(&reader, Kind::Port, Some(&name("red"))), Ok(Some(name("red"))));
        assert_eq!(list(&reader, Kind::Host, None), Ok(None));
    }
}
