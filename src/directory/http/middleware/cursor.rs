//! The opaque cursor of a page. It encodes a position in the history, not a count, so that new
//! calls do not shift it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::error::ApiError;
use crate::directory::store::Position;

pub(crate) fn write(position: &Position) -> String {
    URL_SAFE_NO_PAD.encode(format!(
        "1:{}:{}",
        position.started_at.as_microsecond(),
        position.id
    ))
}

pub(crate) fn read(cursor: &str) -> Result<Position, ApiError> {
    decode(cursor).ok_or_else(|| {
        ApiError::Malformed(
            "cursor is not one of this directory; leave it out to begin with the newest call"
                .to_owned(),
        )
    })
}

fn decode(cursor: &str) -> Option<Position> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (micros, id) = text.strip_prefix("1:")?.split_once(':')?;
    let started_at = Timestamp::from_microsecond(micros.parse().ok()?).ok()?;
    Some(Position {
        started_at,
        id: id.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let position = Position {
            started_at: Timestamp::from_microsecond(-1_234_567).unwrap(),
            id: "a:b/ü".to_owned(),
        };
        assert_eq!(read(&write(&position)).unwrap(), position);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "x",
            "MTo",
            "Mjo1OmE",
            "MTp4OmE",
            "++++",
            "MTo5OTk5OTk5OTk5OTk5OTk5OTk5OmE",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
