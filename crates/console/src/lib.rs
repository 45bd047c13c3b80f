//! The web console: pages for operators and tenants, made on the server out of what [`api::fabric::FabricApi`] says.
//!
//! `router` finds the page of a path, `session` who asks, `openid` asks an identity provider that, `layout` draws what all pages have in common, `forms` reads what
//! was typed, `secrets` keeps secrets out of pages, `texts` has every sentence in each language, `assets` the style and the scripts, `pages` the pages themselves,
//! and `pictures` what is drawn.
//!
//! **Invariant:** the console decides nothing and knows no secret way: what it may show and do is what the session's caller
//! may ask of the interface that programs use, too, and a refusal is shown in that interface's words.
//! **Invariant:** every page works without scripts; scripts keep it up to date and check while somebody types.

mod answer;
mod assets;
mod context;
mod forms;
mod layout;
mod live;
mod openid;
mod pages;
mod pictures;
mod router;
mod secrets;
mod session;
mod texts;

use std::sync::Arc;

use api::fabric::{FabricApi, PageAnswer, PageRequest, Pages};

/// The console of a controller.
pub struct Console {
    api: Arc<dyn FabricApi>,
    providers: openid::Providers,
}

/// The pages for a controller, as its server asks for them.
pub fn pages(api: Arc<dyn FabricApi>) -> Arc<dyn Pages> {
    Arc::new(Console { api, providers: openid::Providers::default() })
}

impl Pages for Console {
    fn answer(&self, request: &PageRequest) -> PageAnswer {
        router::answer(&self.api, &self.providers, request)
    }
}
