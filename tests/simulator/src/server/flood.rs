//! Bodies of any size, made while they are sent: however large one is, it costs the simulator one
//! chunk.

use std::io::Write;
use std::iter;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value as Json, json};

use crate::faults::Flood;

/// The bytes of a chunk.
const CHUNK: usize = 64 << 10;
/// The rows of a page.
const ROWS: usize = 2_000;

/// The chunks of a body.
pub(super) type Chunks = Box<dyn Iterator<Item = Bytes> + Send>;

/// The content type of a flood.
pub(super) fn content_type(of: Flood) -> &'static str {
    match of {
        Flood::Elements | Flood::Attributes => "text/xml;charset=UTF-8",
        _ => "application/json;charset=UTF-8",
    }
}

/// The body of a flood of about this size, as the answer to a request with this body.
pub(super) fn chunks(of: Flood, size: usize, request: &[u8]) -> Chunks {
    match of {
        Flood::Objects => around("[", "{},", size, "{}]"),
        Flood::Depth => around("", "[", size, ""),
        Flood::Fields => around("{", "\"a\":{},", size, "\"b\":{}}"),
        Flood::Records => pages(request, move |at| match at {
            0 => page(0, around("", "{},", size, "{}")),
            _ => page(0, Box::new(iter::empty())),
        }),
        Flood::Rows => pages(request, move |at| page(ROWS, rows(at, size))),
        Flood::Elements => around("<a>", "<b/>", size, "</a>"),
        Flood::Attributes => {
            let names = (0_u64..).map(|chunk| {
                let names = (0..4_000).map(|at| format!(" a{}=''", 4_000 * chunk + at));
                Bytes::from(names.collect::<String>())
            });
            Box::new(text("<a").chain(up_to(size, names)).chain(text("/>")))
        }
        Flood::Blanks => around("", " ", size, ""),
        Flood::Bytes => Box::new(up_to(size, iter::repeat(Bytes::from(vec![0xff; CHUNK])))),
    }
}

/// The chunks, packed with gzip.
pub(super) fn packed(chunks: Chunks) -> impl Iterator<Item = Bytes> + Send {
    let mut packer = Some(GzEncoder::new(Vec::new(), Compression::fast()));
    let packed = chunks.map(Some).chain([None]).map_while(move |chunk| {
        // Writing to a buffer does not fail.
        let packed = match chunk {
            Some(chunk) => {
                let packer = packer.as_mut()?;
                packer.write_all(&chunk).ok()?;
                std::mem::take(packer.get_mut())
            }
            None => packer.take()?.finish().ok()?,
        };
        Some(Bytes::from(packed))
    });
    // Much goes in before anything comes out, and clients end a connection that sends nothing
    // often.
    packed.filter(|chunk| !chunk.is_empty())
}

/// The answer to a request: a page, or a composite answer with a page for each of its parts.
fn pages(request: &[u8], page: impl Fn(usize) -> Chunks + Send + 'static) -> Chunks {
    let asked: Option<Json> = serde_json::from_slice(request).ok();
    let asked = asked
        .as_ref()
        .and_then(|body| body["compositeRequest"].as_array());
    let Some(asked) = asked else {
        return page(0);
    };
    let names: Vec<Json> = asked
        .iter()
        .map(|part| part["referenceId"].clone())
        .collect();
    let parts = names.into_iter().enumerate().flat_map(move |(at, name)| {
        let comma = if at == 0 { "" } else { "," };
        let head = format!(
            "{comma}{{\"referenceId\":{name},\"httpStatusCode\":200,\"httpHeaders\":{{}},\"body\":"
        );
        text(head).chain(page(at)).chain(text("}"))
    });
    Box::new(
        text("{\"compositeResponse\":[")
            .chain(parts)
            .chain(text("]}")),
    )
}

fn page(rows: usize, records: Chunks) -> Chunks {
    let head = format!("{{\"totalSize\":{rows},\"done\":true,\"records\":[");
    Box::new(text(head).chain(records).chain(text("]}")))
}

/// The records of a page. The first page has half of the size, each of four others an eighth.
fn rows(page: usize, size: usize) -> Chunks {
    let size = if page == 0 { size / 2 } else { size / 8 };
    // The longest field of a record that there is has 4,000 bytes.
    let mut left = (size / ROWS).saturating_sub(200);
    let mut long = || {
        let length = left.min(3_900);
        left -= length;
        "x".repeat(length)
    };
    let (name, title, parent) = (long(), long(), long());
    let owner = long();
    let rows = (0..ROWS).map(move |at| {
        let row = json!({
            "Id": format!("003{page:03}{at:012}"), "Name": name, "Title": title,
            "AccountId": "001000000000000", "Account": {"Name": parent},
            "Owner": {"Name": owner}, "LastModifiedDate": "2026-11-23T01:02:03.000+0000",
            "Phone": "+81399999999",
        });
        let comma = if at == 0 { "" } else { "," };
        Bytes::from(format!("{comma}{row}"))
    });
    Box::new(rows)
}

fn text(text: impl Into<String>) -> iter::Once<Bytes> {
    iter::once(Bytes::from(text.into()))
}

/// A unit, as often as it fits into the size, between two texts.
fn around(head: &'static str, unit: &str, size: usize, tail: &'static str) -> Chunks {
    let units = Bytes::from(unit.repeat(CHUNK / unit.len()));
    let many = iter::repeat_n(units, size.div_ceil(CHUNK));
    Box::new(text(head).chain(many).chain(text(tail)))
}

fn up_to(
    size: usize,
    pieces: impl Iterator<Item = Bytes> + Send,
) -> impl Iterator<Item = Bytes> + Send {
    let mut sent = 0;
    pieces.take_while(move |piece| {
        sent += piece.len();
        sent <= size
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn body(chunks: impl Iterator<Item = Bytes>) -> Vec<u8> {
        chunks.flat_map(|chunk| chunk.to_vec()).collect()
    }

    #[test]
    fn a_flood_is_what_it_says_and_about_as_large_as_it_says() {
        const SIZE: usize = 1 << 20;
        for of in [Flood::Objects, Flood::Fields, Flood::Records, Flood::Rows] {
            let text = body(chunks(of, SIZE, b""));
            assert!(
                (SIZE / 3..2 * SIZE).contains(&text.len()),
                "{of:?} {}",
                text.len()
            );
            serde_json::from_slice::<Json>(&text).unwrap();
        }
        let objects: Json =
            serde_json::from_slice(&body(chunks(Flood::Objects, SIZE, b""))).unwrap();
        assert!(objects.as_array().unwrap().len() > SIZE / 4);
        let asked = json!({"compositeRequest": [{"referenceId": "q0"}, {"referenceId": "q1"}]});
        let asked = asked.to_string().into_bytes();
        let answer: Json =
            serde_json::from_slice(&body(chunks(Flood::Rows, SIZE, &asked))).unwrap();
        let parts = answer["compositeResponse"].as_array().unwrap();
        assert_eq!((parts.len(), &parts[1]["referenceId"]), (2, &json!("q1")));
        assert_eq!(parts[1]["body"]["records"].as_array().unwrap().len(), ROWS);
        for of in [
            Flood::Attributes,
            Flood::Depth,
            Flood::Elements,
            Flood::Blanks,
            Flood::Bytes,
        ] {
            let size = body(chunks(of, SIZE, b"")).len();
            assert!((SIZE / 2..2 * SIZE).contains(&size), "{of:?} {size}");
        }
    }

    #[test]
    fn a_packed_flood_is_small_and_unpacks_to_the_same() {
        let plain = body(chunks(Flood::Objects, 1 << 20, b""));
        let packed = body(packed(chunks(Flood::Objects, 1 << 20, b"")));
        assert!(packed.len() < plain.len() / 100);
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.as_slice())
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, plain);
    }
}
