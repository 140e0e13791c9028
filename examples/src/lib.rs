//! Guardian's examples.
