//! The termination message, with the limits of a kubelet.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

const LONGEST: u64 = 4096;
const LONGEST_FROM_LOG: u64 = 2048;
const LINES_FROM_LOG: usize = 80;

/// Returns the last 4,096 bytes of the container's termination log. If that is empty and the policy
/// allows it, returns the end of a failed container's log: 2,048 bytes or 80 lines.
pub(super) fn read(file: &Path, log: &Path, fall_back_to_log: bool) -> String {
    // A missing file (the container may have deleted it) means no message.
    let message = tail(file, LONGEST).unwrap_or_default();
    if !message.is_empty() || !fall_back_to_log {
        return message;
    }
    let log = tail(log, LONGEST_FROM_LOG).unwrap_or_default();
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    lines[lines.len().saturating_sub(LINES_FROM_LOG)..].concat()
}

fn tail(path: &Path, limit: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limit)))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_message_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (file, log) = (dir.path().join("message"), dir.path().join("log"));
        std::fs::write(&file, format!("{}end", "x".repeat(5000))).unwrap();
        let message = read(&file, &log, true);
        assert_eq!(message.len(), 4096);
        assert!(message.ends_with("xend"));
    }

    #[test]
    fn the_log_speaks_only_where_it_is_asked_and_the_program_was_silent() {
        let dir = tempfile::tempdir().unwrap();
        let (file, log) = (dir.path().join("message"), dir.path().join("log"));
        std::fs::write(
            &log,
            (0..100).map(|line| format!("{line}\n")).collect::<String>(),
        )
        .unwrap();
        assert_eq!(read(&file, &log, false), "");
        let message = read(&file, &log, true);
        assert!(
            message.starts_with("20\n") && message.ends_with("99\n"),
            "{message}"
        );
    }
}
