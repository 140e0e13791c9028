use std::collections::BTreeMap;
use std::fmt;

use guardian_core::{TenantId, Timestamp};

use super::error::BundleError;
use super::events::{EVENTS_MAGIC, PROOF_MAGIC, head};
use super::hashed::HashedWriter;
use super::manifest::{FileEntry, Manifest};
use super::place::BundleSink;
use super::{checkpoints, file};
use crate::canonical;
use crate::checkpoint::{Seal, SealedCheckpoint, Signer, VerifyingKey};
use crate::merkle::{Hash, NodeId, ProofError, Selection, leaf_hash};

/// What a bundle is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BundleHead {
    /// Whose events.
    pub tenant: TenantId,
    /// What was asked for, as text, where events were left out on purpose.
    pub query: Option<String>,
    /// When.
    pub created: Timestamp,
    /// How many events the log has: the size of the checkpoint that the bundle ends with.
    pub size: u64,
}

impl BundleHead {
    /// A bundle of a tenant's events, made now, from a log of this size.
    #[must_use]
    pub fn new(tenant: TenantId, created: Timestamp, size: u64) -> Self {
        Self { tenant, query: None, created, size }
    }

    /// The same with what was asked for, at most [`Manifest::MAX_QUERY`] bytes.
    #[must_use]
    pub fn with_query(mut self, query: impl Into<String>) -> Self {
        self.query = Some(query.into());
        self
    }
}

/// What a bundle ends with.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Seals<'a> {
    /// Checkpoints that follow each other, each with the proof that it contains the one before (empty for the first). The
    /// last is signed and covers the whole log.
    pub checkpoints: &'a [(SealedCheckpoint, Vec<Hash>)],
    /// The public keys.
    pub keys: &'a [VerifyingKey],
    /// Who signs the manifest, so that nobody leaves events out of a search unseen.
    pub signer: Option<&'a dyn Signer>,
}

impl<'a> Seals<'a> {
    /// Checkpoints and keys, without a signature over the manifest.
    #[must_use]
    pub fn new(checkpoints: &'a [(SealedCheckpoint, Vec<Hash>)], keys: &'a [VerifyingKey]) -> Self {
        Self { checkpoints, keys, signer: None }
    }

    /// The same with a signature over the manifest.
    #[must_use]
    pub fn signed_by(mut self, signer: &'a dyn Signer) -> Self {
        self.signer = Some(signer);
        self
    }
}

/// Writes a bundle event by event, in constant memory.
///
/// Before each event the writer says which nodes of the tree lie in the [gap](Self::gap), and the caller fetches their
/// hashes, so that it does not matter whether the store is asynchronous.
///
/// ```
/// use guardian_audit::bundle::{BundleHead, BundleVerifier, BundleWriter, InMemory, Seals};
/// use guardian_audit::checkpoint::{Checkpoint, Ed25519Signer, KeyRing, SealedCheckpoint, Signer};
/// use guardian_audit::merkle::{Tree, leaf_hash};
/// use guardian_audit::{Assessment, AuditEvent, canonical};
/// use guardian_core::{Clock, ManualClock, TenantId};
///
/// // A log of ten events.
/// let (acme, now) = (TenantId::new("acme")?, ManualClock::new().now());
/// let mut tree = Tree::new();
/// let mut records = Vec::new();
/// for sequence in 0..10 {
///     let mut record = canonical::heading(&acme, sequence, now);
///     record.extend(canonical::encode_body(&AuditEvent::new("deal.updated"), &Assessment::default(), &[])?);
///     tree.append(leaf_hash(&record));
///     records.push(record);
/// }
/// let signer = Ed25519Signer::from_seed("audit.example.com/2026", &[7; 32])?;
/// let checkpoint = Checkpoint::new(acme.clone(), tree.size(), tree.root(), None, now)?;
/// let checkpoints = [(SealedCheckpoint::signed(checkpoint, &signer)?, Vec::new())];
///
/// // Three of them, for an auditor.
/// let nodes = |nodes: Vec<_>| nodes.into_iter().map(|node| tree.node(node).unwrap()).collect::<Vec<_>>();
/// let mut writer = BundleWriter::create(InMemory::new(), BundleHead::new(acme, now, 10).with_query("deal.updated"))?;
/// for sequence in [2, 3, 7] {
///     let record = &records[sequence as usize];
///     let gap = nodes(writer.gap(sequence)?);
///     writer.push(sequence, leaf_hash(record), Some(record), &gap)?;
/// }
/// let rest = nodes(writer.rest());
/// let keys = [signer.verifying_key().clone()];
/// let (bundle, manifest) = writer.finish(&rest, Seals::new(&checkpoints, &keys).signed_by(&signer))?;
/// assert_eq!((manifest.events, manifest.first, manifest.last), (3, Some(2), Some(7)));
///
/// let ring = KeyRing::new().accept(signer.verifying_key().clone());
/// let verified = BundleVerifier::new().with_keys(&ring).verify(&bundle)?;
/// assert_eq!(verified.manifest, manifest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BundleWriter<S: BundleSink> {
    sink: S,
    head: BundleHead,
    events: HashedWriter<S::File>,
    proof: HashedWriter<S::File>,
    selection: Selection,
    at: u64,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    events: u64,
    dropped: u64,
    first: Option<u64>,
    last: Option<u64>,
}

impl<S: BundleSink> fmt::Debug for BundleWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleWriter")
            .field("head", &self.head)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl<S: BundleSink> BundleWriter<S> {
    /// Begins a bundle.
    ///
    /// # Errors
    /// When the files cannot be made, or the query is too long.
    pub fn create(mut sink: S, head: BundleHead) -> Result<Self, BundleError> {
        if head.query.as_ref().is_some_and(|query| query.len() > Manifest::MAX_QUERY) {
            let why = format!("the query has more than {} bytes", Manifest::MAX_QUERY);
            return Err(BundleError::malformed(file::MANIFEST, 0, why));
        }
        let events = begin(&mut sink, file::EVENTS, EVENTS_MAGIC)?;
        let proof = begin(&mut sink, file::PROOF, PROOF_MAGIC)?;
        let selection = Selection::new(head.size);
        let at = EVENTS_MAGIC.len() as u64;
        Ok(Self { sink, head, events, proof, selection, at, counts: Counts::default() })
    }

    /// The nodes whose hashes [`Self::push`] needs with this event.
    ///
    /// # Errors
    /// When the event does not lie behind the last one, or not in the log.
    pub fn gap(&self, sequence: u64) -> Result<Vec<NodeId>, BundleError> {
        let gap = self.selection.gap(sequence).map_err(|error| self.event(sequence, &error));
        Ok(gap?.collect())
    }

    /// The next event: its sequence, its leaf hash, its canonical bytes unless they were dropped, and the hashes of the
    /// nodes of its [gap](Self::gap).
    ///
    /// # Errors
    /// When it cannot be written; when the bytes do not belong to the hash (the log itself is damaged); when the event
    /// does not lie behind the last one; when the gap has another number of nodes.
    pub fn push(
        &mut self,
        sequence: u64,
        hash: Hash,
        record: Option<&[u8]>,
        gap: &[Hash],
    ) -> Result<(), BundleError> {
        let wrong = |why: &str| BundleError::Event { sequence, at: self.at, why: why.to_owned() };
        if record.is_some_and(|record| record.is_empty() || record.len() > canonical::MAX_RECORD) {
            return Err(wrong("its bytes are none, or too many"));
        }
        if record.is_some_and(|record| leaf_hash(record) != hash) {
            return Err(wrong("its bytes are not those of its leaf hash: the log is damaged"));
        }
        let head = head(sequence, hash, record).ok_or_else(|| wrong("its bytes are too many"))?;
        let nodes = self.gap(sequence)?;
        self.skip(sequence, &nodes, gap)?;
        self.selection.leaf(hash).map_err(|error| self.event(sequence, &error))?;
        let io = BundleError::io(file::EVENTS);
        self.events.write(&head).map_err(&io)?;
        self.events.write(record.unwrap_or_default()).map_err(&io)?;
        self.at += (head.len() + record.map_or(0, <[u8]>::len)) as u64;
        self.counts.events += 1;
        self.counts.dropped += u64::from(record.is_none());
        self.counts.first.get_or_insert(sequence);
        self.counts.last = Some(sequence);
        Ok(())
    }

    /// The nodes whose hashes [`Self::finish`] needs.
    #[must_use]
    pub fn rest(&self) -> Vec<NodeId> {
        self.selection.rest().collect()
    }

    /// Ends the bundle. The manifest is written last, so a bundle that was not finished has none.
    ///
    /// # Errors
    /// When something cannot be written; when the events do not lead to the root of the last checkpoint, or there is
    /// none: a bundle that would not verify is not made.
    pub fn finish(mut self, rest: &[Hash], seals: Seals<'_>) -> Result<(S, Manifest), BundleError> {
        let nodes = self.rest();
        self.skip(self.head.size, &nodes, rest)?;
        let Some((last, _)) = seals.checkpoints.last() else {
            return Err(BundleError::malformed(file::CHECKPOINTS, 0, "a bundle needs a checkpoint"));
        };
        let last = last.checkpoint();
        if last.size() != self.head.size {
            return Err(BundleError::disagrees("the size of the log", &self.head.size, &last.size()));
        }
        let root = last.root();
        if let Some(computed) = self.selection.root().filter(|computed| *computed != root) {
            return Err(BundleError::Root { computed, expected: root });
        }
        let mut files = BTreeMap::new();
        let Self { mut sink, head, events, proof, counts, .. } = self;
        let mut listed = |name: &'static str, entry: FileEntry| files.insert(name.to_owned(), entry);
        listed(file::EVENTS, end(&mut sink, file::EVENTS, events)?);
        listed(file::PROOF, end(&mut sink, file::PROOF, proof)?);
        let texts = seals.checkpoints.iter().map(|(sealed, proof)| checkpoints::write(sealed, proof));
        listed(file::CHECKPOINTS, whole(&mut sink, file::CHECKPOINTS, texts)?);
        let lines = seals.keys.iter().map(|key| format!("{key}\n"));
        listed(file::KEYS, whole(&mut sink, file::KEYS, lines)?);
        let manifest = Manifest {
            format: Manifest::FORMAT.to_owned(),
            version: Manifest::VERSION,
            tenant: head.tenant,
            query: head.query,
            created: head.created,
            events: counts.events,
            dropped: counts.dropped,
            first: counts.first,
            last: counts.last,
            size: head.size,
            root,
            checkpoints: seals.checkpoints.len() as u64,
            files,
        };
        let text = serde_json::to_string_pretty(&manifest);
        let text = text.map_err(|error| BundleError::malformed(file::MANIFEST, 0, error.to_string()))? + "\n";
        if let Some(signer) = seals.signer {
            let signature = signer
                .sign(text.as_bytes())
                .map_err(|error| BundleError::io(file::SIGNATURE)(std::io::Error::other(error)))?;
            let line = Seal::signature(signer.verifying_key(), &signature).line();
            whole(&mut sink, file::SIGNATURE, [line])?;
        }
        whole(&mut sink, file::MANIFEST, [text])?;
        Ok((sink, manifest))
    }

    fn skip(&mut self, sequence: u64, nodes: &[NodeId], hashes: &[Hash]) -> Result<(), BundleError> {
        if nodes.len() != hashes.len() {
            let error = ProofError::WrongLength { expected: nodes.len(), found: hashes.len() };
            return Err(self.event(sequence, &error));
        }
        for (node, hash) in nodes.iter().zip(hashes) {
            self.selection.skip(*node, *hash).map_err(|error| self.event(sequence, &error))?;
            self.proof.write(hash.as_bytes()).map_err(BundleError::io(file::PROOF))?;
        }
        Ok(())
    }

    fn event(&self, sequence: u64, error: &ProofError) -> BundleError {
        BundleError::Event { sequence, at: self.at, why: error.to_string() }
    }
}

fn begin<S: BundleSink>(
    sink: &mut S,
    name: &'static str,
    magic: &[u8],
) -> Result<HashedWriter<S::File>, BundleError> {
    let io = BundleError::io(name);
    let mut writer = HashedWriter::new(sink.create(name).map_err(&io)?);
    writer.write(magic).map_err(&io)?;
    Ok(writer)
}

fn end<S: BundleSink>(
    sink: &mut S,
    name: &'static str,
    writer: HashedWriter<S::File>,
) -> Result<FileEntry, BundleError> {
    let io = BundleError::io(name);
    let (inner, entry) = writer.finish().map_err(&io)?;
    sink.close(name, inner).map_err(&io)?;
    Ok(entry)
}

fn whole<S: BundleSink>(
    sink: &mut S,
    name: &'static str,
    texts: impl IntoIterator<Item = String>,
) -> Result<FileEntry, BundleError> {
    let mut writer = begin(sink, name, &[])?;
    for text in texts {
        writer.write(text.as_bytes()).map_err(BundleError::io(name))?;
    }
    end(sink, name, writer)
}
