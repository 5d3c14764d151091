//! What a fill of the address book would take: records, API calls, time and space.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Format;
use super::org::{Failed, Org};
use crate::decide::book::forecast::fill_requests;
use crate::resolve::Record;

/// Records of each kind that are read as a sample: one page.
const SAMPLE: u64 = 2_000;
/// What a row and the keys to it take up in the directory's database beside the texts, in bytes:
/// about, as the directory itself counts.
const BYTES_OF_A_ROW: u64 = 70;

/// What was read.
#[derive(Default)]
struct Seen {
    records: u64,
    with_number: u64,
    numbers: u64,
    texts: u64,
}

pub(super) async fn preview(
    org: &mut Org,
    all: bool,
    format: Format,
) -> Result<(String, String), Failed> {
    let mut seen = Seen::default();
    let began = Instant::now();
    let most = (!all).then_some(SAMPLE);
    org.read(most, |record| {
        seen.add(&record);
        Ok(())
    })
    .await?;
    let took = began.elapsed();
    let text = match format {
        Format::Json => seen.in_json(org, took),
        Format::Table | Format::Csv => seen.in_words(org, took),
    };
    let how = if seen.records >= org.records() {
        "from all records"
    } else {
        "from a sample; --all reads all of them"
    };
    Ok((text, format!("{how}: {}", org.cost())))
}

// === impl Seen ===

impl Seen {
    fn add(&mut self, record: &Record) {
        self.records += 1;
        self.with_number += u64::from(!record.numbers.is_empty());
        self.numbers += record.numbers.len() as u64;
        let texts = [
            Some(&record.id),
            record.company.as_ref(),
            record.person.as_ref(),
            record.title.as_ref(),
            record.owner.as_ref(),
            record.account.as_ref(),
        ];
        let texts = texts.into_iter().flatten().map(|text| text.len() as u64);
        self.texts += texts.sum::<u64>();
    }

    /// The same for so many records.
    fn of(&self, count: u64, records: u64) -> u64 {
        let (count, records) = (u128::from(count), u128::from(records));
        let scaled = count * records / u128::from(self.records.max(1));
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    fn bytes(&self, records: u64) -> u64 {
        let (kept, numbers) = (
            self.of(self.with_number, records),
            self.of(self.numbers, records),
        );
        let rows = kept.saturating_mul(2).saturating_add(numbers);
        // A number stands in its record and beside it.
        let texts = self.texts + 2 * 13 * self.numbers;
        self.of(texts, records)
            .saturating_add(rows.saturating_mul(BYTES_OF_A_ROW))
    }

    fn seconds(&self, records: u64, took: Duration) -> u64 {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.of(millis, records).div_ceil(1_000)
    }

    fn in_words(&self, org: &Org, took: Duration) -> String {
        let records = org.records();
        let mut text = String::new();
        for (object, count) in &org.counts {
            let _ = writeln!(text, "{:<24}{count:>10}", object.to_string());
        }
        let (kept, numbers) = (
            self.of(self.with_number, records),
            self.of(self.numbers, records),
        );
        let bytes = self.bytes(records).div_ceil(1_000_000);
        for (label, value) in [
            ("Records with a phone", format!("{records:>10}")),
            ("With a number", format!("{kept:>10}")),
            ("Numbers", format!("{numbers:>10}")),
            (
                "API calls of a fill",
                format!("{:>10}", fill_requests(records)),
            ),
            (
                "Time to read, about",
                format!("{:>10}", span(self.seconds(records, took))),
            ),
            ("In the directory, about", format!("{bytes:>7} MB")),
        ] {
            let _ = writeln!(text, "{label:<24}{value}");
        }
        let max = org.settings.address_book;
        if let Some(max) = max.filter(|max| records > *max) {
            let _ = writeln!(
                text,
                "\nspec.contacts.maxRecords is {max}: names would stay on demand. Raise it above {records}."
            );
        }
        text
    }

    fn in_json(&self, org: &Org, took: Duration) -> String {
        let records = org.records();
        let counts: serde_json::Map<_, _> = org
            .counts
            .iter()
            .map(|(object, count)| (object.to_string(), json!(count)))
            .collect();
        let answer = json!({
            "records": counts, "read": self.records,
            "withNumber": self.of(self.with_number, records), "numbers": self.of(self.numbers, records),
            "apiCalls": fill_requests(records), "seconds": self.seconds(records, took),
            "bytes": self.bytes(records), "maxRecords": org.settings.address_book,
        });
        format!("{answer:#}\n")
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        _ => format!("{} min", seconds.div_ceil(60)),
    }
}
