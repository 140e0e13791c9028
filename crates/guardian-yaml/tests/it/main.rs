//! YAML within bounds.

#[cfg(test)]
mod limits;
