use std::fmt;
use std::io::Read;

use guardian_core::TenantId;

use super::checkpoints::{self, Lines};
use super::error::BundleError;
use super::events::{EVENTS_MAGIC, Frame, PROOF_MAGIC, Pieces};
use super::file;
use super::hashed::measure;
use super::manifest::Manifest;
use super::place::BundleSource;
use crate::canonical;
use crate::checkpoint::{CheckpointChain, KeyId, KeyRing, Seal, VerifyingKey};
use crate::event::StoredEvent;
use crate::merkle::{Selection, leaf_hash};

/// What a bundle was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// What it says of itself, all of which holds; that no event was left out of a search holds if the manifest is
    /// [signed](Self::manifest_key).
    pub manifest: Manifest,
    /// The public keys in the bundle. Unless keys were handed in, these were believed: compare them with those that were
    /// published elsewhere.
    pub keys: Vec<VerifyingKey>,
    /// Whether the keys that were believed were handed in.
    pub keys_were_known: bool,
    /// How many of the checkpoints were signed.
    pub signed_checkpoints: u64,
    /// The key that signed the manifest, where one did.
    pub manifest_key: Option<KeyId>,
}

type Progress<'k> = Box<dyn FnMut(u64, u64) + 'k>;
type OnEvent<'k> = Box<dyn FnMut(&StoredEvent) + 'k>;

/// Verifies bundles, in constant memory, whatever is in them: every malformed, cut or hostile one is an error that names
/// the file, and the event where one is at fault.
///
/// See [`BundleWriter`](super::BundleWriter) for an example.
#[derive(Default)]
pub struct BundleVerifier<'k> {
    ring: Option<&'k KeyRing>,
    progress: Option<Progress<'k>>,
    on_event: Option<OnEvent<'k>>,
}

impl fmt::Debug for BundleVerifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleVerifier").field("ring", &self.ring).finish_non_exhaustive()
    }
}

impl<'k> BundleVerifier<'k> {
    /// How many events lie between two calls of the progress function.
    pub const PROGRESS: u64 = 1_024;

    /// The most keys in a bundle.
    pub const MAX_KEYS: usize = 64;

    /// A verifier that believes the keys in the bundle.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, which believes these keys and not those in the bundle.
    #[must_use]
    pub fn with_keys(mut self, ring: &'k KeyRing) -> Self {
        self.ring = Some(ring);
        self
    }

    /// A function that hears how many events were verified, and how many there are.
    #[must_use]
    pub fn with_progress(mut self, progress: impl FnMut(u64, u64) + 'k) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// A function that is shown each event that fits its hash. What it is shown is proven once the verification ends well,
    /// not before.
    #[must_use]
    pub fn with_events(mut self, on_event: impl FnMut(&StoredEvent) + 'k) -> Self {
        self.on_event = Some(Box::new(on_event));
        self
    }

    /// Verifies a bundle.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(mut self, bundle: &dyn BundleSource) -> Result<Verified, BundleError> {
        let text = manifest_text(bundle)?;
        let manifest = Manifest::parse(&text)?;
        let mut altered = Vec::new();
        for name in file::LISTED {
            let entry = manifest.files.get(name).ok_or(BundleError::Missing { file: name })?;
            let found = measure(&mut open(bundle, name)?, entry.bytes).map_err(BundleError::io(name))?;
            if found != *entry {
                altered.push(name);
            }
        }
        let examined = self.examine(bundle, &text, &manifest);
        let first = altered.first().copied();
        match (examined, first) {
            (Ok(verified), None) => Ok(verified),
            (Ok(_), Some(file)) => Err(BundleError::Altered { file }),
            // An altered file may show as a fault of another one, which is not to blame.
            (Err(error), Some(file)) if !blamed(&error).is_some_and(|blamed| altered.contains(&blamed)) => {
                Err(BundleError::Altered { file })
            }
            (Err(error), _) => Err(error),
        }
    }

    fn examine(
        &mut self,
        bundle: &dyn BundleSource,
        text: &[u8],
        manifest: &Manifest,
    ) -> Result<Verified, BundleError> {
        let keys = keys(bundle)?;
        let own = keys.iter().cloned().fold(KeyRing::new(), KeyRing::accept);
        let ring = self.ring.unwrap_or(&own);
        let manifest_key = signature(bundle, text, ring)?;
        let signed_checkpoints = judge_checkpoints(bundle, manifest, ring)?;
        self.examine_events(bundle, manifest)?;
        Ok(Verified {
            manifest: manifest.clone(),
            keys,
            keys_were_known: self.ring.is_some(),
            signed_checkpoints,
            manifest_key,
        })
    }

    fn examine_events(&mut self, bundle: &dyn BundleSource, manifest: &Manifest) -> Result<(), BundleError> {
        let mut events = Pieces::open(file::EVENTS, open(bundle, file::EVENTS)?, EVENTS_MAGIC)?;
        let mut proof = Pieces::open(file::PROOF, open(bundle, file::PROOF)?, PROOF_MAGIC)?;
        let mut selection = Selection::new(manifest.size);
        let (mut count, mut dropped, mut first, mut last) = (0, 0, None, None);
        while let Some(frame) = events.frame()? {
            let (sequence, at) = (frame.sequence, frame.at);
            let wrong = |why: String| BundleError::Event { sequence, at, why };
            match read(&frame, &manifest.tenant).map_err(wrong)? {
                Some(event) => {
                    if let Some(on_event) = &mut self.on_event {
                        on_event(&event);
                    }
                }
                None => dropped += 1,
            }
            let hash = frame.hash;
            for node in selection.gap(sequence).map_err(|error| wrong(error.to_string()))? {
                selection.skip(node, proof.hash()?).map_err(|error| wrong(error.to_string()))?;
            }
            selection.leaf(hash).map_err(|error| wrong(error.to_string()))?;
            count += 1;
            first.get_or_insert(sequence);
            last = Some(sequence);
            if let Some(progress) = &mut self.progress
                && count % Self::PROGRESS == 0
            {
                progress(count, manifest.events);
            }
        }
        for node in selection.rest() {
            let hash = proof.hash()?;
            let wrong =
                |error: crate::merkle::ProofError| BundleError::malformed(file::PROOF, 0, error.to_string());
            selection.skip(node, hash).map_err(wrong)?;
        }
        proof.end()?;
        let shown = |sequence: Option<u64>| {
            sequence.map_or_else(|| "none".to_owned(), |sequence| sequence.to_string())
        };
        if count != manifest.events {
            return Err(BundleError::disagrees("the number of events", &manifest.events, &count));
        }
        if dropped != manifest.dropped {
            return Err(BundleError::disagrees("the number of dropped events", &manifest.dropped, &dropped));
        }
        if (first, last) != (manifest.first, manifest.last) {
            let span = |first, last| format!("{} to {}", shown(first), shown(last));
            let (expected, found) = (span(manifest.first, manifest.last), span(first, last));
            return Err(BundleError::disagrees("which events there are", &expected, &found));
        }
        match selection.root() {
            Some(computed) if computed != manifest.root => {
                Err(BundleError::Root { computed, expected: manifest.root })
            }
            _ => {
                if let Some(progress) = &mut self.progress {
                    progress(count, manifest.events);
                }
                Ok(())
            }
        }
    }
}

/// The file whose content an error is about.
fn blamed(error: &BundleError) -> Option<&'static str> {
    match error {
        BundleError::Io { file, .. }
        | BundleError::Missing { file }
        | BundleError::Altered { file }
        | BundleError::Malformed { file, .. } => Some(file),
        BundleError::Event { .. } => Some(file::EVENTS),
        BundleError::Checkpoint { .. } | BundleError::Untrusted { .. } => Some(file::CHECKPOINTS),
        BundleError::Signature => Some(file::SIGNATURE),
        BundleError::Root { .. } | BundleError::Disagrees { .. } => None,
    }
}

fn open<'s>(bundle: &'s dyn BundleSource, name: &'static str) -> Result<Box<dyn Read + 's>, BundleError> {
    bundle.open(name).map_err(BundleError::io(name))?.ok_or(BundleError::Missing { file: name })
}

fn manifest_text(bundle: &dyn BundleSource) -> Result<Vec<u8>, BundleError> {
    let mut text = Vec::new();
    let source = open(bundle, file::MANIFEST)?;
    source
        .take(Manifest::MAX_LEN as u64 + 1)
        .read_to_end(&mut text)
        .map_err(BundleError::io(file::MANIFEST))?;
    Ok(text)
}

fn keys(bundle: &dyn BundleSource) -> Result<Vec<VerifyingKey>, BundleError> {
    let mut lines = Lines::new(file::KEYS, open(bundle, file::KEYS)?);
    let mut keys = Vec::new();
    loop {
        let at = lines.at();
        let Some(line) = lines.line()? else { return Ok(keys) };
        let key = line.parse().map_err(|error| BundleError::malformed(file::KEYS, at, format!("{error}")))?;
        if keys.len() >= BundleVerifier::MAX_KEYS {
            return Err(BundleError::malformed(file::KEYS, at, "there are too many keys"));
        }
        keys.push(key);
    }
}

/// The accepted key that signed the manifest. A signature that is there must hold.
fn signature(bundle: &dyn BundleSource, text: &[u8], ring: &KeyRing) -> Result<Option<KeyId>, BundleError> {
    let Some(source) = bundle.open(file::SIGNATURE).map_err(BundleError::io(file::SIGNATURE))? else {
        return Ok(None);
    };
    let mut lines = Lines::new(file::SIGNATURE, source);
    let line = lines.line()?.ok_or(BundleError::Signature)?;
    if lines.line()?.is_some() {
        return Err(BundleError::Signature);
    }
    let seal = Seal::parse_line(&line).map_err(|_| BundleError::Signature)?;
    let key = ring.keys().find(|key| key.id() == seal.key()).ok_or(BundleError::Signature)?;
    let holds = seal.bytes().try_into().is_ok_and(|signature| key.verifies(text, signature));
    if holds { Ok(Some(key.id().clone())) } else { Err(BundleError::Signature) }
}

/// Follows the checkpoints to the one that the events belong to, and says how many were signed.
fn judge_checkpoints(
    bundle: &dyn BundleSource,
    manifest: &Manifest,
    ring: &KeyRing,
) -> Result<u64, BundleError> {
    let mut lines = Lines::new(file::CHECKPOINTS, open(bundle, file::CHECKPOINTS)?);
    let mut chain = CheckpointChain::new(manifest.tenant.clone(), ring);
    let mut place = 0;
    while let Some((sealed, proof)) = checkpoints::read(&mut lines)? {
        place += 1;
        chain.push_proven(&sealed, &proof).map_err(|fault| BundleError::Checkpoint { place, fault })?;
    }
    if place != manifest.checkpoints {
        return Err(BundleError::disagrees("the number of checkpoints", &manifest.checkpoints, &place));
    }
    let last = chain
        .last()
        .ok_or_else(|| BundleError::disagrees("the size of the log", &manifest.size, &"unknown"))?;
    if last.size() != manifest.size {
        return Err(BundleError::disagrees("the size of the log", &manifest.size, &last.size()));
    }
    if last.root() != manifest.root {
        return Err(BundleError::disagrees("the root of the log", &manifest.root, &last.root()));
    }
    if chain.trusted().is_none_or(|trusted| trusted.hash() != last.hash()) {
        return Err(BundleError::Untrusted { size: last.size() });
    }
    Ok(chain.signed())
}

/// Reads the event of a frame; `None` when its body is gone.
fn read(frame: &Frame<'_>, tenant: &TenantId) -> Result<Option<StoredEvent>, String> {
    let Some(record) = frame.record else { return Ok(None) };
    if leaf_hash(record) != frame.hash {
        return Err("its bytes are not those of its leaf hash: it was altered".to_owned());
    }
    let event = canonical::decode(record).map_err(|error| format!("its bytes are no event: {error}"))?;
    if event.tenant != *tenant {
        return Err(format!("it is of the tenant `{}`", event.tenant));
    }
    if event.sequence != frame.sequence {
        return Err(format!("its bytes are those of event {}", event.sequence));
    }
    Ok(Some(event))
}
