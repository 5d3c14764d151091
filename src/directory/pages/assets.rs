//! The style sheet, the script and the icon: part of the program, packed once, kept by browsers for
//! as long as they do not change.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// A file that is served as it is.
struct Asset {
    name: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    packed: Bytes,
    tag: String,
    address: String,
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        Asset::new(
            "pages.css",
            "text/css; charset=utf-8",
            include_bytes!("assets/pages.css"),
        ),
        Asset::new(
            "pages.js",
            "text/javascript; charset=utf-8",
            include_bytes!("assets/pages.js"),
        ),
        Asset::new(
            "icon.svg",
            "image/svg+xml",
            include_bytes!("assets/icon.svg"),
        ),
    ]
});

// === impl Asset ===

impl Asset {
    fn new(name: &'static str, kind: &'static str, plain: &'static [u8]) -> Self {
        let digest = Sha256::digest(plain);
        let tag: String = digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        // Writing into memory cannot fail; without a packed form the plain one is sent.
        let packed = packer.write_all(plain).and_then(|()| packer.finish());
        Self {
            name,
            kind,
            plain,
            packed: packed.unwrap_or_default().into(),
            address: format!("/pages/static/{name}?{tag}"),
            tag: format!("\"{tag}\""),
        }
    }
}

/// The addresses of the style sheet, the script and the icon. They change with the content.
pub(super) fn addresses() -> [&'static str; 3] {
    let [style, script, icon] = &*ASSETS;
    [&style.address, &script.address, &icon.address]
}

/// `GET /pages/static/{name}`.
pub(super) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let says = |header, word: &str| {
        let lines = headers.get_all(header).iter();
        let mut texts = lines.filter_map(|line| line.to_str().ok());
        texts.any(|text| text.contains(word))
    };
    let kept = [
        (ETAG, asset.tag.as_str()),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (VARY, "accept-encoding"),
        (CONTENT_TYPE, asset.kind),
    ];
    if says(IF_NONE_MATCH, &asset.tag) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    if says(ACCEPT_ENCODING, "gzip") && !asset.packed.is_empty() {
        return (kept, [(CONTENT_ENCODING, "gzip")], asset.packed.clone()).into_response();
    }
    (kept, Bytes::from_static(asset.plain)).into_response()
}
