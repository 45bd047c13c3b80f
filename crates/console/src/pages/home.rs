//! The first page: a tenant's own pages, or the fabric for an operator.

use api::fabric::PageAnswer;

use crate::context::View;
use crate::{answer, layout};

/// Leads to where the caller begins.
pub fn answer(view: &View<'_>) -> PageAnswer {
    match view.confined_to() {
        Some(tenant) => answer::see_other(&layout::tenant_address(tenant)),
        None => answer::see_other("/fabric"),
    }
}
