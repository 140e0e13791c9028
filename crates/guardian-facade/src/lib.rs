//! Guardian: one dependency, one feature per domain
