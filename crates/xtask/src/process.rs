//! Child processes: cargo and other tools run to their end, and ended early when we are.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use crate::error::{Error, Result};
use crate::interrupt;

/// Between two looks at a child.
const POLL: Duration = Duration::from_millis(20);
/// Ctrl-C reaches the children too, so they get this long to end by themselves before they are asked.
const GRACE: Duration = Duration::from_secs(3);
/// From the first signal to the one that cannot be refused.
const PATIENCE: Duration = Duration::from_secs(20);

/// The cargo that runs us, started in `root`, without the variables that describe our own package.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command to its end on our own terminal; the value says whether it succeeded.
pub(crate) fn run(command: &mut Command) -> Result<bool> {
    let child = command.stdin(Stdio::null()).spawn().map_err(Error::on(describe(command)))?;
    Ok(Running(child).wait()?.success())
}

/// One of the two streams that a command prints on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    Errors,
}

/// Runs a command like [`run`], and hands every line that it prints on `stream` to `line` after it was shown.
pub(crate) fn run_and_read(
    command: &mut Command,
    stream: Stream,
    mut line: impl FnMut(&str),
) -> Result<bool> {
    command.stdin(Stdio::null());
    match stream {
        Stream::Output => command.stdout(Stdio::piped()),
        Stream::Errors => command.stderr(Stdio::piped()),
    };
    let mut child = command.spawn().map_err(Error::on(describe(command)))?;
    // The command has a pipe for the stream that is asked for and none for the other.
    let output = child.stdout.take().map(|pipe| -> Box<dyn Read + Send> { Box::new(pipe) });
    let errors = child.stderr.take().map(|pipe| -> Box<dyn Read + Send> { Box::new(pipe) });
    let running = Running(child);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for bytes in
            output.or(errors).into_iter().flat_map(|pipe| BufReader::new(pipe).split(b'\n')).flatten()
        {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            match stream {
                Stream::Output => println!("{text}"),
                Stream::Errors => eprintln!("{text}"),
            }
            // The receiver is gone only when we were interrupted, and then nobody wants the line.
            let _ = sender.send(text);
        }
    });
    let status = running.wait()?;
    // The pipe stays open as long as a process that the command left behind holds it; we do not wait for that one.
    while let Ok(text) = receiver.recv_timeout(Duration::from_secs(1)) {
        line(&text);
    }
    Ok(status.success())
}

/// Runs a short command and returns what it printed on standard output; a failure carries its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(Error::on(describe(command)))?;
    interrupt::check()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(Error::failed(format!("{}: {}\n{}", describe(command), output.status, reason.trim_end())))
}

/// The first file of this name on the search path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Sends the named signal (`TERM`, `QUIT`, `KILL`) to one process.
///
/// The shell's own `kill` is used because a small system may have no such program and a call of the system's own
/// function is not safe Rust.
pub(crate) fn signal(name: &str, process: u32) {
    let id = process.to_string();
    // A process that has ended meanwhile is what we want anyway, hence the silence.
    let _ = Command::new("/bin/sh")
        .args(["-c", r#"kill -s "$0" "$1""#, name, &id])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Waits until the child has ended, for at most this long.
pub(crate) fn wait_within(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if start.elapsed() < limit => thread::sleep(POLL),
            Ok(None) | Err(_) => return None,
        }
    }
}

/// `cannot run ...` with the command line as one would type it.
fn describe(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    format!("cannot run `{}`", words.join(" "))
}

/// A child that does not survive us, whatever way we leave.
struct Running(Child);

impl Running {
    fn wait(mut self) -> Result<ExitStatus> {
        let mut interrupted: Option<Instant> = None;
        let mut asked = false;
        loop {
            if let Some(status) = self.0.try_wait().map_err(Error::on("cannot wait for a child"))? {
                interrupt::check()?;
                return Ok(status);
            }
            let signals = interrupt::count();
            if signals > 0 {
                let since = interrupted.get_or_insert_with(Instant::now).elapsed();
                if signals > 1 || since > PATIENCE {
                    // Leaving drops the child, which ends it.
                    return Err(Error::Interrupted);
                }
                if since > GRACE && !asked {
                    asked = true;
                    signal_tree("TERM", self.0.id());
                }
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            signal_tree("KILL", self.0.id());
            let _ = self.0.wait();
        }
    }
}

/// Signals a child of ours and everything that it has started: a cargo that is killed leaves its tests running.
fn signal_tree(name: &str, root: u32) {
    for process in tree(root, &parents()) {
        signal(name, process);
    }
}

/// The process and its descendants, parents first.
fn tree(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        for (process, _) in parents.iter().filter(|(_, of)| *of == parent) {
            if !found.contains(process) {
                found.push(*process);
            }
        }
    }
    found
}

/// Every process with its parent, where the system has a `/proc`; elsewhere only the child itself is signalled.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| parent(&fs::read_to_string(entry.path().join("stat")).ok()?)).collect()
}

/// Process and parent of a line of `/proc/PID/stat`. The name in parentheses may contain anything.
fn parent(stat: &str) -> Option<(u32, u32)> {
    let (process, _) = stat.split_once(' ')?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some((process.parse().ok()?, rest.split_whitespace().nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_process_name_does_not_hide_the_parent() {
        assert_eq!(parent("42 (a) S 1 (b) R 7 42 0"), Some((42, 7)));
        assert_eq!(parent("nonsense"), None);
    }

    #[test]
    fn the_tree_is_the_descendants_and_nobody_else() {
        let parents = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (1, 0)];
        assert_eq!(tree(2, &parents), [2, 3, 4]);
        assert_eq!(tree(9, &parents), [9]);
    }

    #[test]
    fn lines_are_read_from_the_stream_that_is_asked_for() {
        for (stream, expected) in [(Stream::Output, ["one", "two"]), (Stream::Errors, ["three", "four"])] {
            let mut lines = Vec::new();
            let script = "echo one; echo three >&2; echo two; printf four >&2";
            let mut command = Command::new("sh");
            let passed = run_and_read(command.args(["-c", script]), stream, |line| {
                lines.push(line.to_owned());
            });
            assert!(passed.unwrap());
            assert_eq!(lines, expected);
        }
    }

    #[test]
    fn a_process_left_behind_does_not_hold_us_up() {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 2>/dev/null & echo $!"]);
        let passed = run_and_read(&mut command, Stream::Output, |line| lines.push(line.to_owned()));
        signal("KILL", lines[0].parse().unwrap());
        assert!(passed.unwrap());
    }

    #[test]
    fn a_failing_command_tells_its_line_and_its_reason() {
        let error =
            output(Command::new("sh").args(["-c", "echo reason >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.starts_with("cannot run `sh -c echo reason >&2; exit 3`: exit status: 3"), "{error}");
        assert!(error.ends_with("reason"), "{error}");
    }
}
