//! How large an expression may be.

/// What the parser accepts. Beyond it an expression is refused with an error at the place where it went too far.
///
/// ```
/// use guardian_expr::{Env, Limits};
///
/// let env = Env::builder().limits(Limits::default().with_max_depth(3)).build()?;
/// let error = env.parse("[[[[1]]]]").unwrap_err();
/// assert!(error.to_string().contains("nested deeper than 3"));
/// # Ok::<(), guardian_expr::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of source text; at most 256 MiB, 1 MiB by default.
    pub max_bytes: u32,
    /// Brackets of any kind that may be open at one place; 250 by default. Chains such as `a || b || c`, `!!!a`,
    /// `a.b.c` and `a ? b : c ? d : e` do not nest.
    pub max_depth: u32,
}

/// Node ids and offsets are 32 bits, and an expression has at most one node for each byte and a few for each macro.
const MOST_BYTES: u32 = 256 << 20;

impl Limits {
    /// With another bound on the bytes of the source text.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u32) -> Self {
        self.max_bytes = bytes.min(MOST_BYTES);
        self
    }

    /// With another bound on the brackets that are open at one place.
    #[must_use]
    pub fn with_max_depth(mut self, depth: u32) -> Self {
        self.max_depth = depth;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 1 << 20, max_depth: 250 }
    }
}
