//! Integration tests of the audit log.

#[cfg(test)]
mod anchors;
#[cfg(test)]
mod bundles;
#[cfg(test)]
mod canonical;
#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod export;
#[cfg(test)]
mod later;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod log;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod merkle;
#[cfg(test)]
mod moody;
#[cfg(test)]
mod query;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod sealer;
#[cfg(test)]
mod segment;
#[cfg(test)]
mod sql;
#[cfg(test)]
mod tampering;
