//! How much memory this process has, as the kernel counts it.

use std::fs;
use std::io;

/// The resident set of this process in bytes.
///
/// # Errors
/// When the system has no `/proc`.
pub fn bytes() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = size.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let missing = || io::Error::other("`/proc/self/status` has no field `VmRSS`");
    Ok(kibibytes.ok_or_else(missing)? * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_touched_is_resident() {
        let before = super::bytes().unwrap();
        let touched = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(super::bytes().unwrap() >= before + (60 << 20));
        drop(touched);
    }
}
