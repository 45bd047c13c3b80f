//! Lists of what is declared, page by page, and of what has a text in it.
//!
//! To look for a text in an object costs much more than to list it, so that a search lets go of the state now and then: nobody
//! who changes something waits for a search through everything.

use api::Problem;
use api::fabric::{Caller, ListQuery, MAX_PAGE, Page};
use model::fabric::{Key, Kind, Object, ResourceName};
use plan::fabric::Fabric;

use crate::core::Core;
use crate::{access, paging};

/// Most objects in which a text is looked for at a time, while nobody else has the state.
const SEARCHED_AT_A_TIME: usize = 500;

/// What is wanted.
struct Wanted<'c> {
    caller: &'c Caller,
    kind: Kind,
    tenant: Option<ResourceName>,
    /// In lower case.
    search: Option<String>,
}

impl Wanted<'_> {
    /// The objects from a place on, among which are those that are wanted.
    fn among<'f>(&self, fabric: &'f Fabric, after: Option<&Key>) -> impl Iterator<Item = &'f Object> {
        let objects: Box<dyn Iterator<Item = &'f Object>> = match after {
            Some(after) => Box::new(fabric.of_kind_after(after)),
            None => Box::new(fabric.of_kind(self.kind, self.tenant.as_ref())),
        };
        let tenant = self.tenant.clone().filter(|_| self.kind.has_tenant());
        let first = tenant.clone();
        objects
            .skip_while(move |object| first.is_some() && object.resource.tenant < first)
            .take_while(move |object| tenant.is_none() || object.resource.tenant == tenant)
    }

    fn has(&self, object: &Object) -> bool {
        access::sees(self.caller, &object.key()) && self.search.as_ref().is_none_or(|text| object.mentions(text))
    }

    /// Most objects that are looked at at a time.
    const fn at_a_time(&self) -> usize {
        if self.search.is_some() { SEARCHED_AT_A_TIME } else { usize::MAX }
    }
}

/// What one hold of the state has found.
struct Part<'f> {
    found: Vec<&'f Object>,
    /// Where to look on, if there is more to look at.
    rest: Option<Key>,
    /// Whether there is one more than there was room for.
    more: bool,
}

/// Looks through some objects for as many as there is room for, and whether there is one more.
fn part<'f>(wanted: &Wanted<'_>, fabric: &'f Fabric, after: Option<&Key>, room: usize) -> Part<'f> {
    let mut part = Part { found: Vec::new(), rest: None, more: false };
    for (looked_at, object) in (1..).zip(wanted.among(fabric, after)) {
        if wanted.has(object) {
            if part.found.len() == room {
                part.more = true;
                break;
            }
            part.found.push(object);
        }
        if looked_at == wanted.at_a_time() {
            part.rest = Some(object.key());
            break;
        }
    }
    part
}

/// A page of a list. Its revision is that at which it began: who watches from there is told of all that has changed since.
pub fn list(core: &Core, caller: &Caller, query: ListQuery) -> Result<Page, Problem> {
    let tenant = access::list(caller, query.kind, query.tenant.as_ref())?;
    let mut after = query.continue_token.as_deref().map(|token| paging::after(token, query.kind)).transpose()?;
    let limit = query.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let search = query.search.map(|search| search.trim().to_lowercase()).filter(|search| !search.is_empty());
    let wanted = Wanted { caller, kind: query.kind, tenant, search };
    let (mut page, mut last) = (Page { items: Vec::new(), revision: 0, continue_token: None }, None);
    let mut began = None;
    loop {
        let state = core.state();
        page.revision = *began.get_or_insert(state.revision);
        let Part { found, rest, more } = part(&wanted, &state.fabric, after.as_ref(), limit - page.items.len());
        last = found.last().map(|object| object.key()).or(last);
        page.items
            .extend(core.view(&state, |view| found.into_iter().map(|object| view.item(object)).collect::<Vec<_>>()));
        if more {
            page.continue_token = last.as_ref().map(paging::token);
        }
        if more || rest.is_none() {
            return Ok(page);
        }
        after = rest;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use api::fabric::{CallerKind, Change, ChangeSet, FabricApi as _, Role};
    use model::fabric::{Resource, Tenant};
    use store::{Options, RedbStore};

    use super::*;
    use crate::{Controller, Settings};

    fn name(text: &str) -> ResourceName {
        text.parse().unwrap()
    }

    #[test]
    fn a_search_finds_the_same_however_often_it_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = RedbStore::open(&folder.path().join("store.redb"), Options::default()).unwrap();
        let settings = Settings {
            agents: "c:7444".to_owned(),
            fingerprint: String::new(),
            certificate_life: Duration::from_secs(3600),
            scratch: folder.path().to_owned(),
            openid: None,
        };
        let controller = Controller::open(Arc::new(store), settings).unwrap();
        let caller = Caller { kind: CallerKind::Token, name: name("admin"), role: Role::Admin, tenant: None };
        let count = SEARCHED_AT_A_TIME * 2 + 200;
        let tenant = |number: usize| {
            let description = (number % 100 == 99).then(|| "One of a Hundred".to_owned());
            let spec = Tenant { description, ..Tenant::default() };
            Change::Put { resource: Resource::new(None, name(&format!("t{number:04}")), spec), revision: None }
        };
        let changes = (0..count).map(tenant).collect();
        controller.change(&caller, ChangeSet { changes, ..ChangeSet::default() }).unwrap();
        let expected: Vec<String> = (0..count).skip(99).step_by(100).map(|number| format!("t{number:04}")).collect();
        for limit in [1, 4, 12, 100] {
            let (mut found, mut pages, mut continue_token) = (Vec::new(), 0, None);
            loop {
                let search = Some(" one of a HUNDRED ".to_owned());
                let query = ListQuery { kind: Kind::Tenant, tenant: None, limit: Some(limit), continue_token, search };
                let page = controller.list(&caller, query).unwrap();
                assert_eq!(page.revision, controller.revision());
                found.extend(page.items.iter().map(|item| item.name.to_string()));
                (continue_token, pages) = (page.continue_token, pages + 1);
                if continue_token.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{limit}");
            assert_eq!(pages, expected.len().div_ceil(limit), "no page is empty");
        }
    }
}
