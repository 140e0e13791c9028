//! An example's process, and a plain HTTP/1.1 client: one request for each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running example; it ends when this is dropped.
pub(crate) struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts the example on a free port and with data of its own, in memory.
    pub(crate) fn start(example: &str) -> Self {
        Self::start_on(example, "sqlite::memory:")
    }

    /// Starts the example on a free port and on this database, and reads from its first line which port that is.
    pub(crate) fn start_on(example: &str, db: &str) -> Self {
        Self::start_with(example, db, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(example: &str, db: &str, more: &[&str]) -> Self {
        let program = program(example);
        let mut command = Command::new(&program);
        command.args(["--port", "0", "--db", db]).args(more).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| {
            let hint = "run `cargo test -p guardian-examples`, which builds the examples too";
            panic!("{}: {error}; {hint}", program.display())
        });
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("no address in `{line}`")).to_owned();
        // An example whose output nobody reads would stop at a full pipe.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Self { process, address }
    }

    /// The same CRM with limits that no test meets for a tenant: those of the demo are low.
    pub(crate) fn unlimited(self, tenant: &str) -> Self {
        for policy in ["per-org", "per-endpoint", "per-key"] {
            let path = format!("/v1/platform/tenants/{tenant}/rate-limits/{policy}");
            assert_eq!(self.operate("PUT", &path, r#"{"rule":"100000/s burst 100000"}"#).status, 200);
        }
        self
    }

    /// Sends a request with this key, if there is one, and reads the response to its end.
    pub(crate) fn send(&self, method: &str, target: &str, key: Option<&str>, json: &str) -> Reply {
        self.exchange(method, target, key, "", json)
    }

    /// The same without a body, as if a proxy had seen the client at this address.
    pub(crate) fn send_from(&self, addr: &str, method: &str, target: &str, key: Option<&str>) -> Reply {
        self.exchange(method, target, key, &format!("X-Forwarded-For: {addr}\r\n"), "")
    }

    fn exchange(&self, method: &str, target: &str, key: Option<&str>, more: &str, json: &str) -> Reply {
        let authorization = key.map_or(String::new(), |key| format!("Authorization: Bearer {key}\r\n"));
        self.raw(method, target, &format!("{authorization}{more}Content-Type: application/json\r\n"), json)
    }

    /// Sends a request of the operator's, with a reason.
    pub(crate) fn operate(&self, method: &str, target: &str, json: &str) -> Reply {
        let fields = "Authorization: Bearer operator-key\r\nGuardian-Reason: because a test wants it\r\n\
                      If-Match: *\r\nContent-Type: application/json\r\n";
        self.raw(method, target, fields, json)
    }

    /// Asks it to stop, as a container's host does, and waits until it has.
    pub(crate) fn terminate(&mut self) -> std::process::ExitStatus {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.process.wait().unwrap()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How much memory it has at the moment, in KiB; where the system tells.
    pub(crate) fn resident_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }

    /// Sends a request with these fields, each with its end of line.
    pub(crate) fn raw(&self, method: &str, target: &str, fields: &str, body: &str) -> Reply {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{fields}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        Reply::of(&mut stream)
    }
}

/// What the example says that is given these arguments and cannot start.
pub(crate) fn complaint(example: &str, arguments: &[&str]) -> String {
    let output = Command::new(program(example)).args(arguments).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// Cargo builds examples beside the tests, and says where only to the tests of their own package's programs.
pub(crate) fn program(example: &str) -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples").join(example)
}

/// Kills the process, as the night would: nothing is put in order before.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// The body as it came.
    pub(crate) text: String,
    /// The body as JSON, or null if it is none.
    pub(crate) body: serde_json::Value,
}

impl Reply {
    /// What a connection answers, to its end.
    pub(crate) fn of(stream: &mut TcpStream) -> Self {
        let mut response = Vec::new();
        // A server that has answered need not take in the rest, and then the connection is reset behind the answer.
        drop(stream.read_to_end(&mut response));
        Self::read(&String::from_utf8(response).unwrap())
    }

    fn read(response: &str) -> Self {
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let text = body.to_owned();
        let body = serde_json::from_str(body).unwrap_or(serde_json::Value::Null);
        Self { status, head: head.to_owned(), text, body }
    }

    /// All lines of a field, in their order.
    pub(crate) fn field(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    pub(crate) fn text(&self, member: &str) -> &str {
        let value = self.body.get(member).and_then(serde_json::Value::as_str);
        value.unwrap_or_else(|| panic!("no `{member}` in {self:?}"))
    }
}
