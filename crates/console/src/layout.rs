//! What all pages have in common: the head, the navigation, who has signed in, preferences, the command box; and the small
//! pieces that pages are put together from.

use api::Problem;
use api::fabric::PageAnswer;
use maud::{DOCTYPE, Markup, html};
use model::fabric::{Kind, ResourceName};

use crate::context::{Context, Theme, View};
use crate::texts::common::*;
use crate::texts::{Language, Text};
use crate::{answer, assets};

/// An entry of the navigation: where it leads and what it is called. The first segments of its address tell when it is where
/// one is.
struct Entry {
    address: String,
    text: Text,
}

/// A whole page of somebody who has signed in.
pub fn page(view: &View<'_>, title: &str, body: &Markup) -> PageAnswer {
    with_status(view, 200, title, body)
}

/// See [`page`].
pub fn with_status(view: &View<'_>, status: u16, title: &str, body: &Markup) -> PageAnswer {
    let context = &view.context;
    let inside = html! {
        header.top {
            a.skip href="#content" { (context.t(SKIP)) }
            a.brand href="/" { img src=(assets::icon()) alt="" width="24" height="24"; span { "netvirt" } }
            (navigation(view))
            (who(view))
        }
        main #content tabindex="-1" { (body) }
        (footer(context))
    };
    answer::html(status, document(context, title, &inside))
}

/// A whole page of nobody in particular.
pub fn open_page(context: &Context<'_>, status: u16, title: &str, body: &Markup) -> PageAnswer {
    let inside = html! {
        header.top { a.brand href="/" { img src=(assets::icon()) alt="" width="24" height="24"; span { "netvirt" } } }
        main #content tabindex="-1" { (body) }
        (footer(context))
    };
    answer::html(status, document(context, title, &inside))
}

fn document(context: &Context<'_>, title: &str, inside: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(context.language.tag()) data-theme=(context.theme.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (context.t(CONSOLE)) }
                link rel="icon" href=(assets::icon()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::style());
                script type="module" src=(assets::script()) {}
            }
            body data-reconnecting=(context.t(RECONNECTING)) data-over=(context.t(SESSION_OVER)) data-copied=(context.t(COPIED)) {
                (inside)
            }
        }
    }
}

/// The way to everything that the caller may see.
fn navigation(view: &View<'_>) -> Markup {
    let here = format!("/{}", view.context.segments.join("/"));
    let entries = entries(view);
    // The longest address that leads here is where one is.
    let is_here = |entry: &&Entry| here == entry.address || here.starts_with(&format!("{}/", entry.address));
    let current = entries.iter().filter(is_here).map(|entry| entry.address.len()).max();
    html! {
        nav aria-label=(view.t(NAVIGATION)) {
            ul {
                @for entry in &entries {
                    @let current = is_here(&entry) && Some(entry.address.len()) == current;
                    li { a href=(entry.address) aria-current=[current.then_some("page")] { (view.t(entry.text)) } }
                }
            }
        }
    }
}

fn entries(view: &View<'_>) -> Vec<Entry> {
    let entry = |address: String, text| Entry { address, text };
    let of_tenant = |tenant: &ResourceName| {
        let base = tenant_address(tenant);
        let below = |part: &str| format!("{base}/{part}");
        vec![
            entry(base.clone(), OVERVIEW),
            entry(below(Kind::VmNetwork.plural()), VM_NETWORKS),
            entry(below(Kind::Port.plural()), PORTS),
            entry(below(Kind::SecurityGroup.plural()), SECURITY_GROUPS),
            entry(below(Kind::GatewayConnection.plural()), GATEWAY_CONNECTIONS),
            entry(below("leases"), LEASES),
            entry(below("trace"), TRACE),
            entry(below("activity"), ACTIVITY),
        ]
    };
    match view.confined_to().cloned().or_else(|| tenant_in_path(view)) {
        Some(tenant) => {
            let mut entries = of_tenant(&tenant);
            if view.is_operator() {
                entries.insert(0, entry("/fabric".to_owned(), FABRIC));
            }
            entries
        }
        None => vec![
            entry("/fabric".to_owned(), FABRIC),
            entry("/fabric/hosts".to_owned(), HOSTS),
            entry("/fabric/logical-networks".to_owned(), LOGICAL_NETWORKS),
            entry("/fabric/pools".to_owned(), crate::texts::fabric::POOLS),
            entry("/fabric/tenants".to_owned(), TENANTS),
            entry("/fabric/gateways".to_owned(), GATEWAYS),
            entry("/fabric/access".to_owned(), USERS),
            entry("/fabric/audit".to_owned(), AUDIT),
            entry("/fabric/changes".to_owned(), crate::texts::fabric::CHANGES),
        ],
    }
}

/// The tenant whose pages the path is among.
pub fn tenant_in_path(view: &View<'_>) -> Option<ResourceName> {
    match view.context.segments.as_slice() {
        [first, tenant, ..] if first == "t" => tenant.parse().ok(),
        _ => None,
    }
}

/// Where a tenant's pages begin.
pub fn tenant_address(tenant: &ResourceName) -> String {
    format!("/t/{}", segment(tenant.as_str()))
}

/// Where the pages of a resource are.
pub fn address(key: &model::fabric::Key) -> String {
    format!("{}/{}", list_address(key.kind, key.tenant.as_ref()), segment(key.name.as_str()))
}

/// Where the list of a kind is.
pub fn list_address(kind: Kind, tenant: Option<&ResourceName>) -> String {
    match tenant {
        Some(tenant) if kind.has_tenant() => format!("{}/{}", tenant_address(tenant), kind.plural()),
        _ => format!("/fabric/{}", kind.plural()),
    }
}

/// A text as one segment of a path.
pub fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Who has signed in, and the way out.
fn who(view: &View<'_>) -> Markup {
    let caller = view.caller();
    html! {
        form.who method="post" action="/sign-out" {
            (csrf(view))
            span.user title=(caller.role.as_str()) {
                (caller.name) @if let Some(tenant) = &caller.tenant { " · " (tenant) }
            }
            button.quiet type="submit" { (view.t(SIGN_OUT)) }
        }
    }
}

/// Language and look, which need no session.
fn footer(context: &Context<'_>) -> Markup {
    let names = [(Theme::Automatic, AUTOMATIC), (Theme::Light, LIGHT), (Theme::Dark, DARK)];
    html! {
        footer.bottom {
            form.preferences method="post" action="/preferences" {
                input type="hidden" name="next" value=(context.here());
                label { (context.t(LANGUAGE)) " "
                    select name="language" {
                        @for language in Language::ALL {
                            option value=(language.tag()) lang=(language.tag()) selected[language == context.language] {
                                (language.name())
                            }
                        }
                    }
                }
                label { (context.t(APPEARANCE)) " "
                    select name="theme" {
                        @for (theme, text) in names {
                            option value=(theme.as_str()) selected[theme == context.theme] { (context.t(text)) }
                        }
                    }
                }
                button.quiet type="submit" { (context.t(SET)) }
            }
            p.version { "netvirt " (env!("CARGO_PKG_VERSION")) }
            p.connection role="status" aria-live="polite" {}
        }
    }
}

/// The hidden field by which a form shows that it is one of this session.
pub fn csrf(view: &View<'_>) -> Markup {
    html! { input type="hidden" name="csrf" value=(view.session.csrf); }
}

/// The command line that does, or shows, the same.
pub fn command(view: &View<'_>, lines: &[String]) -> Markup {
    html! {
        details.command {
            summary { (view.t(COMMAND)) }
            div.copied {
                pre tabindex="0" role="group" aria-label=(view.t(COMMAND)) { code { @for line in lines { (line) "\n" } } }
                button.quiet type="button" data-copy hidden { (view.t(COPY)) }
            }
        }
    }
}

/// A word for a shell: quoted where it has to be.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,=+%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// What stands in a command for a name that is not known yet: no name at all, so that the command is refused as it stands.
pub const NO_NAME: &str = "<NAME>";

/// ` --tenant NAME`, unless it is the default one.
pub fn for_tenant(tenant: Option<&ResourceName>) -> String {
    match tenant {
        Some(tenant) if tenant.as_str() != model::fabric::DEFAULT_TENANT => {
            format!(" --tenant {}", word(tenant.as_str()))
        }
        _ => String::new(),
    }
}

/// What went wrong, above a form.
pub fn problem(context: &Context<'_>, problem: &Problem) -> Markup {
    html! {
        div.problem role="alert" {
            h2 { (context.t(PROBLEM)) }
            @if problem.errors.len() > 1 {
                ul { @for error in &problem.errors { li { (error) } } }
            } @else {
                p { (problem.detail) }
            }
        }
    }
}

/// A sentence that something was done, out of `?done=created&what=...`, as redirects say it, and of which prefixes bits were cut off
/// (`&cut=...`).
pub fn done(view: &View<'_>) -> Markup {
    let what = view.context.query.text("what");
    let text = match view.context.query.text("done") {
        "created" => DONE_CREATED,
        "changed" => DONE_CHANGED,
        "deleted" => DONE_DELETED,
        _ => return html! {},
    };
    let cut = view.context.query.given("cut");
    html! { p.done role="status" { (view.tf(text, &[what])) @if let Some(cut) = cut { " " (view.tf(CUT_PREFIX, &[cut])) } } }
}

/// The head of a page: its title, and what can be done with what it shows.
pub fn heading(title: &str, crumbs: &[(String, String)], actions: &Markup) -> Markup {
    html! {
        div.heading {
            @if !crumbs.is_empty() {
                ol.crumbs { @for (address, text) in crumbs { li { a href=(address) { (text) } } } }
            }
            h1 { (title) }
            div.actions { (actions) }
        }
    }
}

/// A mark with a word: `good`, `bad`, `wait` or `plain`. The word says all; the colour only repeats it.
pub fn mark(class: &str, text: &str) -> Markup {
    html! { span class={ "mark " (class) } { (text) } }
}

/// The title of a kind's list.
pub const fn kind_text(kind: Kind) -> Text {
    match kind {
        Kind::LogicalNetwork => LOGICAL_NETWORKS,
        Kind::MacPool => MAC_POOLS,
        Kind::Host => HOSTS,
        Kind::Tenant => TENANTS,
        Kind::Gateway => GATEWAYS,
        Kind::VmNetwork => VM_NETWORKS,
        Kind::AddressSet => ADDRESS_SETS,
        Kind::SecurityGroup => SECURITY_GROUPS,
        Kind::VmSubnet => VM_SUBNETS,
        Kind::IpPool => IP_POOLS,
        Kind::CustomerRoute => CUSTOMER_ROUTES,
        Kind::Port => PORTS,
        Kind::GatewayConnection => GATEWAY_CONNECTIONS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(word("10.1.1.0/24"), "10.1.1.0/24");
        assert_eq!(word("CA Pool"), "'CA Pool'");
        assert_eq!(word("it's; rm -rf"), "'it'\\''s; rm -rf'");
        assert_eq!(word(""), "''");
    }
}
