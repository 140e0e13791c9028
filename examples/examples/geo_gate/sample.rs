//! A made-up log and rules for it.

pub(crate) const RULES: &str = "\
default allow
allow 198.51.100.0/24               # the office
deny  203.0.113.0/24                # a network that only ever scans
allow 203.0.113.10                  # but for the monitoring
deny  192.0.2.0/24 for route /admin # nobody administers from there
";

/// Two thousand requests of four networks.
pub(crate) fn log() -> String {
    let networks = ["198.51.100", "203.0.113", "192.0.2", "100.64.7"];
    let line = |number: usize| {
        let network = networks.get(number * 7 % networks.len()).unwrap_or(&"192.0.2");
        let path = if number.is_multiple_of(9) { "/admin/users" } else { "/deals" };
        let (host, minute, second) = (number * 31 % 40, number / 60 % 60, number % 60);
        format!(
            "{network}.{host} - - [01/Mar/2026:12:{minute:02}:{second:02} +0000] \"GET {path} HTTP/1.1\" 200 512\n"
        )
    };
    (0..2_000).map(line).collect()
}
