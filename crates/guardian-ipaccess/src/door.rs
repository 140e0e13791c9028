//! A tenant's door: its policy, ready, and swapped as a whole when it changes.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::geography::Geography;
use crate::{AccessRequest, BreakGlass, CompiledPolicy, Decision, Effect, Explanation, Reason};

/// A tenant's policy at hand for requests. Cheap to clone; a change of the policy shows at once in every clone, and no request ever
/// sees half of one.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use guardian_core::{Actor, Scope, TenantId};
/// use guardian_ipaccess::{AccessRequest, Confirm, IpAccess, MemoryStore};
///
/// let access = IpAccess::new(MemoryStore::new());
/// let scope = Scope::new(TenantId::new("acme")?, Actor::user("ann")?);
/// let door = access.door(&scope).await?;
/// let office = AccessRequest::new("192.0.2.7".parse()?, "2026-03-01T12:00:00Z".parse()?);
/// assert!(door.decide(&office).is_allowed());
///
/// // Whoever makes a change that would keep them out is asked whether they mean it.
/// let refused = access.change(&scope, &office, Confirm::Ask, |policy| policy.add_list("192.0.2.0/24", guardian_ipaccess::Effect::Deny).map(|_| ())).await;
/// assert!(refused.unwrap_err().to_string().starts_with("the change would lock `192.0.2.7` out"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Door {
    pub(crate) current: Arc<ArcSwap<Ready>>,
    pub(crate) geography: Arc<dyn Geography>,
}

/// A revision of a policy.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) revision: i64,
    pub(crate) compiled: CompiledPolicy,
    pub(crate) overrides: Vec<BreakGlass>,
}

impl Door {
    /// Decides about a request.
    #[inline]
    pub fn decide(&self, request: &AccessRequest<'_>) -> Decision {
        let ready = self.current.load();
        let decision = ready.compiled.decide_in(request, &*self.geography);
        if decision.denies() && ready.overrides.iter().any(|glass| glass.lets_in(request)) {
            return Decision { effect: Effect::Allow, reason: Reason::BreakGlass, ..decision };
        }
        decision
    }

    /// What is decided about a client whose address is not known.
    pub fn unparsable(&self) -> Decision {
        self.current.load().compiled.unparsable()
    }

    /// Says which rules had a say. Emergency overrides are left out.
    #[must_use]
    pub fn explain(&self, request: &AccessRequest<'_>) -> Explanation {
        self.current.load().compiled.explain(request, &*self.geography)
    }

    /// The revision of the policy that decides now; 0 where none is stored and the default one does.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.current.load().revision
    }

    /// The geography that it asks.
    #[must_use]
    pub fn geography(&self) -> &Arc<dyn Geography> {
        &self.geography
    }
}
