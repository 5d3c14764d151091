//! What the statuses say of address books, as metrics of all integrations together.

use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::fleet::{clamped, gauge};
use crate::api::status::{self, BookMode};
use crate::api::{AddressBook, SalesforceIntegration};

/// Where names come from.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct ModeLabel {
    pub mode: &'static str,
}

/// Registers the metrics of the address books that are wanted.
pub(crate) fn stand(
    registry: &mut Registry,
    integrations: &[Arc<SalesforceIntegration>],
    now: Timestamp,
) {
    let by_mode = Family::<ModeLabel, Gauge>::default();
    registry.register(
        "address_books",
        "Integrations that want an address book and are not suspended, by where their names come from",
        by_mode.clone(),
    );
    let filling = gauge(
        registry,
        "address_books_filling",
        "Address books that are being filled",
    );
    let records = gauge(
        registry,
        "address_book_records",
        "Records of all address books",
    );
    let bytes = gauge(
        registry,
        "address_book_bytes",
        "About how many bytes all address books take up in the directory's database",
    );
    let lag = gauge(
        registry,
        "address_book_lag_seconds",
        "How far the address book is behind Salesforce that is the farthest",
    );
    let (mut all_records, mut all_bytes, mut longest) = (0_u64, 0_u64, 0);
    for one in integrations.iter().filter(|one| wants(one)) {
        let book = one
            .status
            .as_ref()
            .and_then(|status| status.address_book.as_ref());
        let mode = book.map_or(BookMode::OnDemand, |book| book.mode);
        by_mode.get_or_create(&label(mode)).inc();
        let Some(book) = book else { continue };
        if book.filling.is_some() && !book.over_limit {
            filling.inc();
        }
        all_records = all_records.saturating_add(book.records.unwrap_or(0));
        all_bytes = all_bytes.saturating_add(book.bytes.unwrap_or(0));
        longest = longest.max(lag_seconds(book, now).unwrap_or(0));
    }
    records.set(clamped(all_records));
    bytes.set(clamped(all_bytes));
    lag.set(longest);
}

pub(crate) fn label(mode: BookMode) -> ModeLabel {
    ModeLabel {
        mode: match mode {
            BookMode::OnDemand => "OnDemand",
            BookMode::Full => "Full",
        },
    }
}

/// How far a book is behind; `None` before its first fill has ended.
pub(crate) fn lag_seconds(book: &status::AddressBook, now: Timestamp) -> Option<i64> {
    let watermark = book.watermark.as_ref()?;
    book.filled_at.as_ref()?;
    Some(now.duration_since(watermark.0).as_secs().max(0))
}

/// What a suspended one has is nobody's concern until it goes on.
fn wants(one: &SalesforceIntegration) -> bool {
    one.spec.contacts.address_book == AddressBook::Full && !one.spec.suspend
}
