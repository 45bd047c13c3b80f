//! What changes while a page is open: a stream of hints upon which the page's script asks for the page again.
//!
//! A hint says only that something of what the page shows may be different. So what scripts show is always what the server
//! drew, and a hint that gets lost costs nothing but time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::Problem;
use api::fabric::{Ended, FabricApi, PageAnswer, PageEvent, PageEvents, Watch, WatchQuery};

use crate::context::View;
use crate::{answer, session};

/// What comes within so long is told at once.
const GATHER: Duration = Duration::from_millis(250);
/// A session that is over is noticed after so long.
const CHECK: Duration = Duration::from_secs(5);

/// Answers `/events?kind=KIND&tenant=TENANT&name=NAME`, all of which may be left out.
///
/// # Errors
/// Those of [`FabricApi::watch`].
pub fn events(view: &View<'_>) -> Result<PageAnswer, Problem> {
    let query = &view.context.query;
    let wanted = WatchQuery {
        kind: query.parse("kind")?,
        tenant: query.parse("tenant")?,
        name: query.parse("name")?,
        from: None,
    };
    let wanted = WatchQuery { tenant: wanted.tenant.or_else(|| view.confined_to().cloned()), ..wanted };
    let watch = view.context.api.watch(view.caller(), wanted)?;
    let secret = session::secret(view.context.request).unwrap_or_default().to_owned();
    let api = Arc::clone(view.context.api);
    Ok(answer::events(Box::new(Hints { watch, api, secret, checked: Instant::now(), told: false })))
}

struct Hints {
    watch: Box<dyn Watch>,
    api: Arc<dyn FabricApi>,
    secret: String,
    checked: Instant,
    /// Whether the page has been told that the stream is there.
    told: bool,
}

impl PageEvents for Hints {
    fn next(&mut self, timeout: Duration) -> Result<Option<PageEvent>, Ended> {
        if !self.told {
            self.told = true;
            return Ok(Some(PageEvent { name: "here", data: "1".to_owned() }));
        }
        if self.checked.elapsed() >= CHECK {
            self.checked = Instant::now();
            if self.api.session_lasts(&self.secret).is_err() {
                return Err(Ended);
            }
        }
        let Some(first) = self.watch.next(timeout).map_err(|_| Ended)? else { return Ok(None) };
        let mut revision = first.revision;
        let end = Instant::now() + GATHER;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            match self.watch.next(left) {
                Ok(Some(event)) => revision = revision.max(event.revision),
                Ok(None) => {}
                Err(_) => return Err(Ended),
            }
        }
        Ok(Some(PageEvent { name: "changed", data: revision.to_string() }))
    }
}
