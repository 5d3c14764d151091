//! Requests from outside, as functions of bytes for the fuzzer.

use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, HeaderValue};

use super::middleware::{body, cursor as cursors};

/// The cap on a body in the chart.
const MAX_BODY_BYTES: usize = 4 << 20;

/// `Content-Encoding` in the first line, then the body.
pub(crate) fn body(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let Ok(packing) = HeaderValue::from_bytes(&data[..end]) else {
        return;
    };
    let headers: HeaderMap = [(CONTENT_ENCODING, packing)].into_iter().collect();
    if let Ok(length) = body::unpacked(&headers, &data[end + 1..], MAX_BODY_BYTES) {
        assert!(length <= MAX_BODY_BYTES, "{length} bytes");
    }
}

pub(crate) fn cursor(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(position) = cursors::read(&text) {
        let again = cursors::read(&cursors::write(&position)).ok();
        assert_eq!(again, Some(position));
    }
}
