//! The pages under load: a long history, and many call screens at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use switchboard::directory::Client;
use tokio::sync::{Mutex, mpsc};

use crate::{Outcome, permille};

/// What a person can ask of the history, the worst of it included.
const VIEWS: &[(&str, &str)] = &[
    ("the newest calls", ""),
    ("a day", "from=2025-03-01&to=2025-03-01"),
    ("until a day", "to=2025-03-01"),
    ("a day without calls", "from=2030-01-01&to=2030-01-01"),
    ("before all calls", "to=2020-01-01"),
    ("incoming", "direction=in"),
    ("outgoing, one in ten", "direction=out"),
    ("internal, none", "direction=internal"),
    ("with a name, every other", "named=yes"),
    ("without a name", "named=no"),
    (
        "outgoing without a name on a day",
        "direction=out&named=no&from=2025-03-01&to=2025-03-01",
    ),
    (
        "internal without a name until a day",
        "direction=internal&named=no&to=2025-03-01",
    ),
    ("a number", "q=%2B819010000007"),
    ("a number as it is written", "q=090-1000-0007"),
    (
        "a number in full width",
        "q=%EF%BC%90%EF%BC%99%EF%BC%90-1000-0007",
    ),
    (
        "a number, internal, none",
        "q=%2B819010000007&direction=internal",
    ),
    ("a number that nobody has", "q=%2B81312340000"),
    ("an extension, one call in a thousand", "q=2001"),
    ("an extension that nobody has", "q=2002"),
    ("a name that few have", "q=person+7777"),
    ("a name that everybody has", "q=person"),
    ("a letter that everybody has", "q=n"),
    ("a name that nobody has", "q=nobody+of+that+name"),
    (
        "a name in full width that nobody has",
        "q=%EF%BC%AE%EF%BD%8F%EF%BD%82%EF%BD%8F%EF%BD%84%EF%BD%99",
    ),
    ("a name that nobody has, outgoing", "q=nobody&direction=out"),
    ("a name without a name", "q=person&named=no"),
    ("signs of a pattern", "q=%25%25_%25"),
];

/// Whoever is signed in.
#[derive(Clone)]
pub(crate) struct Browser {
    http: reqwest::Client,
    base: String,
    cookie: String,
}

impl Browser {
    /// Signs in with this token.
    pub(crate) async fn sign_in(base: &str, token: &secrecy::SecretString) -> Outcome<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let answer = http
            .post(format!("{base}/pages/sign-in"))
            .header("sec-fetch-site", "same-origin")
            .form(&[("token", token.expose_secret())])
            .send()
            .await?;
        let cookie = answer.headers().get("set-cookie").ok_or("no session")?;
        let cookie = cookie
            .to_str()?
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned();
        Ok(Self {
            http,
            base: base.to_owned(),
            cookie,
        })
    }

    async fn get(&self, path: &str) -> Outcome<reqwest::Response> {
        let answer = self
            .http
            .get(format!("{}{path}", self.base))
            .header("cookie", &self.cookie);
        Ok(answer.send().await?.error_for_status()?)
    }

    /// How long until the first byte of a page, over so many of them: in words, and the 99th of a
    /// hundred in milliseconds.
    pub(crate) async fn first_byte(&self, path: &str, count: usize) -> Outcome<(String, f64)> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let began = Instant::now();
            let mut answer = self.get(path).await?;
            answer.chunk().await?;
            times.push(began.elapsed());
            while answer.chunk().await?.is_some() {}
        }
        times.sort();
        let p99 = permille(&times, 990);
        let told = format!("p50 {:.1} ms, p99 {p99:.1} ms", permille(&times, 500));
        Ok((told, p99))
    }
}

/// Says of each view of the history how long its first byte takes.
pub(crate) async fn views(browser: &Browser, name: &str, calls: u32) -> Outcome<()> {
    let mut slowest = 0.0_f64;
    for (what, query) in VIEWS {
        let (told, p99) = browser
            .first_byte(&format!("/pages/calls?{query}"), 300)
            .await?;
        println!("{name:<11} {calls} calls, {what} (?{query}): {told}");
        slowest = slowest.max(p99);
    }
    // The place of the oldest calls, which the end of their first day leads to.
    let day = browser
        .get("/pages/calls?to=2025-01-01")
        .await?
        .text()
        .await?;
    let cursor = day
        .split("rel=\"next\" href=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .and_then(|link| link.split("cursor=").nth(1))
        .ok_or("the first day has no second page")?;
    for what in ["", "&named=yes", "&q=nobody", "&direction=internal"] {
        let path = format!("/pages/calls?cursor={cursor}{what}");
        let (told, p99) = browser.first_byte(&path, 300).await?;
        println!("{name:<11} {calls} calls, from the first day on ({what}): {told}");
        slowest = slowest.max(p99);
    }
    println!("{name:<11} {calls} calls, the slowest view: p99 {slowest:.1} ms");
    Ok(())
}

/// Brings so many ended calls in, 20 seconds apart, of so many numbers: one in ten goes out, one in
/// a thousand is of an extension.
pub(crate) async fn history(
    platform: &Client,
    calls: u32,
    number: impl Fn(u32) -> String,
) -> Outcome<()> {
    let start: Timestamp = "2025-01-01T00:00:00Z".parse()?;
    for first in (0..calls).step_by(1_000) {
        let legs: Vec<Value> = (first..(first + 1_000).min(calls))
            .map(|n| {
                let at = start + SignedDuration::from_secs(i64::from(n) * 20);
                let other = match n % 1_000 {
                    999 => "2001".to_owned(),
                    _ => number(n),
                };
                let (kind, from, to) = match n % 10 {
                    4 => ("OUTGOING_CALL", None, Some(other)),
                    _ => ("INCOMING_CALL", Some(other), None),
                };
                json!({"id": format!("h{n}"), "call_type": kind, "from_number": from, "to_number": to,
                    "dial_starts_at": at.to_string(), "dial_answered_at": null,
                    "dial_ends_at": (at + SignedDuration::from_secs(60)).to_string()})
            })
            .collect();
        let call =
            json!({"call": {"id": format!("h{first}"), "tenant_code": "bench", "details": legs}});
        platform.ingest(&call).await?;
    }
    Ok(())
}

/// Opens so many call screens, has so many calls a second ring for so long, and says how long it
/// took until each call stood on each screen.
pub(crate) async fn screens(
    browser: &Browser,
    platform: &Client,
    screens: usize,
    a_second: u32,
    seconds: u32,
) -> Outcome<String> {
    let began: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let (told, mut seen) = mpsc::unbounded_channel::<(Instant, String)>();
    let mut open = Vec::new();
    for _ in 0..screens {
        let answer = browser.get("/pages/events?board=screen").await?;
        let told = told.clone();
        open.push(tokio::spawn(async move {
            let mut parts = answer.bytes_stream();
            let mut text = String::new();
            while let Some(Ok(part)) = parts.next().await {
                text.push_str(&String::from_utf8_lossy(&part));
                while let Some((event, rest)) = text.split_once("\n\n") {
                    let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                    if event.contains("event: card")
                        && let Some(card) =
                            data.and_then(|data| serde_json::from_str::<Value>(data).ok())
                    {
                        let say = card["say"].as_str().unwrap_or_default();
                        let number: String = say.chars().filter(char::is_ascii_digit).collect();
                        let _ = told.send((Instant::now(), number));
                    }
                    text = rest.to_owned();
                }
            }
        }));
    }
    drop(told);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let rings = a_second * seconds;
    let first = Instant::now();
    for n in 0..rings {
        tokio::time::sleep_until((first + Duration::from_secs(1) * n / a_second).into()).await;
        let number = format!("070{:08}", 10_000_000 + n);
        began.lock().await.insert(number.clone(), Instant::now());
        let call = json!({"call": {"id": format!("r{n}"), "tenant_code": "bench", "details": [{
            "id": format!("r{n}"), "call_type": "INCOMING_CALL", "from_number": number, "to_number": null,
            "dial_starts_at": Timestamp::now().to_string(), "dial_answered_at": null, "dial_ends_at": null}]}});
        let platform = platform.clone();
        tokio::spawn(async move { platform.ingest(&call).await.map(drop) });
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    for screen in open {
        screen.abort();
    }
    let began = began.lock().await;
    let (mut times, mut twice) = (Vec::new(), 0);
    let mut count: HashMap<String, usize> = HashMap::new();
    while let Ok((at, number)) = seen.try_recv() {
        if let Some(began) = began.get(&number) {
            times.push(at.duration_since(*began));
            *count.entry(number).or_default() += 1;
        }
    }
    times.sort();
    twice += count.values().filter(|count| **count > screens).count();
    let whole = count.values().filter(|count| **count == screens).count();
    Ok(format!(
        "{screens} screens, {a_second} rings a second: {whole} of {rings} on each screen once, {twice} more often; \
         p50 {:.0} ms, p99 {:.0} ms",
        permille(&times, 500),
        permille(&times, 990)
    ))
}
