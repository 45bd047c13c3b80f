//! A gateway connection made or changed in fields, one form for each service. What has no field stays as it is, and a secret
//! is asked for and never shown: left empty, the one that there is stays.

use api::fabric::{Change, PageAnswer};
use api::{Problem, ProblemType};
use maud::{Markup, html};
use model::Limits;
use model::fabric::{GatewayConnection, Key, Kind, Resource, ResourceName};
use model::gateway::{
    Bgp, BgpNeighbor, Dns, DnsZone, Floating, Forward, Ipsec, Nat, Routing, Secret, StaticRoute, Wireguard,
};

use super::command::command;
use super::values::{lines, list};
use super::{service, service_text};
use crate::context::View;
use crate::forms::{Form, query, typed};
use crate::layout;
use crate::pages::resources::{as_it_is, changed, see_done};
use crate::pages::tenant::pieces::{all, crumb, field, joined, line, one, select, spec, specs};
use crate::texts::Text;
use crate::texts::common::*;
use crate::texts::tenant::*;

/// The services, as they are offered.
const SERVICES: [(&str, Text); 5] = [
    ("nat", NAT_HINT),
    ("ipsec", IPSEC_HINT),
    ("wireguard", WIREGUARD_HINT),
    ("dns", DNS_HINT),
    ("routing", ROUTING_HINT),
];

/// A new connection: first which service, then its form.
///
/// # Errors
/// Those of the interface that no form can be shown for.
pub fn new(view: &View<'_>, tenant: &ResourceName) -> Result<PageAnswer, Problem> {
    let chosen = view.context.query.text("service");
    let Some((chosen, _)) = SERVICES.into_iter().find(|(word, _)| *word == chosen) else {
        return Ok(choose(view, tenant));
    };
    let form = if view.context.is_post() { view.context.form.clone() } else { Form::default() };
    let mut refused = None;
    if view.context.is_post() {
        let made = form.need::<ResourceName>("name").and_then(|name| {
            let empty = GatewayConnection {
                vm_network: form.need("vmNetwork")?,
                gateway: form.need("gateway")?,
                nat: None,
                routing: None,
                ipsec: None,
                wireguard: None,
                dns: None,
                bgp: None,
                limits: Limits::default(),
                description: None,
            };
            let connection = read(&form, empty, chosen)?;
            let key = Key::new(Kind::GatewayConnection, Some(tenant.clone()), name.clone());
            changed(view, vec![Change::Create(Resource::new(Some(tenant.clone()), name, connection))])?;
            Ok(key)
        });
        match made {
            Ok(key) => return Ok(see_done(&key, "created")),
            Err(problem) => refused = Some(problem),
        }
    }
    let list = layout::list_address(Kind::GatewayConnection, Some(tenant));
    let title = format!("{}: {}", view.t(NEW_CONNECTION), view.t(service_text(chosen)));
    let body = html! {
        (layout::heading(&title, &[crumb(view, Kind::GatewayConnection, tenant)], &html! {
            a.button href={ (list) "/new/yaml" } { (view.t(AS_YAML)) }
        }))
        @if let Some(problem) = &refused { (layout::problem(&view.context, problem)) }
        form.card method="post" novalidate autocomplete="off" {
            (layout::csrf(view))
            (field(view, NAME, None, &html! {
                input name="name" required maxlength="63" autocomplete="off" spellcheck="false" value=(form.text("name"));
            }))
            (fields(view, tenant, &form, chosen)?)
            div.buttons {
                button.main type="submit" { (view.t(CREATE)) }
                a.button href=(list) { (view.t(CANCEL)) }
            }
        }
        (layout::command(view, &[command("create", &form, tenant, "NAME", chosen)]))
    };
    Ok(layout::with_status(view, refused.map_or(200, |problem| problem.status), &title, &body))
}

fn choose(view: &View<'_>, tenant: &ResourceName) -> PageAnswer {
    let body = html! {
        (layout::heading(view.t(NEW_CONNECTION), &[crumb(view, Kind::GatewayConnection, tenant)], &html! {}))
        ul.cards.plain {
            // What makes addresses known to the physical network is an operator's to make.
            @for (word, hint) in SERVICES.into_iter().filter(|(word, _)| view.is_operator() || *word != "routing") {
                li.card {
                    a href=(query(&[("service", word)])) { (view.t(service_text(word))) }
                    p.hint { (view.t(hint)) }
                }
            }
        }
        (layout::command(view, &["netvirt create gateway-connection --help".to_owned()]))
    };
    layout::page(view, view.t(NEW_CONNECTION), &body)
}

/// Changes a connection.
///
/// # Errors
/// See [`new`].
pub fn change(view: &View<'_>, tenant: &ResourceName, name: &str) -> Result<PageAnswer, Problem> {
    let item = one(view, Kind::GatewayConnection, tenant, name)?;
    let connection: GatewayConnection = spec(&item)?;
    let service = service(&connection);
    let form = if view.context.is_post() { view.context.form.clone() } else { written(&connection) };
    let mut now = connection.clone();
    now.hide();
    let mut refused = None;
    if view.context.is_post() {
        let done = read(&form, connection, service).and_then(|mut connection| {
            connection.vm_network = form.need("vmNetwork")?;
            connection.gateway = form.need("gateway")?;
            let resource = Resource::new(Some(tenant.clone()), item.name.clone(), connection);
            changed(view, vec![Change::Replace { resource, revision: form.parse("revision")? }])
        });
        match done {
            Ok(()) => return Ok(see_done(&item.key(), "changed")),
            Err(problem) => refused = Some(problem),
        }
    }
    let conflict = refused.as_ref().is_some_and(|problem| problem.problem_type == ProblemType::PreconditionFailed);
    let address = layout::address(&item.key());
    let title = format!("{}: {}", item.name, view.t(EDIT));
    let crumbs = [crumb(view, Kind::GatewayConnection, tenant), (address.clone(), item.name.to_string())];
    let body = html! {
        (layout::heading(&title, &crumbs, &html! { a.button href={ (address) "/edit" } { (view.t(AS_YAML)) } }))
        @if let Some(problem) = &refused { (layout::problem(&view.context, problem)) }
        @if conflict { (as_it_is(view, &serde_saphyr::to_string(&now).unwrap_or_default())) }
        form.card method="post" novalidate autocomplete="off" {
            (layout::csrf(view))
            input type="hidden" name="revision" value=(item.revision);
            (fields(view, tenant, &form, service)?)
            div.buttons {
                button.main type="submit" { (view.t(SAVE)) }
                a.button href=(address) { (view.t(CANCEL)) }
            }
        }
        (layout::command(view, &[command("set", &form, tenant, name, service)]))
    };
    Ok(layout::with_status(view, refused.map_or(200, |problem| problem.status), &title, &body))
}

/// A text, if there is one.
fn some<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A connection as the form would have it, without its secrets.
fn written(connection: &GatewayConnection) -> Form {
    let mut form = Form::default()
        .with("vmNetwork", connection.vm_network.to_string())
        .with("gateway", connection.gateway.to_string())
        .with("description", connection.description.clone().unwrap_or_default());
    if let Some(nat) = &connection.nat {
        form = form.with("sharedPorts", some(nat.shared_ports));
        form = form.with("floating", lines(&nat.floating)).with("forwards", lines(&nat.forwards));
    }
    if let Some(routing) = &connection.routing {
        form = form.with("vlan", some(routing.vlan)).with("routes", lines(&routing.routes));
    }
    if let Some(ipsec) = &connection.ipsec {
        form = form.with("remote", some(ipsec.remote)).with("localId", some(ipsec.local_id.as_ref()));
        form = form.with("remoteId", some(ipsec.remote_id.as_ref()));
        form = form.with("remotePrefixes", joined(&ipsec.remote_prefixes)).with("addresses", joined(&ipsec.addresses));
        form = form.with("localPrefixes", joined(&ipsec.local_prefixes));
        form = if ipsec.passive { form.with("passive", "yes") } else { form };
    }
    if let Some(wireguard) = &connection.wireguard {
        form = form.with("peerKey", wireguard.peer_key.as_str()).with("endpoint", some(wireguard.endpoint));
        form = form.with("listenPort", some(wireguard.listen_port)).with("keepalive", some(wireguard.keepalive));
        form = form.with("remotePrefixes", joined(&wireguard.remote_prefixes));
        form = form.with("addresses", joined(&wireguard.addresses));
    }
    if let Some(dns) = &connection.dns {
        form = form.with("domain", some(dns.domain.as_ref())).with("forwarders", joined(&dns.forwarders));
        form = form.with("zones", lines(&dns.zones));
    }
    if let Some(bgp) = &connection.bgp {
        form = form.with("localAs", bgp.local_as.to_string()).with("neighbors", lines(&bgp.neighbors));
    }
    form
}

/// What was typed, in the place of what a connection had.
fn read(form: &Form, mut connection: GatewayConnection, service: &str) -> Result<GatewayConnection, Problem> {
    connection.description = form.given("description").map(str::to_owned);
    match service {
        "nat" => {
            let mut nat: Nat = connection.nat.unwrap_or_default();
            nat.shared_ports = form.parse("sharedPorts")?;
            nat.floating = list::<Floating>(form, "floating")?;
            nat.forwards = list::<Forward>(form, "forwards")?;
            connection.nat = Some(nat);
        }
        "routing" => {
            let vlan = form.parse::<u16>("vlan")?.map(model::VlanId::new).transpose();
            let vlan = vlan.map_err(|error| Problem::invalid(format!("vlan: {error}")))?;
            connection.routing = Some(Routing { vlan, routes: list::<StaticRoute>(form, "routes")? });
        }
        "ipsec" => connection.ipsec = Some(ipsec(form, connection.ipsec.unwrap_or_default())?),
        "wireguard" => connection.wireguard = Some(wireguard(form, connection.wireguard)?),
        _ => {
            let mut dns: Dns = connection.dns.unwrap_or_default();
            dns.domain = form.given("domain").map(str::to_owned);
            dns.forwarders = form.list("forwarders")?;
            dns.zones = list::<DnsZone>(form, "zones")?;
            connection.dns = Some(dns);
        }
    }
    if matches!(service, "routing" | "ipsec" | "wireguard") {
        connection.bgp = bgp(form, connection.bgp)?;
    }
    Ok(connection)
}

fn ipsec(form: &Form, mut ipsec: Ipsec) -> Result<Ipsec, Problem> {
    ipsec.remote = form.parse("remote")?;
    ipsec.local_id = form.given("localId").map(str::to_owned);
    ipsec.remote_id = form.given("remoteId").map(str::to_owned);
    if let Some(psk) = form.first("psk").filter(|psk| !psk.is_empty()) {
        ipsec.psk = Some(Secret::new(psk));
    }
    ipsec.remote_prefixes = form.list("remotePrefixes")?;
    ipsec.local_prefixes = form.list("localPrefixes")?;
    ipsec.addresses = form.list("addresses")?;
    ipsec.passive = form.is_set("passive");
    Ok(ipsec)
}

fn wireguard(form: &Form, before: Option<Wireguard>) -> Result<Wireguard, Problem> {
    let preshared_key = match form.first("psk").filter(|psk| !psk.is_empty()) {
        Some(psk) => Some(Secret::new(psk.trim())),
        None => before.as_ref().and_then(|before| before.preshared_key.clone()),
    };
    Ok(Wireguard {
        private_key: before.and_then(|before| before.private_key),
        listen_port: form.parse("listenPort")?,
        peer_key: form.need("peerKey")?,
        preshared_key,
        endpoint: form.parse("endpoint")?,
        remote_prefixes: form.list("remotePrefixes")?,
        addresses: form.list("addresses")?,
        keepalive: form.parse("keepalive")?,
    })
}

/// A neighbor that was there keeps what has no field, its password too.
fn bgp(form: &Form, before: Option<Bgp>) -> Result<Option<Bgp>, Problem> {
    let mut neighbors = list::<BgpNeighbor>(form, "neighbors")?;
    let Some(local_as) = form.parse("localAs")? else {
        if neighbors.is_empty() {
            return Ok(None);
        }
        let sentence = "localAs is left empty, and there are neighbors; fill it in, or take the neighbors away too, with which \
                        their passwords go";
        return Err(Problem::invalid(sentence));
    };
    for neighbor in &mut neighbors {
        let known = before.iter().flat_map(|bgp| &bgp.neighbors).find(|known| known.address == neighbor.address);
        if let Some(known) = known {
            *neighbor = BgpNeighbor { remote_as: neighbor.remote_as, ..known.clone() };
        }
    }
    let (router_id, announce) = before.map(|bgp| (bgp.router_id, bgp.announce)).unwrap_or_default();
    Ok(Some(Bgp { local_as, router_id, neighbors, announce }))
}

fn area(view: &View<'_>, label: Text, hint: Text, form: &Form, name: &str) -> Markup {
    let input =
        html! { textarea.code name=(name) rows="3" spellcheck="false" autocomplete="off" { (typed(form.text(name))) } };
    field(view, label, Some(hint), &input)
}

fn secret(view: &View<'_>) -> Markup {
    field(
        view,
        PRE_SHARED_KEY,
        Some(SECRET_HINT),
        &html! { input type="password" name="psk" autocomplete="new-password"; },
    )
}

fn fields(view: &View<'_>, tenant: &ResourceName, form: &Form, service: &str) -> Result<Markup, Problem> {
    let networks = all(view, Kind::VmNetwork, tenant)?;
    let options: Vec<_> = networks.iter().map(|item| (item.name.to_string(), item.name.to_string())).collect();
    let others = all(view, Kind::GatewayConnection, tenant)?;
    let mut gateways: Vec<ResourceName> =
        specs::<GatewayConnection>(&others).map(|(_, connection)| connection.gateway).collect();
    if view.is_operator() {
        gateways.extend(all(view, Kind::Gateway, tenant)?.into_iter().map(|item| item.name));
    }
    gateways.sort_unstable();
    gateways.dedup();
    let of = |label, hint, name: &str| line(view, label, hint, name, form.text(name));
    Ok(html! {
        (field(view, VM_NETWORKS, None, &select("vmNetwork", form.text("vmNetwork"), &options)))
        (field(view, GATEWAY, Some(GATEWAY_HINT), &html! {
            input name="gateway" list="gateways" required autocomplete="off" spellcheck="false" value=(form.text("gateway"));
        }))
        datalist #gateways { @for gateway in &gateways { option value=(gateway) {} } }
        @match service {
            "nat" => {
                (of(SHARED_PORTS, Some(SHARED_PORTS_HINT), "sharedPorts"))
                (area(view, FLOATING, FLOATING_HINT, form, "floating"))
                (area(view, FORWARDS, FORWARDS_HINT, form, "forwards"))
            },
            "routing" => { (of(VLAN, None, "vlan")) (area(view, ROUTES, ROUTES_HINT, form, "routes")) },
            "ipsec" => {
                (of(REMOTE, Some(REMOTE_HINT), "remote"))
                (secret(view))
                (of(YOUR_PREFIXES, Some(PREFIXES_HINT), "remotePrefixes"))
                (of(OUR_PREFIXES, Some(OUR_PREFIXES_HINT), "localPrefixes"))
                (of(YOUR_ID, Some(ID_HINT), "remoteId"))
                (of(OUR_ID, Some(ID_HINT), "localId"))
                (of(TUNNEL_ADDRESSES, Some(TUNNEL_ADDRESSES_HINT), "addresses"))
                label.check { input type="checkbox" name="passive" value="yes" checked[form.is_set("passive")]; span { (view.t(PASSIVE)) } }
            },
            "wireguard" => {
                (of(PEER_KEY, Some(PEER_KEY_HINT), "peerKey"))
                (of(ENDPOINT, Some(ENDPOINT_HINT), "endpoint"))
                (secret(view))
                (of(YOUR_PREFIXES, Some(PREFIXES_HINT), "remotePrefixes"))
                (of(TUNNEL_ADDRESSES, Some(TUNNEL_ADDRESSES_HINT), "addresses"))
                (of(LISTEN_PORT, None, "listenPort"))
                (of(KEEPALIVE, None, "keepalive"))
            },
            _ => {
                (of(DOMAIN, Some(DOMAIN_HINT), "domain"))
                (of(FORWARDERS, None, "forwarders"))
                (area(view, ZONES, ZONES_HINT, form, "zones"))
            },
        }
        @if matches!(service, "routing" | "ipsec" | "wireguard") {
            details open[form.given("localAs").is_some()] {
                summary { "BGP" }
                (of(LOCAL_AS, None, "localAs"))
                (area(view, NEIGHBORS, NEIGHBORS_HINT, form, "neighbors"))
            }
        }
        (of(DESCRIPTION, None, "description"))
    })
}

#[cfg(test)]
mod tests {
    use model::fabric::Kind;

    use crate::pages::tenant::testing::{Desk, EVIL};

    const NEW: &str = "/t/blue/gateway-connections/new";
    const KEY: &str = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";

    #[test]
    fn each_service_has_its_form() {
        let desk = Desk::of_blue();
        desk.get(NEW).has("service=ipsec").lacks("service=routing");
        let common = [("vmNetwork", "front"), ("gateway", "edge")];
        let forms: [(&str, &[(&str, &str)]); 4] = [
            ("nat", &[("forwards", "tcp:8443=10.10.1.5:443\nudp:53=10.10.1.6"), ("sharedPorts", "1024")]),
            (
                "ipsec",
                &[("remote", "198.51.100.9"), ("psk", "opensesame"), ("remotePrefixes", "10.20.0.0/16, 10.21.0.0/16")],
            ),
            (
                "wireguard",
                &[
                    ("peerKey", KEY),
                    ("localAs", "65010"),
                    ("neighbors", "169.254.7.2=65001"),
                    ("addresses", "169.254.7.1/30"),
                ],
            ),
            ("dns", &[("domain", "cloud.example"), ("zones", "corp.example=10.20.0.53,10.20.0.54")]),
        ];
        for (service, form) in forms {
            let page = format!("{NEW}?service={service}");
            desk.get(&page).has("name=\"gateway\"");
            let shown = desk.post(&page, &[&common[..], form, &[("name", service)]].concat());
            assert_eq!(shown.status, 303, "{service}: {}", shown.text);
            desk.get(&format!("/t/blue/gateway-connections/{service}/change")).lacks("opensesame");
        }
        desk.get("/t/blue/gateway-connections/nat/change").has("tcp:8443=10.10.1.5:443\nudp:53=10.10.1.6");
        desk.get("/t/blue/gateway-connections/wireguard").has("169.254.7.1 (AS 65010)").has("Address = 169.254.7.2/30");
        assert_eq!(desk.names(Kind::GatewayConnection), ["dns", "home", "ipsec", "nat", "wireguard"]);
    }

    #[test]
    fn neighbors_do_not_go_without_a_word() {
        let desk = Desk::of_blue();
        let form = [("name", "x"), ("vmNetwork", "front"), ("gateway", "edge"), ("peerKey", KEY), ("localAs", "")];
        let page = format!("{NEW}?service=wireguard");
        let shown = desk.post(&page, &[&form[..], &[("neighbors", "169.254.7.2=65001")]].concat());
        assert_eq!(shown.status, 422);
        shown.has("localAs is left empty, and there are neighbors").has("169.254.7.2=65001");
        assert_eq!(desk.post(&page, &[&form[..], &[("neighbors", "")]].concat()).status, 303);
    }

    #[test]
    fn what_was_refused_comes_back_without_its_secret() {
        let desk = Desk::of_blue();
        let before = desk.revision();
        let form =
            [("name", "x"), ("vmNetwork", "front"), ("gateway", EVIL), ("remote", "nowhere"), ("psk", "opensesame")];
        let shown = desk.post("/t/blue/gateway-connections/new?service=ipsec", &form);
        assert_eq!((shown.status, desk.revision()), (422, before));
        shown.has("value=\"nowhere\"").lacks(EVIL).lacks("opensesame");
    }

    #[test]
    fn a_change_keeps_the_secret_and_what_has_no_field() {
        let desk = Desk::of_blue();
        let page = "/t/blue/gateway-connections/home/change";
        desk.get(page).has("value=\"198.51.100.1\"").has("10.20.0.0/16");
        let form = [
            ("vmNetwork", "front"),
            ("gateway", "edge"),
            ("remote", "198.51.100.2"),
            ("remotePrefixes", "10.30.0.0/16"),
        ];
        let conflict = desk.post(page, &[&form[..], &[("revision", "1")]].concat());
        assert_eq!(conflict.status, 412);
        conflict.has("198.51.100.1").has("198.51.100.2").lacks("swordfish");
        let revision = desk.revision().to_string();
        assert_eq!(desk.post(page, &[&form[..], &[("revision", revision.as_str())]].concat()).status, 303);
        desk.get("/t/blue/gateway-connections/home").has("local_addrs = 198.51.100.2").has("local_ts = 10.30.0.0/16");
        desk.get("/t/blue/gateway-connections/home/edit").has("swordfish");
    }
}
