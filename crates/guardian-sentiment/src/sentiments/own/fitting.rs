//! The model of one tenant, computed once and apart from those who wait for it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::thread;

use parking_lot::Mutex;

use super::Stamp;
use crate::{Adaptation, Adapted};

/// Up to so many n-grams a model is computed at once, within a millisecond or so; more of them are computed by a thread of their
/// own, since who asks runs on a thread that others need.
const AT_ONCE: usize = 1_000;

/// What a tenant taught, whose model is computed once, when somebody reads with it.
#[derive(Debug)]
pub(in crate::sentiments) struct Own {
    stamp: Stamp,
    /// The version of what was learned, by its own count.
    version: u64,
    weight: AtomicUsize,
    state: Mutex<State>,
    #[cfg(test)]
    fits: std::sync::atomic::AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    /// Until somebody asks for the model.
    learned: Option<Adaptation>,
    model: Option<Adapted>,
    /// What is read with until the model is there.
    before: Option<Adapted>,
    waiting: Vec<Waker>,
}

/// Who is next, and how many threads compute.
#[derive(Debug)]
struct Queue {
    next: VecDeque<(Arc<Own>, Adaptation)>,
    threads: usize,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue { next: VecDeque::new(), threads: 0 });

impl Own {
    pub(in crate::sentiments) fn new(stamp: Stamp, learned: Adaptation) -> Self {
        Self {
            stamp,
            version: learned.version(),
            weight: AtomicUsize::new(learned.weight()),
            state: Mutex::new(State { learned: Some(learned), ..State::default() }),
            #[cfg(test)]
            fits: std::sync::atomic::AtomicU32::new(0),
        }
    }

    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// How many n-grams it has weights of, or at most may have.
    pub(super) fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    /// Until its model is there, that of an earlier one is read with, unless something was forgotten in between: then who reads waits,
    /// lest they read with what was forgotten.
    pub(super) fn follows(&self, earlier: &Self) {
        let at_hand = {
            let earlier = earlier.state.lock();
            earlier.model.as_ref().or(earlier.before.as_ref()).cloned()
        };
        let mut state = self.state.lock();
        let has_only_learned = |learned: &Adaptation| learned.has_only_learned_since(earlier.version);
        if state.model.is_none() && state.learned.as_ref().is_some_and(has_only_learned) {
            state.before = at_hand;
        }
    }

    /// The model. Who asks first waits for it, so that they read with what they taught; who asks while it is computed gets the one
    /// that was there before, or waits if there was none. Nobody computes much, or blocks, on the thread that they ask on.
    pub(in crate::sentiments) async fn model(self: &Arc<Self>) -> Adapted {
        let learned = {
            let mut state = self.state.lock();
            let learned = state.learned.take();
            let at_hand =
                if learned.is_some() { None } else { state.model.as_ref().or(state.before.as_ref()) };
            if let Some(model) = at_hand {
                return model.clone();
            }
            learned
        };
        match learned {
            Some(learned) if learned.weight() <= AT_ONCE => return self.compute(&learned),
            Some(learned) => queue(Arc::clone(self), learned),
            None => {}
        }
        poll_fn(|context| {
            let mut state = self.state.lock();
            if let Some(model) = &state.model {
                return Poll::Ready(model.clone());
            }
            state.waiting.retain(|waker| !waker.will_wake(context.waker()));
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn compute(&self, learned: &Adaptation) -> Adapted {
        #[cfg(test)]
        self.fits.fetch_add(1, Ordering::Relaxed);
        let model = learned.model();
        self.weight.store(model.weight(), Ordering::Relaxed);
        let waiting = {
            let mut state = self.state.lock();
            state.model = Some(model.clone());
            state.before = None;
            std::mem::take(&mut state.waiting)
        };
        for waker in waiting {
            waker.wake();
        }
        model
    }

    #[cfg(test)]
    pub(super) fn weighing(weight: usize) -> Self {
        let own = Self::new(Stamp { version: 1, sum: None }, Adaptation::new(&crate::Ensemble::default()));
        own.weight.store(weight, Ordering::Relaxed);
        own
    }
}

/// Has a model computed by a thread, of which there are as many as half of the processors.
fn queue(own: Arc<Own>, learned: Adaptation) {
    let most = thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).max(1));
    let mut queue = QUEUE.lock();
    queue.next.push_back((own, learned));
    if queue.threads >= most {
        return;
    }
    queue.threads += 1;
    drop(queue);
    if thread::Builder::new().name("sentiment-own".to_owned()).spawn(work).is_err() {
        // Without threads it has to be here.
        work();
    }
}

fn work() {
    loop {
        let next = {
            let mut queue = QUEUE.lock();
            let next = queue.next.pop_front();
            if next.is_none() {
                queue.threads -= 1;
            }
            next
        };
        let Some((own, learned)) = next else { return };
        // A model that nobody has and nobody waits for any more is not worth the time of the others.
        if Arc::strong_count(&own) > 1 {
            own.compute(&learned);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use guardian_core::{Clock, SystemClock};

    use super::*;
    use crate::{Ensemble, Polarity, SentimentModel};

    fn learned(corrections: usize, words: usize) -> Adaptation {
        let mut learned = Adaptation::new(&Ensemble::default());
        for n in 0..corrections {
            let text: String = (0..words).map(|word| format!("word{n}x{word} ")).collect();
            learned.learn(&format!("m{n}"), &format!("spinner {text}"), Polarity::Negative);
        }
        learned
    }

    fn own(learned: &Adaptation) -> Arc<Own> {
        Arc::new(Own::new(Stamp { version: 1, sum: None }, learned.clone()))
    }

    /// Whoever asks at once, it is computed once, and all read the same.
    #[test]
    fn one_model_is_computed_once() {
        for learned in [learned(2, 3), learned(40, 40)] {
            let own = own(&learned);
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
            let models = runtime.block_on(async {
                let asking: Vec<_> = (0..8)
                    .map(|_| {
                        let own = Arc::clone(&own);
                        tokio::spawn(async move { own.model().await })
                    })
                    .collect();
                let mut models = Vec::new();
                for asking in asking {
                    models.push(asking.await.unwrap());
                }
                models
            });
            assert_eq!(own.fits.load(Ordering::Relaxed), 1);
            let expected = learned.model().read("the spinner");
            assert!(models.iter().all(|model| model.read("the spinner") == expected));
            assert!(own.weight() > 0 && own.weight() <= learned.weight());
        }
    }

    /// One thread serves all: while one tenant's large model is computed it does other things, and others of the tenant read with
    /// the model before.
    #[test]
    fn nobody_is_kept_waiting_by_a_model_that_is_computed() {
        let (small, large) = (learned(3, 3), learned(400, 60));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let before = own(&small);
            before.model().await;
            let own = own(&large);
            own.follows(&before);
            let first = tokio::spawn({
                let own = Arc::clone(&own);
                async move { own.model().await }
            });
            let clock = SystemClock::new();
            let began = clock.monotonic();
            tokio::task::yield_now().await;
            assert!(!first.is_finished(), "it was computed here");
            let meanwhile = own.model().await;
            let waited = clock.monotonic().since(began);
            assert_eq!(meanwhile.read("the spinner"), small.model().read("the spinner"));
            let first = first.await.unwrap();
            let all = clock.monotonic().since(began);
            assert!(waited < all / 2 || waited < Duration::from_millis(1), "{waited:?}");
            assert_eq!(first.read("the spinner"), large.model().read("the spinner"));
            assert_eq!(own.model().await.read("the spinner"), first.read("the spinner"));
        });
    }

    /// What a large model learned is read with until it is forgotten, and no longer: who reads then waits for the model without it.
    #[test]
    fn nobody_reads_with_what_was_forgotten() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let all = learned(60, 60);
            let version = all.version();
            let before = own(&all);
            before.model().await;
            let read = |learned: &Adaptation| learned.model().read("the spinner");
            for changes in 0..4 {
                let mut less = all.clone();
                assert!(changes == 3 || less.forget("m7"));
                // Whatever was learned since, also by others.
                for n in 0..changes.min(2) {
                    less.learn(&format!("new{n}"), "spinner", Polarity::Negative);
                }
                if changes == 3 {
                    assert!(less.has_only_learned_since(version));
                    // What was learned and forgotten within one look.
                    assert!(less.forget("new1"));
                }
                assert!(!less.has_only_learned_since(version));
                let own = own(&less);
                own.follows(&before);
                // The first one has it computed, the second one finds it being computed.
                let first = tokio::spawn({
                    let own = Arc::clone(&own);
                    async move { own.model().await }
                });
                tokio::task::yield_now().await;
                let meanwhile = own.model().await;
                assert_eq!(meanwhile.read("the spinner"), read(&less));
                assert_eq!(first.await.unwrap().read("the spinner"), read(&less));
            }
            // Nor does one that follows it lead back there.
            let mut less = all.clone();
            less.forget("m7");
            let between = own(&less);
            between.follows(&before);
            let mut more = less.clone();
            more.learn("new", "spinner", Polarity::Positive);
            let own = own(&more);
            own.follows(&between);
            let first = tokio::spawn({
                let own = Arc::clone(&own);
                async move { own.model().await }
            });
            tokio::task::yield_now().await;
            assert_eq!(own.model().await.read("the spinner"), read(&more));
            first.await.unwrap();
        });
    }
}
