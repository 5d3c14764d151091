//! A bound on a program's memory, and how much of it the program had.
//!
//! The bound is RLIMIT_DATA, which any machine has and which needs no privilege: a program that
//! asks for more is ended by its own allocator, as a kernel would end it. It counts what is mapped,
//! whether touched or not, so there is an allowance for the stacks of threads and for parts of the
//! heap that are free. The pages that are really there are watched beside it.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What is mapped and not there, in bytes: a stack of 2 MiB for each thread, and free parts of the
/// heap.
const ALLOWANCE: u64 = 32 << 20;

/// A command before a program's own that bounds the program's memory, in bytes.
pub fn bounded_to(bytes: u64) -> Vec<OsString> {
    let kib = ((bytes + ALLOWANCE) / 1024).to_string();
    let script = r#"ulimit -d "$1" || exit 9; shift; exec "$@""#;
    ["sh", "-c", script, "sh", &kib].map(OsString::from).into()
}

/// Watches how much memory a program has of its own, until it ends.
pub struct MemoryWatch {
    peak: Arc<AtomicU64>,
    watching: JoinHandle<()>,
}

impl MemoryWatch {
    /// Watches this process.
    pub fn of(pid: u32) -> Self {
        let peak = Arc::new(AtomicU64::new(0));
        let highest = Arc::clone(&peak);
        let watching = std::thread::spawn(move || {
            while let Some(bytes) = own_memory(pid) {
                highest.fetch_max(bytes, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { peak, watching }
    }

    /// The most that the program had so far, in bytes.
    pub fn so_far(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// The most that the program had, in bytes, when it has ended.
    pub fn at_the_end(self) -> u64 {
        // It does not panic.
        let _ = self.watching.join();
        self.peak.load(Ordering::Relaxed)
    }
}

/// The pages of a process that are no file's; `None` when it has ended.
fn own_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_dies_of_what_it_may_not_have_and_is_seen_to_have_what_it_has() {
        let fills = |mib: u64, most: u64| {
            let wrapper = bounded_to(most << 20);
            let program = format!("$a = 'x' x ({mib} << 20); <STDIN>");
            let mut child = Command::new(&wrapper[0])
                .args(&wrapper[1..])
                .args(["perl", "-e", &program])
                .stdin(std::process::Stdio::piped())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let watch = MemoryWatch::of(child.id());
            while child.try_wait().unwrap().is_none() && watch.so_far() < mib << 20 {
                std::thread::sleep(Duration::from_millis(5));
            }
            drop(child.stdin.take());
            let lives = child.wait().unwrap().success();
            (lives, watch.at_the_end())
        };
        let (lives, peak) = fills(40, 100);
        assert!(lives && peak >= 40 << 20, "{peak}");
        let (lives, _) = fills(200, 100);
        assert!(!lives);
    }
}
