//! Standard output.

use std::io::{ErrorKind, Write};

use crate::plain_text::escaped;

/// The result of a role could not be printed.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written; is the disk full where it goes?")]
pub struct PrintError(#[from] std::io::Error);

/// Prints the result of a role. Text from outside that would act on a terminal is escaped. A reader
/// that has gone (`| head`) is no failure.
///
/// # Errors
/// When standard output cannot be written, as on a full disk.
pub fn print(text: &str) -> Result<(), PrintError> {
    let mut out = std::io::stdout().lock();
    match out
        .write_all(escaped(text).as_bytes())
        .and_then(|()| out.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
