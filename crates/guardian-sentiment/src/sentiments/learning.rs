//! What tenants teach: corrections, what is kept of them, and the models that follow.

use std::collections::BTreeSet;
use std::sync::Arc;

use guardian_core::{Scope, StoreError};

use super::own::{Found, Own, Stamp};
use super::{MAX_TRIES, Model, Sentiments};
use crate::adaptation::{ids_of, without};
use crate::segment::shown;
use crate::store::AdaptationState;
use crate::{
    Adaptation, Corrected, Correction, English, Ensemble, Entry, Error, Learned, Message, ModelError,
    SentimentModel, Shadow,
};

impl Sentiments {
    /// Puts right how a message was read: in the history and in its series, and the tenant's model learns from it. The same
    /// correction again changes nothing. Of two people who correct one message at once, the one that the history has is learned.
    ///
    /// # Errors
    /// When there is no such message, or no more, or the store fails, or a later version of this crate wrote what was learned; then the
    /// history may have it already while the model has not learned: correct again.
    pub async fn correct(
        &self,
        scope: &Scope,
        message: &Message,
        correction: impl Into<Correction>,
    ) -> Result<Entry, Error> {
        let correction = correction.into();
        let corrected = Corrected::new(correction, self.clock.now(), scope.actor().to_string());
        let unknown = || Error::UnknownMessage { id: shown(message.id()) };
        if self.store.correct(scope, message.id(), &corrected, &self.policy).await?.is_none() {
            // It may have been forgotten while somebody corrected it who ended before the model could forget it too.
            self.unlearn(scope, Some(message.id())).await?;
            return Err(unknown());
        }
        let text = message.own_text();
        let mut wanted = correction;
        for _ in 0..MAX_TRIES {
            self.change(scope, Some(message.id()), |adaptation| {
                matches!(adaptation.learn(message.id(), &text, wanted), Learned::New | Learned::Replaced)
            })
            .await?;
            // The history is right. It may be that the message was forgotten meanwhile, or corrected by another person.
            let entry = self.store.entry(scope, message.id()).await?;
            match entry.as_ref().and_then(said) {
                Some(now) if now == wanted => return entry.ok_or_else(unknown),
                Some(now) => wanted = now,
                None => {
                    self.unlearn(scope, Some(message.id())).await?;
                    return Err(unknown());
                }
            }
        }
        Err(Error::Contended)
    }

    /// How much better the tenant's own model reads than the shipped one, on corrections that it has not learned from; `None` when
    /// there are none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn shadow(&self, scope: &Scope) -> Result<Option<Shadow>, Error> {
        let found = self.adaptation(scope).await?.filter(|adaptation| !adaptation.is_empty());
        Ok(found.map(|adaptation| adaptation.shadow()))
    }

    /// The version of what the tenant taught, to go back to; 0 when there is nothing.
    ///
    /// # Errors
    /// As for [`Self::shadow`].
    pub async fn version(&self, scope: &Scope) -> Result<u64, Error> {
        Ok(self.adaptation(scope).await?.map_or(0, |adaptation| adaptation.version()))
    }

    /// Goes back to an earlier version of what the tenant taught; histories keep their corrections. Says how many corrections were
    /// dropped: none when the version is not behind the present one. Versions begin anew where learning did: after
    /// [`Self::forget_tenant`], and on top of another model.
    ///
    /// # Errors
    /// When the store fails, or a later version of this crate wrote what was learned.
    pub async fn roll_back(&self, scope: &Scope, version: u64) -> Result<usize, Error> {
        let mut dropped = 0;
        self.change(scope, None, |adaptation| {
            dropped = adaptation.roll_back(version);
            dropped > 0
        })
        .await?;
        Ok(dropped)
    }

    /// What the tenant taught, as it can be used.
    async fn adaptation(&self, scope: &Scope) -> Result<Option<Adaptation>, Error> {
        let Model::Learning(base) = &self.model else { return Ok(None) };
        Ok(self.store.adaptation(scope).await?.map(|state| learned(base, &state)))
    }

    /// Changes what the tenant taught, if the work says that it changed something. What a later version of this crate wrote is not
    /// written over. Nothing is changed that would be learned from a message whose correction is gone.
    async fn change(
        &self,
        scope: &Scope,
        learned_from: Option<&str>,
        mut work: impl FnMut(&mut Adaptation) -> bool + Send,
    ) -> Result<(), Error> {
        let Model::Learning(base) = &self.model else { return Ok(()) };
        for _ in 0..MAX_TRIES {
            let asked = self.asked(scope);
            let (version, mut adaptation) = match self.store.adaptation(scope).await? {
                Some(state) => match Adaptation::from_bytes(base, &state.bytes) {
                    Err(newer @ ModelError::Version { .. }) => return Err(newer.into()),
                    read => (state.version, read.unwrap_or_else(|_| Adaptation::new(base))),
                },
                None => (0, Adaptation::new(base)),
            };
            if !work(&mut adaptation) {
                return Ok(());
            }
            let state = AdaptationState { version: version + 1, bytes: adaptation.to_bytes() };
            if let Some(version) = self.store.put_adaptation(scope, &state, learned_from).await? {
                self.keep(scope, &AdaptationState { version, bytes: state.bytes }, adaptation, asked);
                return Ok(());
            }
            // Another has learned meanwhile, or forgotten.
            if let Some(id) = learned_from
                && self.store.entry(scope, id).await?.as_ref().and_then(said).is_none()
            {
                return Ok(());
            }
        }
        Err(Error::Contended)
    }

    /// What is at hand before the store is asked.
    fn asked(&self, scope: &Scope) -> Option<u64> {
        self.owns.lock().change_of(scope.tenant())
    }

    fn keep(&self, scope: &Scope, state: &AdaptationState, adaptation: Adaptation, asked: Option<u64>) {
        let own = Arc::new(Own::new(Stamp::from(state), adaptation));
        self.owns.lock().changed(scope.tenant(), own, asked, self.clock.monotonic());
    }

    /// The model to record with: of a store that is away nothing can be recorded anyway.
    pub(super) async fn model_of(&self, scope: &Scope) -> Result<Arc<dyn SentimentModel>, Error> {
        self.model(scope, |error, _| Err(error)).await
    }

    /// The model to read with: while the store is away, the one at hand.
    pub(super) async fn model_at_hand(&self, scope: &Scope) -> Result<Arc<dyn SentimentModel>, Error> {
        self.model(scope, |error, own| if error.is_transient() { Ok(own) } else { Err(error) }).await
    }

    async fn model(
        &self,
        scope: &Scope,
        away: impl FnOnce(StoreError, Option<Arc<Own>>) -> Result<Option<Arc<Own>>, StoreError> + Send,
    ) -> Result<Arc<dyn SentimentModel>, Error> {
        let base = match &self.model {
            Model::Fixed(model) => return Ok(Arc::clone(model)),
            Model::Learning(base) => base,
        };
        let now = self.clock.monotonic();
        let found = self.owns.lock().find(scope.tenant(), now);
        let own = match found {
            Found::Young(own) => own,
            Found::Old(asked) => match self.store.adaptation(scope).await {
                Ok(state) => {
                    let own = state.map(|state| {
                        let stamp = Stamp::from(&state);
                        // The model of what did not change is not computed again.
                        asked.same(stamp).unwrap_or_else(|| Arc::new(Own::new(stamp, learned(base, &state))))
                    });
                    self.owns.lock().answer(scope.tenant(), &asked, own, now)
                }
                Err(error) => away(error, asked.own)?,
            },
        };
        Ok(match own {
            Some(own) => Arc::new(English(own.model().await)),
            None => Arc::new(English(base.clone())),
        })
    }

    /// Takes out of what was learned, on top of whichever model it was, what no history has: a correction is in the history before
    /// it is learned, so that nothing may stay learned of an entry that is gone, or that is there without a correction because
    /// its id was used again. Of one message, or of all. What is damaged goes altogether; what a later version of this crate
    /// wrote stays as it is, and is an error.
    pub(super) async fn unlearn(&self, scope: &Scope, id: Option<&str>) -> Result<(), Error> {
        for _ in 0..MAX_TRIES {
            let asked = self.asked(scope);
            let Some(state) = self.store.adaptation(scope).await? else {
                // The tenant may have been forgotten by another process.
                self.owns.lock().nothing(scope.tenant(), asked, self.clock.monotonic());
                return Ok(());
            };
            let mut gone = BTreeSet::new();
            match ids_of(&state.bytes) {
                Ok(mut ids) => {
                    ids.retain(|other| id.is_none_or(|id| id == other));
                    if !ids.is_empty() {
                        let corrected = self.store.corrected(scope, &ids).await?;
                        gone.extend(ids.into_iter().filter(|id| !corrected.contains(id)));
                    }
                    if gone.is_empty() {
                        return Ok(());
                    }
                }
                Err(newer @ ModelError::Version { .. }) => return Err(newer.into()),
                Err(_) => {}
            }
            let state = AdaptationState { version: state.version + 1, bytes: without(&state.bytes, &gone) };
            if let Some(version) = self.store.put_adaptation(scope, &state, None).await? {
                if let Model::Learning(base) = &self.model {
                    let state = AdaptationState { version, bytes: state.bytes };
                    self.keep(scope, &state, learned(base, &state), asked);
                }
                return Ok(());
            }
        }
        Err(Error::Contended)
    }
}

/// What was learned, on top of this model, as it is read with. What cannot be used is as if nothing had been learned: on top of
/// another model, damaged, or in the format of a later version of this crate. Messages are read all the same.
fn learned(base: &Ensemble, state: &AdaptationState) -> Adaptation {
    Adaptation::from_bytes(base, &state.bytes).unwrap_or_else(|_| Adaptation::new(base))
}

/// What a person said of an entry.
fn said(entry: &Entry) -> Option<Correction> {
    let Corrected { polarity, feeling, .. } = *entry.correction.as_ref()?;
    Some(Correction { polarity, feeling })
}
