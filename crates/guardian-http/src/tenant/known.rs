use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use foldhash::HashMap;
use guardian_core::{Clock, MonoTime, Scope, TenantId};
use guardian_tenant::{Error, Registry};
use parking_lot::{Mutex, RwLock};

use super::OnRegistryOutage;

/// Where a tenant stands, as far as its requests are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Active,
    Suspended,
    Gone,
}

/// Why it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untold {
    /// Another try may help.
    Away,
    Broken,
}

/// What the registry said of tenants, for as long as it is good.
pub(super) struct Known {
    registry: Registry,
    on_outage: OnRegistryOutage,
    clock: Arc<dyn Clock>,
    fresh: Duration,
    /// How many tenants one of the two generations holds.
    half: usize,
    tenants: RwLock<Generations>,
}

/// The tenants that were asked for lately, and those before them: when the young are as many as they may be, the old are
/// forgotten and the young are old. Nothing is searched for what to forget, however many ids somebody invents.
#[derive(Default)]
struct Generations {
    young: HashMap<TenantId, Arc<Entry>>,
    old: HashMap<TenantId, Arc<Entry>>,
}

#[derive(Default)]
struct Entry {
    state: Mutex<State>,
}

/// Times are those at which somebody began to ask, so that an answer is never taken for newer than it is.
#[derive(Default)]
struct State {
    learned: Option<(Standing, MonoTime)>,
    failed: Option<(Untold, MonoTime)>,
    asking: bool,
    waiting: Vec<Waker>,
}

/// What a request does next.
enum Turn<'e> {
    Done(Standing),
    Failed(Untold, Option<(Standing, MonoTime)>),
    Ask(Asking<'e>),
    Wait,
}

impl Known {
    pub(super) fn new(
        registry: Registry,
        on_outage: OnRegistryOutage,
        clock: Arc<dyn Clock>,
        fresh: Duration,
        capacity: usize,
    ) -> Self {
        let half = (capacity / 2).max(1);
        Self { registry, on_outage, clock, fresh, half, tenants: RwLock::default() }
    }

    /// Where the scope's tenant stood at some moment since `fresh` before this call.
    pub(super) async fn standing(&self, scope: &Scope) -> Result<Standing, Untold> {
        let entry = self.entry(scope.tenant());
        let came = self.clock.monotonic();
        loop {
            match entry.turn(came, self.fresh) {
                Turn::Done(standing) => return Ok(standing),
                Turn::Failed(untold, last) => return self.last_known(untold, last, came),
                Turn::Wait => Ended(&entry).await,
                Turn::Ask(asking) => {
                    let began = self.clock.monotonic();
                    let answer = self.registry.own(scope).await;
                    asking.answered(read(answer.map(|profile| profile.status)), began);
                }
            }
        }
    }

    /// What is known of a tenant and is no older than it may be, without asking anybody.
    pub(super) fn at_hand(&self, scope: &Scope) -> Option<Standing> {
        let came = self.clock.monotonic();
        let tenants = self.tenants.read();
        tenants.young.get(scope.tenant())?.state.lock().fresh(came, self.fresh)
    }

    fn last_known(
        &self,
        untold: Untold,
        last: Option<(Standing, MonoTime)>,
        came: MonoTime,
    ) -> Result<Standing, Untold> {
        match (self.on_outage, last) {
            (OnRegistryOutage::LastKnown(within), Some((standing, at)))
                if untold == Untold::Away && came <= at + within =>
            {
                Ok(standing)
            }
            _ => Err(untold),
        }
    }

    fn entry(&self, tenant: &TenantId) -> Arc<Entry> {
        if let Some(entry) = self.tenants.read().young.get(tenant) {
            return Arc::clone(entry);
        }
        let mut tenants = self.tenants.write();
        let Generations { young, old } = &mut *tenants;
        if let Some(entry) = young.get(tenant) {
            return Arc::clone(entry);
        }
        let entry = old.remove(tenant).unwrap_or_default();
        let forgotten =
            if young.len() >= self.half { mem::replace(old, mem::take(young)) } else { HashMap::default() };
        young.insert(tenant.clone(), Arc::clone(&entry));
        // To free them takes a while, for which nobody should wait.
        drop(tenants);
        drop(forgotten);
        entry
    }
}

/// What the answer means. A tenant that is gone is one that is not found.
fn read(answer: Result<String, Error>) -> Result<Standing, Untold> {
    match answer {
        Ok(status) if status == "active" => Ok(Standing::Active),
        Ok(status) if status == "suspended" => Ok(Standing::Suspended),
        // What later versions may add is not active.
        Ok(_) | Err(Error::NotFound { .. }) => Ok(Standing::Gone),
        Err(Error::Store(error)) if error.is_transient() => Err(Untold::Away),
        Err(_) => Err(Untold::Broken),
    }
}

/// How long nobody asks again when the registry could not tell, at most.
const FAILED: Duration = Duration::from_secs(1);

impl State {
    fn fresh(&self, came: MonoTime, fresh: Duration) -> Option<Standing> {
        self.learned.filter(|(_, at)| came <= *at + fresh).map(|(standing, _)| standing)
    }
}

impl Entry {
    fn turn(&self, came: MonoTime, fresh: Duration) -> Turn<'_> {
        let mut state = self.state.lock();
        // Compared with when the request came, and not with the present, so that who waited long does not wait again.
        if let Some(standing) = state.fresh(came, fresh) {
            return Turn::Done(standing);
        }
        if let Some((untold, at)) = state.failed
            && came <= at + fresh.min(FAILED)
        {
            return Turn::Failed(untold, state.learned);
        }
        if state.asking {
            return Turn::Wait;
        }
        state.asking = true;
        Turn::Ask(Asking { entry: self })
    }
}

/// The one who asks. However it ends, the others go on: when it is dropped half-way, one of them asks.
struct Asking<'e> {
    entry: &'e Entry,
}

impl Asking<'_> {
    fn answered(self, answer: Result<Standing, Untold>, began: MonoTime) {
        let mut state = self.entry.state.lock();
        match answer {
            Ok(standing) => {
                state.learned = Some((standing, began));
                state.failed = None;
            }
            Err(untold) => state.failed = Some((untold, began)),
        }
        drop(state);
        drop(self);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.entry.state.lock();
            state.asking = false;
            mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// Ends when nobody asks any more.
struct Ended<'e>(&'e Entry);

impl Future for Ended<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.state.lock();
        if !state.asking {
            return Poll::Ready(());
        }
        // One that is polled again and again while it waits is to be woken once.
        if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}
