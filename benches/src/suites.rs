//! The quality suites: each reads data that is not part of the project and judges what Guardian makes of it.

mod access_log;
mod asl;
mod cel;
mod json_patch;
mod mail;
mod maxmind;
mod merkle;
mod rbac;
pub mod sentiment;
mod ssrf;
mod webhook_signature;

use std::error::Error;
use std::path::Path;

use indicatif::ProgressBar;

/// A suite that `eval` can run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Suite {
    /// How it is called.
    pub name: &'static str,
    /// What it judges.
    pub description: &'static str,
    /// Judges the data at the path.
    pub run: Run,
}

/// The work of a suite: the path of its data, and a bar to show how far it is.
pub type Run = fn(&Path, &ProgressBar) -> Result<Report, Box<dyn Error>>;

/// Every suite.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "access-log",
        description: "every line of a web server's log is read, and on its traffic every algorithm keeps its promise",
        run: access_log::run,
    },
    Suite {
        name: "asl",
        description: "state machines of the Amazon States Language in files `valid-*.json` and `invalid-*.json`, judged and imported",
        run: asl::run,
    },
    Suite {
        name: "cel",
        description: "the conformance tests of the Common Expression Language, values, errors and deduced types",
        run: cel::run,
    },
    Suite { name: "json-patch", description: "the tests of JSON Patch, RFC 6902", run: json_patch::run },
    Suite {
        name: "mail",
        description: "mails whose reply and signature are known, among quotes and headers of many programs",
        run: mail::run,
    },
    Suite {
        name: "maxmind",
        description: "MaxMind DB files, whole and damaged: refused when loaded, or every look-up ends",
        run: maxmind::run,
    },
    Suite {
        name: "merkle",
        description: "Merkle tree proofs of RFC 6962, RFC 9162 and of subtrees, accepted and refused alike",
        run: merkle::run,
    },
    Suite {
        name: "rbac",
        description: "decisions of casbin, Cedar and OpenFGA, as far as roles, groups, areas and deny can express them",
        run: rbac::run,
    },
    Suite {
        name: "sentiment",
        description: "sentiment of labelled texts; a second path may hold `airline.train.tsv.gz`, to learn from",
        run: sentiment::run,
    },
    Suite {
        name: "ssrf",
        description: "addresses and URLs that webhooks may or may not go to",
        run: ssrf::run,
    },
    Suite {
        name: "webhook-signature",
        description: "signatures of Standard Webhooks, GitHub and Stripe, and what a verifier has to refuse",
        run: webhook_signature::run,
    },
];

/// What a suite found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many cases passed.
    pub passed: u64,
    /// A line for each case that failed.
    pub failed: Vec<String>,
    /// What there is to say besides, line by line.
    pub notes: Vec<String>,
    /// The suite's bar, where it was missed.
    pub missed: Vec<String>,
}

impl Report {
    /// Counts a case, which failed if there is something to say.
    pub fn case(&mut self, failure: Option<String>) {
        match failure {
            Some(line) => self.failed.push(line),
            None => self.passed += 1,
        }
    }

    /// Counts a check, which says what it found if it does not hold.
    pub fn judge(&mut self, holds: bool, found: impl FnOnce() -> String) {
        self.case((!holds).then(found));
    }
}
