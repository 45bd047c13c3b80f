//! Pages of any resource of any kind: the list, one of them, the form to change it, the question before it goes.
//!
//! Kinds with pages of their own still have these, for whatever those do not show: `…/edit` takes the declaration as YAML.

pub mod detail;
pub mod edit;
pub mod list;

pub use edit::{as_it_is, changed, see_done};
pub use list::{pager, search_form};

use api::Problem;
use api::fabric::{Item, PageAnswer};
use model::fabric::{Key, Kind, ResourceName};
use serde_json::Value;

use super::nowhere;
use crate::context::View;
use crate::layout;

/// Answers for a path below a kind's list.
///
/// # Errors
/// See [`super::answer`].
pub fn answer(
    view: &View<'_>,
    kind: Kind,
    tenant: Option<&ResourceName>,
    rest: &[&str],
) -> Result<PageAnswer, Problem> {
    let key = |name: &str| Ok::<_, Problem>(Key::new(kind, tenant.cloned(), View::name(name)?));
    match rest {
        [] => list::answer(view, kind, tenant),
        ["new"] => edit::new(view, kind, tenant),
        [name] => detail::answer(view, &key(name)?),
        [name, "edit"] => edit::change(view, &key(name)?),
        [name, "delete"] => edit::delete(view, &key(name)?),
        _ => Err(nowhere()),
    }
}

/// What a list says of a resource beside its name: what people tell it by.
pub fn summary(item: &Item) -> String {
    let spec = |name: &str| texts(item.spec.get(name));
    let status = &item.status.allocation;
    let all: Vec<String> = match item.kind {
        Kind::VmNetwork => [spec("isolation"), spec("logicalNetwork")].concat(),
        Kind::VmSubnet => {
            [spec("prefixes"), status.vsid.map(|vsid| format!("VSID {vsid}")).into_iter().collect()].concat()
        }
        Kind::IpPool => [spec("vmSubnet"), spec("ranges")].concat(),
        Kind::Port => {
            let mut addresses: Vec<String> = status.addresses.iter().map(ToString::to_string).collect();
            addresses.extend(status.mac.map(|mac| mac.to_string()));
            addresses.extend(spec("vmName"));
            addresses
        }
        Kind::Host => status.provider_addresses.iter().map(ToString::to_string).collect(),
        Kind::SecurityGroup => {
            let rules = item.spec.get("rules").and_then(Value::as_array).map_or(0, Vec::len);
            [spec("vmNetwork"), vec![format!("{rules} rules")]].concat()
        }
        Kind::AddressSet => [spec("vmNetwork"), spec("prefixes")].concat(),
        Kind::CustomerRoute => [spec("prefix"), vec!["→".to_owned()], spec("nextHop")].concat(),
        Kind::GatewayConnection => {
            let services = ["nat", "routing", "ipsec", "wireguard", "dns"];
            let is_there = |name: &&&str| item.spec.get(**name).is_some();
            [spec("vmNetwork"), services.iter().filter(is_there).map(|name| (*name).to_owned()).collect()].concat()
        }
        Kind::MacPool => spec("ranges"),
        Kind::Gateway | Kind::LogicalNetwork | Kind::Tenant => spec("description"),
    };
    all.join("  ")
}

/// The texts of a value: of a list, those of all its elements.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(values)) => values.iter().flat_map(|value| texts(Some(value))).collect(),
        Some(Value::Number(number)) => vec![number.to_string()],
        _ => Vec::new(),
    }
}

/// How a resource is, as a mark; nothing where there is nothing to say.
pub fn state(view: &View<'_>, item: &Item) -> maud::Markup {
    use crate::texts::common::{EVERYWHERE, OF_HOSTS};
    let status = &item.status;
    maud::html! {
        @if let Some(connected) = status.connected {
            @if connected { (layout::mark("good", "connected")) } @else { (layout::mark("bad", "not connected")) }
        }
        @if let Some(connection) = &status.connection { (connection_mark(connection)) }
        @if let Some(device) = status.device {
            @let word = serde_json::to_value(device).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
            (layout::mark(if word == "bound" { "good" } else { "wait" }, &word))
        }
        @if let Some(realized) = &status.realized {
            @if realized.everywhere() { (layout::mark("good", view.t(EVERYWHERE))) }
            @else {
                (layout::mark("wait", &view.tf(OF_HOSTS, &[&realized.hosts.to_string(), &realized.of.to_string()])))
            }
        }
        @if let (Some(used), Some(total)) = (status.used, status.total) { (layout::mark("plain", &format!("{used} / {total}"))) }
        @for of in &status.families { (layout::mark("plain", &format!("{} {} / {}", of.family, of.used, of.total))) }
    }
}

fn connection_mark(connection: &api::fabric::ConnectionStatus) -> maud::Markup {
    let value = serde_json::to_value(connection).unwrap_or_default();
    let word = value.get("state").and_then(Value::as_str).unwrap_or("unknown").to_owned();
    let class = match word.as_str() {
        "up" => "good",
        "down" => "bad",
        _ => "wait",
    };
    layout::mark(class, &word)
}

/// What is declared, as `netvirt get -o yaml` says it.
pub fn yaml(item: &Item) -> String {
    serde_saphyr::to_string(&item.spec).unwrap_or_default()
}
