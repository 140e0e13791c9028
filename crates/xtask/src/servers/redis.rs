//! A Redis that keeps nothing.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::{Server, bound_to_us, start_on_free_port};
use crate::error::Result;

/// Starts the server; the text is its URL.
pub(super) fn start(program: &Path, folder: &Path) -> Result<(Server, String)> {
    let spawn = |port: u16| {
        let mut command = bound_to_us(program, "TERM");
        command.current_dir(folder).args(["--port", &port.to_string(), "--bind", "127.0.0.1"]).args([
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
        ]);
        Server::spawn("redis", command, port, "TERM", folder.join("redis.log"))
    };
    let server = start_on_free_port(spawn, |port| ping(port).unwrap_or(false))?;
    let url = format!("redis://127.0.0.1:{}/", server.port);
    Ok((server, url))
}

/// Whether a Redis answers on this port.
fn ping(port: u16) -> std::io::Result<bool> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let limit = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"+PONG\r\n")
}
