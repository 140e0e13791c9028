//! Verifies a bundle of audit events that somebody exported, offline.
//!
//! ```sh
//! cargo run --example audit_verify -- bundle/ --key 'audit.example.com/2026+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8'
//! ```
//!
//! Without a bundle it explains itself, makes one in a temporary folder, verifies it, alters a byte and shows what is found.
//! The exit status is 0 when everything holds, 1 with the first fault, 2 when the command line is not understood.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report goes to standard output and faults to standard error"
)]

mod demo;

use std::error::Error;
use std::process::ExitCode;

use guardian_audit::bundle::{BundleError, BundleVerifier, Folder, Verified};
use guardian_audit::checkpoint::KeyRing;
use indicatif::{ProgressBar, ProgressStyle};

const HELP: &str = "\
Verifies a bundle of audit events: that every event is in the log at its place, whole and in order, and that the log is the
one whose checkpoints were signed.

  cargo run --example audit_verify -- BUNDLE [--key KEY]…

  BUNDLE       the folder of the bundle
  --key KEY    a public key, NAME+HASH+BASE64, from where the log's owner publishes it (repeatable). Without any, the keys
               in the bundle are believed, and shown for you to compare.
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (mut bundle, mut ring, mut keyed) = (None, KeyRing::new(), false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-h" | "--help" => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            "--key" => match words.next().map(|key| key.parse()) {
                Some(Ok(key)) => (ring, keyed) = (ring.accept(key), true),
                Some(Err(error)) => return misused(&error.to_string()),
                None => return misused("`--key` wants a key"),
            },
            option if option.starts_with('-') => return misused(&format!("unknown option `{option}`")),
            _ if bundle.is_none() => bundle = Some(word),
            _ => return misused(&format!("one bundle at a time, not also `{word}`")),
        }
    }
    match bundle {
        Some(bundle) => match verify(&Folder::new(bundle), keyed.then_some(&ring)) {
            Ok(verified) => {
                print!("{}", describe(&verified));
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("audit_verify: {}", explain(&error));
                ExitCode::FAILURE
            }
        },
        None => {
            println!("{HELP}\nHere is how it goes with a bundle that is made up:\n");
            match demo::show() {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("audit_verify: {}", explain(&*error));
                    ExitCode::FAILURE
                }
            }
        }
    }
}

fn misused(why: &str) -> ExitCode {
    eprintln!("audit_verify: {why}; try --help");
    ExitCode::from(2)
}

/// Verifies with a bar to look at, which hides itself where standard error is no terminal.
fn verify(bundle: &Folder, ring: Option<&KeyRing>) -> Result<Verified, BundleError> {
    let bar = ProgressBar::no_length();
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} events  {per_sec}  {eta} left")
    {
        bar.set_style(style.progress_chars("━╸ "));
    }
    let mut verifier = BundleVerifier::new().with_progress(|done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    if let Some(ring) = ring {
        verifier = verifier.with_keys(ring);
    }
    let verified = verifier.verify(bundle);
    bar.finish_and_clear();
    verified
}

/// What was verified, in sentences.
fn describe(verified: &Verified) -> String {
    let manifest = &verified.manifest;
    let mut text = format!("Verified: {} events of the tenant `{}`", manifest.events, manifest.tenant);
    if let (Some(first), Some(last)) = (manifest.first, manifest.last) {
        text += &format!(", from {first} to {last}");
    }
    text += ".\n";
    let mut line = |what: &str, value: &str| text += &format!("  {what:<12} {value}\n");
    line("log", &format!("{} events, root {}", manifest.size, manifest.root));
    line(
        "checkpoints",
        &format!("{}, of which {} are signed", manifest.checkpoints, verified.signed_checkpoints),
    );
    line("made", &manifest.created.to_rfc3339());
    if manifest.dropped > 0 {
        line("dropped", &format!("{}, of which only the hash is left", manifest.dropped));
    }
    match (&manifest.query, &verified.manifest_key, manifest.is_contiguous()) {
        (None, _, true) => line("complete", "no event is left out between the first and the last"),
        (query, Some(key), _) => {
            line("query", query.as_deref().unwrap_or("none"));
            line("complete", &format!("as `{key}` vouches, who signed the manifest"));
        }
        (query, None, _) => {
            line("query", query.as_deref().unwrap_or("none"));
            line("complete", "nobody vouches for it: the manifest is not signed");
        }
    }
    if verified.keys_were_known {
        line("keys", "the ones that you gave");
    } else {
        line("keys", "the bundle's own; compare them with those that the log's owner publishes:");
        for key in &verified.keys {
            line("", &key.to_string());
        }
    }
    text
}

/// An error with what caused it.
fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}
