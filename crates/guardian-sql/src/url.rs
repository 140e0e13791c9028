//! Where a database is, as a text. Written here so that no environment variable and no file is asked for what the text
//! leaves out, and so that no error ever shows a password.

use std::fmt;

use crate::Error;

/// The longest URL, in bytes.
pub(crate) const MAX_LEN: usize = 4096;

/// A URL that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Sqlite(SqliteAddress),
    Postgres(PostgresAddress),
}

/// `sqlite::memory:` or `sqlite://path?mode=rw`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqliteAddress {
    /// `None` is memory.
    pub(crate) path: Option<String>,
    pub(crate) mode: SqliteMode,
}

/// How a file is opened, as in SQLite's own URIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SqliteMode {
    ReadOnly,
    ReadWrite,
    Create,
}

/// `postgres://user:password@host:port/database?sslmode=require`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PostgresAddress {
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    /// A name, an address, or the folder of a socket when it begins with `/`.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) ssl_mode: SslMode,
    pub(crate) ssl_root_cert: Option<String>,
    pub(crate) ssl_cert: Option<String>,
    pub(crate) ssl_key: Option<String>,
}

#[cfg(all(feature = "testkit", feature = "postgres"))]
impl PostgresAddress {
    /// The text that is understood as this address.
    pub(crate) fn url(&self) -> String {
        let mut url = String::from("postgres://");
        encode(&mut url, &self.user);
        if let Some(password) = &self.password {
            url.push(':');
            encode(&mut url, password);
        }
        url.push('@');
        if self.host.contains(':') {
            url.push_str(&format!("[{}]", self.host));
        } else {
            encode(&mut url, &self.host);
        }
        url.push_str(&format!(":{}/", self.port));
        encode(&mut url, &self.database);
        url
    }
}

#[cfg(all(feature = "testkit", feature = "postgres"))]
fn encode(url: &mut String, part: &str) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, port, database, .. } = self;
        write!(f, "postgres://{user}@{host}:{port}/{database}")
    }
}

/// `sslmode` as libpq names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let invalid = |why: String| Error::InvalidUrl { input: redact(url), why };
        if url.len() > MAX_LEN {
            return Err(invalid(format!("it has {} bytes, the most is {MAX_LEN}", url.len())));
        }
        if let Some(odd) = url.chars().find(|c| c.is_control()) {
            return Err(invalid(format!("it has the control character `{}`", odd.escape_debug())));
        }
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(invalid("it has no scheme; expected `sqlite:` or `postgres:`".to_owned()));
        };
        match scheme {
            "sqlite" => sqlite(rest).map(Self::Sqlite),
            "postgres" | "postgresql" => postgres(rest).map(Self::Postgres),
            _ => Err("unknown scheme; expected `sqlite:` or `postgres:`".to_owned()),
        }
        .map_err(invalid)
    }
}

/// A URL as an error may show it: the scheme and what stands behind the last `@`, and nothing that may hold a secret. A
/// file's path is shown whole.
pub(crate) fn redact(url: &str) -> String {
    const SHOWN: usize = 80;
    let place = url.rfind('@').map(|at| url.get(at..).unwrap_or_default());
    // The settings come last, and people put passwords there too.
    let cut = |text: &str| text.split('?').next().unwrap_or_default().to_owned();
    let shown = match (url.split_once(':'), place) {
        (Some(("sqlite", _)) | None, None) => cut(url),
        (Some((scheme, _)), place) => format!("{scheme}:…{}", cut(place.unwrap_or_default())),
        // Without a scheme it may begin with the password.
        (None, Some(place)) => format!("…{}", cut(place)),
    };
    let mut short: String = shown.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if shown.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

fn sqlite(rest: &str) -> Result<SqliteAddress, String> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let mut mode = SqliteMode::Create;
    for (name, value) in pairs(query) {
        mode = match (name, value) {
            ("mode", "ro") => SqliteMode::ReadOnly,
            ("mode", "rw") => SqliteMode::ReadWrite,
            ("mode", "rwc") => SqliteMode::Create,
            ("mode", _) => return Err("`mode` is one of `ro`, `rw`, `rwc`".to_owned()),
            _ => return Err(format!("unknown setting `{}`; expected `mode`", shown(name))),
        };
    }
    if path == ":memory:" {
        if mode != SqliteMode::Create {
            return Err("a database in memory has no mode".to_owned());
        }
        return Ok(SqliteAddress { path: None, mode });
    }
    let path = decode(path)?;
    if path.is_empty() {
        return Err("it names no file; expected `sqlite://FILE` or `sqlite::memory:`".to_owned());
    }
    if path.starts_with(':') || path.starts_with("file:") {
        return Err("the file's name would mean something else to SQLite; put `./` before it".to_owned());
    }
    Ok(SqliteAddress { path: Some(path), mode })
}

fn postgres(rest: &str) -> Result<PostgresAddress, String> {
    let rest = rest.strip_prefix("//").ok_or("expected `postgres://USER@HOST/DATABASE`")?;
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, database) = rest.split_once('/').ok_or("it names no database")?;
    let (login, place) = authority.rsplit_once('@').ok_or("it names no user")?;
    let (user, password) = login.split_once(':').map_or((login, None), |(user, word)| (user, Some(word)));
    // The texts of these parts stay out of the errors: each may be a misplaced password.
    let user = decode(user).map_err(|_| "the user has a broken `%` escape")?;
    let password = password.map(decode).transpose().map_err(|_| "the password has a broken `%` escape")?;
    let (host, port) = match place.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']').ok_or("the address has no closing `]`")?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':').ok_or("expected `:PORT` after the address")?),
            };
            (host, port)
        }
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let host = decode(host)?;
    let port = match port {
        None => 5432,
        Some(port) => port.parse().map_err(|_| "the port is not a number up to 65535")?,
    };
    let database = decode(database)?;
    for (part, text) in [("user", &user), ("host", &host), ("database", &database)] {
        if text.is_empty() {
            return Err(format!("it names no {part}"));
        }
    }
    let mut address = PostgresAddress {
        user,
        password,
        host,
        port,
        database,
        ssl_mode: SslMode::Prefer,
        ssl_root_cert: None,
        ssl_cert: None,
        ssl_key: None,
    };
    for (name, value) in pairs(query) {
        match name {
            "sslmode" => {
                address.ssl_mode = match value {
                    "disable" => SslMode::Disable,
                    "prefer" => SslMode::Prefer,
                    "require" => SslMode::Require,
                    "verify-ca" => SslMode::VerifyCa,
                    "verify-full" => SslMode::VerifyFull,
                    _ => {
                        let known = "`disable`, `prefer`, `require`, `verify-ca`, `verify-full`";
                        return Err(format!("`sslmode` is one of {known}"));
                    }
                }
            }
            "sslrootcert" => address.ssl_root_cert = Some(decode(value)?),
            "sslcert" => address.ssl_cert = Some(decode(value)?),
            "sslkey" => address.ssl_key = Some(decode(value)?),
            _ => {
                let known = "`sslmode`, `sslrootcert`, `sslcert`, `sslkey`";
                // Its name may be the end of a password with a `?` in it.
                return Err(format!("unknown setting; expected one of {known}"));
            }
        }
    }
    Ok(address)
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// The name of a setting as an error may show it.
fn shown(name: &str) -> String {
    name.chars().take(40).flat_map(char::escape_debug).collect()
}

/// Resolves `%` escapes (RFC 3986, section 2.1).
fn decode(text: &str) -> Result<String, String> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (hex(rest.first()), hex(rest.get(1))) else {
            return Err("a `%` is not followed by two hexadecimal digits".to_owned());
        };
        bytes.push(high * 16 + low);
        rest = rest.get(2..).unwrap_or_default();
    }
    if bytes.contains(&0) {
        return Err("it has a NUL".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "its `%` escapes are not UTF-8".to_owned())
}

fn hex(digit: Option<&u8>) -> Option<u8> {
    let value = char::from(*digit?).to_digit(16)?;
    u8::try_from(value).ok()
}
