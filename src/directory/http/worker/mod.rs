//! `/v1/worker/...`: what workers ask and write. Every request may be repeated.

pub(crate) mod book;
pub(crate) mod follow;
pub(crate) mod rings;
pub(crate) mod work;

use super::middleware::error::ApiError;

/// The longest Id of a record.
const MAX_RECORD_ID_CHARS: usize = 32;

/// Checks the Id of a record that is only compared.
fn check_id(field: &str, id: &str) -> Result<(), ApiError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if (1..=MAX_RECORD_ID_CHARS).contains(&id.len()) && id.bytes().all(plain) {
        return Ok(());
    }
    Err(ApiError::Malformed(format!(
        "{field} must be a record's ID: 1 to {MAX_RECORD_ID_CHARS} letters and digits"
    )))
}
