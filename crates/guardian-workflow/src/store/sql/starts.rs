//! Starts that come at the same time share a transaction: one leads, and takes along what came while another one led.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::task::{Poll, Waker};

use guardian_core::TenantId;
use parking_lot::Mutex;

use super::runs::NewRun;

/// Starts of one transaction, at most.
const MOST: usize = 64;
/// Tenants that share a lane wait for each other.
const LANES: usize = 16;

/// Where starts wait for their turn.
#[derive(Default)]
pub(super) struct Starts {
    lanes: [Mutex<Lane>; LANES],
}

#[derive(Default)]
struct Lane {
    /// Whether somebody leads.
    led: bool,
    waiting: VecDeque<Arc<Ticket>>,
}

/// A start that waits.
pub(super) struct Ticket {
    pub(super) run: NewRun,
    at: Mutex<At>,
}

enum At {
    Waiting(Option<Waker>),
    /// It is stored, or was there before.
    Done(bool),
    /// Whoever took it along did not come to an end: it goes alone.
    Alone,
}

/// How it goes on with a start.
pub(super) enum Turn<'s> {
    Done(bool),
    Alone,
    /// It leads these, of which the first is its own.
    Lead(Batch<'s>),
}

/// Starts that are being stored together.
pub(super) struct Batch<'s> {
    lane: &'s Mutex<Lane>,
    pub(super) tickets: Vec<Arc<Ticket>>,
}

/// A start's place in the queue.
struct Place<'s> {
    lane: &'s Mutex<Lane>,
    ticket: Arc<Ticket>,
}

impl Starts {
    fn lane(&self, tenant: &TenantId) -> &Mutex<Lane> {
        let mut hasher = DefaultHasher::new();
        tenant.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % LANES as u64).unwrap_or(0);
        let [first, ..] = &self.lanes;
        self.lanes.get(at).unwrap_or(first)
    }

    /// Waits until the run is stored by somebody else, or until it is its turn.
    pub(super) async fn turn(&self, run: NewRun) -> (Arc<Ticket>, Turn<'_>) {
        let lane = self.lane(&run.tenant);
        let ticket = Arc::new(Ticket { run, at: Mutex::new(At::Waiting(None)) });
        lane.lock().waiting.push_back(Arc::clone(&ticket));
        let place = Place { lane, ticket: Arc::clone(&ticket) };
        let turn = poll_fn(|context| {
            let mut line = lane.lock();
            match &mut *ticket.at.lock() {
                At::Done(new) => return Poll::Ready(Turn::Done(*new)),
                At::Alone => return Poll::Ready(Turn::Alone),
                At::Waiting(waker) if line.led => {
                    *waker = Some(context.waker().clone());
                    return Poll::Pending;
                }
                At::Waiting(_) => line.led = true,
            }
            let mut tickets = vec![Arc::clone(&ticket)];
            line.waiting.retain(|other| {
                let own = Arc::ptr_eq(other, &ticket);
                let along = !own && tickets.len() < MOST && other.run.tenant == ticket.run.tenant;
                if along {
                    tickets.push(Arc::clone(other));
                }
                !own && !along
            });
            Poll::Ready(Turn::Lead(Batch { lane, tickets }))
        })
        .await;
        drop(place);
        (ticket, turn)
    }
}

impl Ticket {
    fn settle(&self, at: At) {
        let before = std::mem::replace(&mut *self.at.lock(), at);
        if let At::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl Batch<'_> {
    /// Tells each whether it was stored or there before.
    pub(super) fn done(mut self, new: &[bool]) {
        for (ticket, new) in std::mem::take(&mut self.tickets).iter().zip(new) {
            ticket.settle(At::Done(*new));
        }
    }
}

impl Drop for Batch<'_> {
    /// What has no answer goes alone, and the next one leads.
    fn drop(&mut self) {
        for ticket in self.tickets.iter().skip(1) {
            ticket.settle(At::Alone);
        }
        let mut lane = self.lane.lock();
        lane.led = false;
        lane.call_next();
    }
}

impl Lane {
    fn call_next(&self) {
        if let Some(next) = self.waiting.front()
            && let At::Waiting(waker) = &mut *next.at.lock()
            && let Some(waker) = waker.take()
        {
            waker.wake();
        }
    }
}

impl Drop for Place<'_> {
    /// Somebody who goes away must not be waited for.
    fn drop(&mut self) {
        let mut lane = self.lane.lock();
        lane.waiting.retain(|other| !Arc::ptr_eq(other, &self.ticket));
        if !lane.led {
            lane.call_next();
        }
    }
}
