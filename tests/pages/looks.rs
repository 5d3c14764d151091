//! How the pages look: pictures that stand in the documents, compared with a tolerance.

use switchboard_testbed::browser::{Browser, Look, picture_bytes, picture_text};

use crate::bed::{Bed, is_clean, pictures};

/// The share of pixels that may differ: fonts of another version, and the times of the test.
const MOST: f64 = 0.04;

/// Compares the window with the picture of this name, or writes it anew with UPDATE_GENERATED.
pub(crate) async fn looks_like(browser: &Browser, name: &str) {
    let file = pictures().join(format!("{name}.png"));
    let picture = browser.picture().await.unwrap();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::create_dir_all(pictures()).unwrap();
        std::fs::write(&file, picture_bytes(&picture).unwrap()).unwrap();
        return;
    }
    let before = std::fs::read(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; run make screenshots", file.display()));
    let differs = browser
        .difference(&picture, &picture_text(&before))
        .await
        .unwrap();
    if differs > MOST {
        let seen = std::env::temp_dir().join(format!("{name}.png"));
        std::fs::write(&seen, picture_bytes(&picture).unwrap()).unwrap();
        panic!(
            "{name} looks otherwise: {:.1} % of it differ, see {}; run make screenshots if that is right",
            differs * 100.0,
            seen.display()
        );
    }
}

#[tokio::test]
async fn the_history_looks_as_in_the_documents() {
    let bed = Bed::start().await;
    bed.day().await;
    let browser = bed.signed_in(Look::default()).await;
    browser.shows("佐藤 花子").await.unwrap();
    browser.shows("Connected").await.unwrap();
    looks_like(&browser, "history").await;
    browser.open(&bed.url("/pages/calls")).await.unwrap();
    browser.shows("Connected").await.unwrap();
    browser.click("#call-d4 a.why").await.unwrap();
    browser.shows("acme-tokyo-29384123").await.unwrap();
    looks_like(&browser, "why").await;
    bed.link("InvalidLogin").await;
    browser
        .open(&bed.url("/pages/calls?named=no"))
        .await
        .unwrap();
    browser.shows("InvalidLogin").await.unwrap();
    is_clean(&browser, &bed).await;
    looks_like(&browser, "broken-link").await;
    browser.open(&bed.url("/pages/calls/d7")).await.unwrap();
    browser
        .shows("the link to Salesforce is broken (InvalidLogin)")
        .await
        .unwrap();
    is_clean(&browser, &bed).await;
}

#[tokio::test]
async fn it_is_japanese_and_dark_for_who_reads_it_so() {
    let bed = Bed::start().await;
    bed.day().await;
    let look = Look {
        dark: true,
        language: "ja",
        ..Look::default()
    };
    let browser = bed.signed_in(look).await;
    browser.shows("通話履歴").await.unwrap();
    browser.shows("2026年11月30日 09:30").await.unwrap();
    browser.shows("Salesforceに登録なし").await.unwrap();
    let ground = browser
        .script("return getComputedStyle(document.documentElement).backgroundColor")
        .await
        .unwrap();
    assert_eq!(ground, "rgb(18, 23, 29)");
    browser.shows("接続しています").await.unwrap();
    is_clean(&browser, &bed).await;
    looks_like(&browser, "history-ja").await;
    browser.open(&bed.url("/pages/calls")).await.unwrap();
    browser.click("footer a").await.unwrap();
    browser.shows("Call screen").await.unwrap();
    browser.open(&bed.url("/pages/calls")).await.unwrap();
    browser.shows("Call screen").await.unwrap();
}
