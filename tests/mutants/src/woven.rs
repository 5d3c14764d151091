//! Put into the crate under test: which change is played, and which are come by.

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// All are off, and who comes by is written down.
const RECORD: u32 = u32::MAX;
const NOT_READ: u32 = u32::MAX - 1;

static PLAYED: AtomicU32 = AtomicU32::new(NOT_READ);
static SEEN: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

/// Whether the change of this number is played.
pub(crate) fn is(number: u32) -> bool {
    match PLAYED.load(Ordering::Relaxed) {
        NOT_READ => {
            let named = std::env::var("MUTANT").ok().map(|named| named.parse().unwrap_or(RECORD));
            PLAYED.store(named.unwrap_or(0), Ordering::Relaxed);
            is(number)
        }
        RECORD => {
            record(number);
            false
        }
        played => played == number,
    }
}

fn record(number: u32) {
    static FILE: OnceLock<Option<std::fs::File>> = OnceLock::new();
    let bit = 1 << (number % 64);
    let Some(word) = SEEN.get(number as usize / 64) else { return };
    if word.load(Ordering::Relaxed) & bit != 0 || word.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
        return;
    }
    let file = FILE.get_or_init(|| {
        let path = std::env::var_os("MUTANTS_SEEN")?;
        std::fs::OpenOptions::new().append(true).create(true).open(path).ok()
    });
    if let Some(mut file) = file.as_ref() {
        let _ = file.write_all(format!("{number}\n").as_bytes());
    }
}
