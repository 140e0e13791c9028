//! Broken laws.

use std::error::Error;
use std::fmt;

/// How a store broke a law. Any error becomes one with `?`: a law is about what a store does, and it may not fail.
///
/// It is no error itself, so that all errors can become one.
pub struct Violation(String);

impl Violation {
    /// A law that is broken so.
    pub fn new(how: impl Into<String>) -> Self {
        Self(how.into())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As people read it, since this is what a failing test shows.
impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Violation {
    fn from(error: E) -> Self {
        let mut how = format!("it failed: {error}");
        let mut cause = error.source();
        while let Some(why) = cause {
            how.push_str(&format!(": {why}"));
            cause = why.source();
        }
        Self(how)
    }
}

/// Breaks the law unless the condition holds.
///
/// ```
/// use guardian_testkit::{Violation, ensure};
///
/// fn law(sum: u32) -> Result<(), Violation> {
///     ensure!(sum == 4, "two and two are {sum}");
///     Ok(())
/// }
/// assert_eq!(law(5).unwrap_err().to_string(), "two and two are 5");
/// ```
#[macro_export]
macro_rules! ensure {
    ($holds:expr, $($how:tt)+) => {
        if !$holds {
            return ::std::result::Result::Err($crate::Violation::new(::std::format!($($how)+)));
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_all_that_it_knows() {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("no port")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let violation = Violation::from(Outer("x".parse::<u16>().unwrap_err()));
        assert_eq!(format!("{violation:?}"), "it failed: no port: invalid digit found in string");
    }
}
