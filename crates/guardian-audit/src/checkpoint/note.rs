use super::body::{Checkpoint, InvalidCheckpoint};
use super::key::{KeyId, VerifyingKey};
use crate::base64;

/// The em dash and space that begin the line of a seal.
const DASH: &str = "\u{2014} ";

/// What a key made of a checkpoint's text: an Ed25519 signature, or a code under an evolving key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    key: KeyId,
    bytes: Vec<u8>,
}

impl Seal {
    pub(super) fn new(key: KeyId, bytes: Vec<u8>) -> Self {
        Self { key, bytes }
    }

    /// The signature of this key over [`Checkpoint::text`], made elsewhere.
    #[must_use]
    pub fn signature(key: &VerifyingKey, signature: &[u8; 64]) -> Self {
        Self::new(key.id().clone(), signature.to_vec())
    }

    /// Which key made it, as it says.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// The bytes behind the key's id.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The line in a note, with its line feed.
    pub(crate) fn line(&self) -> String {
        let mut seal = self.key.hash().to_be_bytes().to_vec();
        seal.extend_from_slice(&self.bytes);
        format!("{DASH}{} {}\n", self.key.name(), base64::encode(&seal))
    }

    /// Reads a line, without its line feed.
    pub(crate) fn parse_line(line: &str) -> Result<Self, InvalidCheckpoint> {
        let wrong = |why: &str| InvalidCheckpoint(why.to_owned());
        let seal = line.strip_prefix(DASH).and_then(|line| line.split_once(' '));
        let (name, seal) = seal.ok_or_else(|| wrong("the line of a seal is `— NAME BASE64`"))?;
        let bytes = base64::decode(seal).ok_or_else(|| wrong("a seal is not in base 64"))?;
        let (hash, bytes) = bytes.split_first_chunk::<4>().ok_or_else(|| wrong("a seal is too short"))?;
        let key = KeyId::from_parts(name, *hash).map_err(|error| InvalidCheckpoint(error.to_string()))?;
        if bytes.len() > SealedCheckpoint::MAX_SEAL - 4 {
            return Err(wrong("a seal is too long"));
        }
        Ok(Self::new(key, bytes.to_vec()))
    }
}

/// A checkpoint with its seals: a C2SP signed note.
///
/// Reading one verifies nothing; a [`KeyRing`](super::KeyRing) does.
///
/// ```
/// use guardian_audit::checkpoint::{Checkpoint, Ed25519Signer, KeyRing, SealedCheckpoint, Signer, Standing};
/// use guardian_audit::merkle::leaf_hash;
/// use guardian_core::{Clock, ManualClock, TenantId};
///
/// let signer = Ed25519Signer::from_seed("audit.example.com/2026", &[7; 32])?;
/// let now = ManualClock::new().now();
/// let checkpoint = Checkpoint::new(TenantId::new("acme")?, 1, leaf_hash(b"event"), None, now)?;
/// let sealed = SealedCheckpoint::signed(checkpoint, &signer)?;
///
/// let read = SealedCheckpoint::parse(&sealed.note())?;
/// let ring = KeyRing::new().accept(signer.verifying_key().clone());
/// assert!(matches!(ring.checker().check(&read), Standing::Signed(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCheckpoint {
    checkpoint: Checkpoint,
    seals: Vec<Seal>,
}

impl SealedCheckpoint {
    /// The most seals of a checkpoint.
    pub const MAX_SEALS: usize = 16;

    /// The longest seal, in bytes.
    const MAX_SEAL: usize = 128;

    /// The longest note, in bytes.
    pub const MAX_LEN: usize = Checkpoint::MAX_LEN + 1 + Self::MAX_SEALS * Self::MAX_LINE;

    /// The dash, the name, a space, the seal in base 64, and a line feed.
    const MAX_LINE: usize = DASH.len() + KeyId::MAX_NAME + 1 + Self::MAX_SEAL.div_ceil(3) * 4 + 1;

    /// A checkpoint with one seal.
    #[must_use]
    pub fn new(checkpoint: Checkpoint, seal: Seal) -> Self {
        Self { checkpoint, seals: vec![seal] }
    }

    /// A checkpoint that this signer signs.
    ///
    /// # Errors
    /// When the signer does not.
    pub fn signed(checkpoint: Checkpoint, signer: &dyn super::Signer) -> Result<Self, super::SignError> {
        let signature = signer.sign(checkpoint.text().as_bytes())?;
        let seal = Seal::signature(signer.verifying_key(), &signature);
        Ok(Self::new(checkpoint, seal))
    }

    /// The same with one more seal, of a witness or of a second key. Beyond [`Self::MAX_SEALS`] it is left out.
    #[must_use]
    pub fn with_seal(mut self, seal: Seal) -> Self {
        if self.seals.len() < Self::MAX_SEALS {
            self.seals.push(seal);
        }
        self
    }

    /// What is sealed.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The seals.
    #[must_use]
    pub fn seals(&self) -> &[Seal] {
        &self.seals
    }

    /// The note: the text, an empty line, a line for each seal.
    #[must_use]
    pub fn note(&self) -> String {
        let mut note = self.checkpoint.text();
        note.push('\n');
        for seal in &self.seals {
            note.push_str(&seal.line());
        }
        note
    }

    /// Reads a note, which must be exactly what [`Self::note`] writes. Seals of unknown keys and kinds are kept.
    ///
    /// # Errors
    /// When it is none: also when it has no seal, or more than [`Self::MAX_SEALS`].
    pub fn parse(note: &str) -> Result<Self, InvalidCheckpoint> {
        let wrong = |why: &str| InvalidCheckpoint(why.to_owned());
        if note.len() > Self::MAX_LEN {
            return Err(InvalidCheckpoint(format!(
                "the note has {} bytes, the most is {}",
                note.len(),
                Self::MAX_LEN
            )));
        }
        let (text, lines) =
            note.split_once("\n\n").ok_or_else(|| wrong("the empty line before the seals is missing"))?;
        let checkpoint = Checkpoint::parse(&format!("{text}\n"))?;
        // More lines than there may be need not be read.
        let lines = lines.lines().take(Self::MAX_SEALS + 1);
        let seals: Vec<Seal> = lines.map(Seal::parse_line).collect::<Result<_, _>>()?;
        if seals.is_empty() || seals.len() > Self::MAX_SEALS {
            return Err(wrong("a note has 1 to 16 seals"));
        }
        let sealed = Self { checkpoint, seals };
        if sealed.note() == note { Ok(sealed) } else { Err(wrong("the note is not in its canonical form")) }
    }
}
