//! Whether tenants have no more than they may have.

use std::collections::BTreeSet;

use model::fabric::{Key, Kind, Spec};

use super::Run;
use crate::fabric::{Finding, Refusal};

impl Run<'_, '_> {
    /// Refuses what is new beyond a quota. A quota that is lowered below what a tenant has takes nothing away.
    pub(super) fn verify_quotas(&mut self) {
        let created = self.before.iter().filter(|(key, (before, _))| before.is_none() && key.tenant.is_some());
        let created: BTreeSet<(Key, Kind)> =
            created.filter_map(|(key, _)| Some((Key::global(Kind::Tenant, key.tenant.as_ref()?), key.kind))).collect();
        for (tenant, kind) in created {
            if let Some((_, limit)) = self.over_quota(&tenant, kind) {
                self.refuse(&tenant, Refusal::Quota { tenant: tenant.clone(), kind, limit });
            }
        }
        let tenants = self.before.keys().filter(|key| key.kind == Kind::Tenant).cloned().collect::<Vec<_>>();
        for tenant in tenants {
            for kind in Kind::ALL {
                if let Some((count, limit)) = self.over_quota(&tenant, kind) {
                    self.findings.push(Finding::OverQuota { tenant: tenant.clone(), kind, count, limit });
                }
            }
        }
    }

    /// How many a tenant has and may have, if it has more.
    fn over_quota(&self, tenant: &Key, kind: Kind) -> Option<(usize, u32)> {
        let Spec::Tenant(spec) = &self.fabric.get(tenant)?.resource.spec else { return None };
        let (count, limit) = (self.fabric.index.count(Some(&tenant.name), kind), spec.quota.of(kind)?);
        (count > limit as usize).then_some((count, limit))
    }
}
