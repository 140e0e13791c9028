//! The workspace tool.
fn main() {}
