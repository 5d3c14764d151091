//! `make bench-directory`: the performance of the directory with many contacts, on SQLite and on
//! PostgreSQL.
//!
//! All requests use HTTP on the loopback, as a softphone and the platform send them. Both databases
//! write to the disk before they answer. Beside the writes of the directory stands what the
//! database's own tool takes to load the same rows from a file and to upsert them.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use serde_json::json;
use switchboard::directory::client::Retry;
use switchboard::directory::model::book::{
    BeginFill, BookRecord, FillPart, FillStep, FinishFill, WriteRecords,
};
use switchboard::directory::model::follow::Holder;
use switchboard::directory::model::{
    ClaimRequest, FoundContact, RecordObject, WriteContactsRequest, WritePolicy,
};
use switchboard::directory::{Args, Claims, Client, PagesArgs, Purpose, Server, TokenKeys};
use switchboard::phone::{E164, Region};
use switchboard_testbed::Postgres;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

#[path = "pages/mod.rs"]
mod pages;
#[path = "plain/mod.rs"]
mod plain;

type Outcome<T> = Result<T, Box<dyn Error>>;

const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";

/// The amount of work.
struct Size {
    contacts: u32,
    lookups: u32,
    webhooks: u32,
    at_once: usize,
    /// Look-ups per second when they start at fixed times.
    rate: u32,
    /// Records of the address book.
    records: u32,
    /// Whether each contact comes with the record that holds its number, as a worker sends it.
    holders: bool,
    /// How many requests write at the same time.
    writers: usize,
    /// Whether neighbours in a request are neighbours in the table.
    in_order: bool,
    /// Calls of the history that the pages show.
    calls: u32,
    /// Call screens that are open at once.
    screens: u32,
}

fn main() -> Outcome<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let size = Size {
        contacts: flag("--contacts", 100_000)?,
        lookups: flag("--lookups", 10_000)?,
        webhooks: flag("--webhooks", 2_000)?,
        at_once: flag("--at-once", 16)? as usize,
        rate: flag("--rate", 2_000)?,
        records: flag("--records", 0)?,
        holders: flag("--holders", 0)? == 1,
        writers: flag("--writers", 2)? as usize,
        in_order: flag("--in-order", 1)? == 1,
        calls: flag("--calls", 0)?,
        screens: flag("--screens", 0)?,
    };
    let runtime = Runtime::new()?;
    let at = |flag: &str| std::env::args().skip_while(|arg| arg != flag).nth(1);
    if let Some(base) = at("--fill-at") {
        let told = runtime.block_on(fill(&client(&base, Purpose::Worker)?, &size))?;
        print!("{told}");
        return Ok(());
    }
    if let Some(base) = at("--ask-at") {
        return runtime.block_on(ask(&base, &size));
    }
    println!(
        "{} contacts, {} look-ups, {} webhooks, {} at once",
        size.contacts, size.lookups, size.webhooks, size.at_once
    );
    let folder = tempfile::TempDir::new()?;
    let rows = folder.path().join("rows.csv");
    plain::write(&rows, size.contacts, size.in_order)?;
    let plainly = plain::sqlite(folder.path(), &rows);
    let sqlite = format!("sqlite:{}", folder.path().join("directory.db").display());
    let keys = folder.path().join("keys");
    runtime.block_on(bench("SQLite", sqlite, keys.clone(), &size, plainly))?;
    let server = Postgres::start(true)?;
    let plainly = plain::postgres(&server.new_database()?, folder.path(), &rows);
    let postgres = server.new_database()?;
    runtime.block_on(bench("PostgreSQL", postgres, keys, &size, plainly))?;
    Ok(())
}

/// The number after a flag. Other arguments, such as cargo's `--bench`, are ignored.
fn flag(name: &str, default: u32) -> Outcome<u32> {
    let mut args = std::env::args().skip_while(|arg| arg != name).skip(1);
    args.next().map_or(Ok(default), |text| {
        text.replace('_', "")
            .parse()
            .map_err(|_| format!("{name} {text}: write a whole number").into())
    })
}

async fn bench(
    name: &str,
    database: String,
    keys: PathBuf,
    size: &Size,
    plainly: Outcome<Duration>,
) -> Outcome<()> {
    let address = database.clone();
    // Resets the peak of the memory use.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    std::fs::write(&keys, KEY)?;
    let args = Args {
        tenant_rate: 1_000_000,
        tenant_concurrency: size.at_once as u32,
        pages: PagesArgs {
            pages: true,
            ..PagesArgs::default()
        },
        ..Args::new("127.0.0.1:0".parse()?, database.into(), keys)
    };
    let shutdown = CancellationToken::new();
    // The directory is a program of its own: what others compute must not stand before a request
    // in the queue of a thread.
    let (tell, address_told) = tokio::sync::oneshot::channel();
    let stop = shutdown.clone();
    let running = std::thread::spawn(move || -> Result<(), String> {
        let served = Runtime::new().map_err(|error| error.to_string())?;
        served.block_on(async {
            let server = Server::bind(args, stop).await;
            let server = server.map_err(|error| error.to_string())?;
            let _ = tell.send(server.address());
            server.run().await.map_err(|error| error.to_string())
        })
    });
    let base = format!("http://{}", address_told.await?);

    let worker = client(&base, Purpose::Worker)?;
    let began = Instant::now();
    in_batches(size.contacts, size.writers, |range| {
        let worker = worker.clone();
        async move {
            let contacts =
                range.map(|n| contact(plain::place(n, size.contacts, size.in_order), size.holders));
            let contacts = contacts
                .collect::<Outcome<Vec<_>>>()
                .map_err(|e| e.to_string())?;
            let request = WriteContactsRequest::new(WritePolicy::OnlyMissing, contacts);
            let written = worker.write_contacts(&request).await;
            written.map(drop).map_err(|error| error.to_string())
        }
    })
    .await?;
    let loading = began.elapsed().as_secs_f64();
    println!(
        "{name:<11} {} contacts written in {loading:.1} s{}",
        size.contacts,
        beside(loading, &plainly)
    );

    for (what, is_floor) in [
        ("an answer without a database", true),
        ("beside nothing", false),
    ] {
        let asking = Asking::begin(&base, size, is_floor)?;
        tokio::time::sleep(Duration::from_secs(10)).await;
        println!("{name:<11} {what}, {}", asking.end()?);
    }
    let look_up = look_up(client(&base, Purpose::Lookup)?, size.contacts);
    let told = timed(size.lookups, size.at_once, look_up).await?;
    println!("{name:<11} look-ups {told}");

    let platform = client(&base, Purpose::Ingest)?;
    let webhook = |n: u32| ring(&platform, n.to_string(), n, size);
    let told = timed(size.webhooks, size.at_once, webhook).await?;
    println!("{name:<11} webhooks {told}");

    let began = Instant::now();
    let claim = ClaimRequest {
        limit: 1_000,
        ..ClaimRequest::new("bench")
    };
    let claimed = worker.claim(&claim).await?.calls.len();
    println!(
        "{name:<11} {claimed} of {} open calls claimed in {:.1} ms; peak memory, of the clients too, {}",
        size.webhooks,
        began.elapsed().as_secs_f64() * 1_000.0,
        peak_memory(),
    );
    if size.records > 0 {
        let before = plain::bytes(&address);
        let told = fill(&worker, size).await?;
        let bytes = plain::bytes(&address).zip(before);
        let bytes = bytes.map(|(now, before)| now.saturating_sub(before) / u64::from(size.records));
        let book = worker.book().await?;
        println!(
            "{name:<11} {} records with {} numbers filled in {told}: {} bytes a record on the disk, {} as the book says",
            book.records,
            book.numbers,
            bytes.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string()),
            book.bytes / book.records.max(1),
        );
        let (at, records) = (base.clone(), size.records.to_string());
        let asking = Asking::begin(&base, size, false)?;
        tokio::time::sleep(WARM).await;
        let filled = tokio::task::spawn_blocking(move || fill_elsewhere(&at, &records));
        println!("{name:<11} again, while others ask: {}", filled.await??);
        println!("{name:<11} meanwhile, {}", asking.end()?);
    }
    if size.calls > 0 {
        pages::history(&platform, size.calls, |n| number(n % (2 * size.contacts))).await?;
        let browser = pages::Browser::sign_in(&base, &token(Purpose::Lookup)?).await?;
        pages::views(&browser, name, size.calls).await?;
    }
    if size.screens > 0 {
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let browser = pages::Browser::sign_in(&base, &token(Purpose::Lookup)?).await?;
        let told = pages::screens(&browser, &platform, size.screens as usize, 50, 20).await?;
        println!(
            "{name:<11} {told}; peak memory, of the screens too, {}",
            peak_memory()
        );
    }
    shutdown.cancel();
    running.join().map_err(|_| "the directory panicked")??;
    Ok(())
}

/// Tells how a time is beside that of the database's own tool.
fn beside(seconds: f64, plainly: &Outcome<Duration>) -> String {
    match plainly {
        Ok(plainly) => {
            let plainly = plainly.as_secs_f64();
            let ratio = seconds / plainly;
            format!("; plainly, by the database's own tool, {plainly:.1} s: {ratio:.2} times that")
        }
        Err(error) => format!("; the database's own tool could not be run: {error}"),
    }
}

/// A call of a number comes in.
fn ring(
    platform: &Client,
    id: String,
    n: u32,
    size: &Size,
) -> impl Future<Output = Result<(), String>> + use<> {
    let platform = platform.clone();
    let call = json!({"call": {"id": format!("c{id}"), "tenant_code": "bench", "details": [{
        "id": format!("d{id}"), "call_type": "INCOMING_CALL", "from_number": number(n % size.contacts),
        "to_number": null, "dial_starts_at": "2026-11-23T01:00:00Z", "dial_answered_at": null,
        "dial_ends_at": "2026-11-23T01:01:00Z"}]}});
    async move {
        let kept = platform.ingest(&call).await;
        kept.map(drop).map_err(|error| error.to_string())
    }
}

/// Sends a thousand rows a request, and some requests at the same time.
async fn in_batches<F: Future<Output = Result<(), String>>>(
    count: u32,
    writers: usize,
    send: impl Fn(std::ops::Range<u32>) -> F,
) -> Outcome<()> {
    let starts = (0..count).step_by(1_000);
    let sent = stream::iter(starts.map(|start| send(start..(start + 1_000).min(count))));
    let sent: Vec<Result<(), String>> = sent.buffer_unordered(writers.max(1)).collect().await;
    Ok(sent.into_iter().collect::<Result<(), _>>()?)
}

/// Fills the address book in a process of its own, a request after the other, as a worker does. In
/// a cluster it seldom has the directory's processors; so it gets what the others leave.
fn fill_elsewhere(base: &str, records: &str) -> Result<String, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let filled = std::process::Command::new("nice")
        .args(["-n", "10"])
        .arg(this)
        .args(["--fill-at", base, "--records", records])
        .args(["--writers", "1"])
        .output()
        .map_err(|error| error.to_string())?;
    match filled.status.success() {
        true => Ok(String::from_utf8_lossy(&filled.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&filled.stderr).into_owned()),
    }
}

/// Fills the address book, and ends the fill.
async fn fill(worker: &Client, size: &Size) -> Outcome<String> {
    let began = Instant::now();
    let begin = BeginFill {
        anew: true,
        instance: Some("https://bench.my.salesforce.com".to_owned()),
    };
    let generation = worker.begin_fill(&begin).await?.generation;
    in_batches(size.records, size.writers, |range| {
        let worker = worker.clone();
        async move {
            let end = range.end;
            let records = range
                .map(|n| record(n, size.records))
                .collect::<Outcome<Vec<_>>>();
            let part = FillPart {
                object: RecordObject::Contact,
                job_id: Some("7505g00000bench".to_owned()),
                locator: Some(end.to_string()),
                rows: u64::from(end),
                within: 0,
                skipped: 0,
                of: None,
                done: false,
            };
            let request = WriteRecords {
                records: records.map_err(|error| error.to_string())?,
                fill: Some(FillStep {
                    generation,
                    parts: vec![part],
                }),
                ..WriteRecords::default()
            };
            let written = worker.write_records(&request).await;
            written.map(drop).map_err(|error| error.to_string())
        }
    })
    .await?;
    let written = began.elapsed().as_secs_f64();
    while !worker.finish_fill(&FinishFill { generation }).await?.done {}
    let ended = began.elapsed().as_secs_f64() - written;
    Ok(format!("{written:.1} s and {ended:.1} s for its end"))
}

/// For this long connections are opened before anything is measured.
const WARM: Duration = Duration::from_millis(500);

/// A program that looks numbers up and sends webhooks at fixed times, until it is told to end.
struct Asking(std::process::Child);

impl Asking {
    /// Begins. In a cluster who asks seldom has the directory's processors, so it gets them first:
    /// what it waits for is the directory.
    fn begin(base: &str, size: &Size, is_floor: bool) -> Outcome<Self> {
        let asking = std::process::Command::new("nice")
            .args(["-n", "-10"])
            .arg(std::env::current_exe()?)
            .args(["--ask-at", base])
            .args(["--contacts", &size.contacts.to_string()])
            .args(["--at-once", &size.at_once.to_string()])
            .args(["--rate", &size.rate.to_string()])
            .args(is_floor.then_some("--floor"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()?;
        Ok(Self(asking))
    }

    fn end(mut self) -> Outcome<String> {
        drop(self.0.stdin.take());
        let ended = self.0.wait_with_output()?;
        match ended.status.success() {
            true => Ok(String::from_utf8(ended.stdout)?),
            false => Err("who asks ended with an error".into()),
        }
    }
}

/// Looks up and sends webhooks at fixed times until the standard input ends.
async fn ask(base: &str, size: &Size) -> Outcome<()> {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        stopped.cancel();
    });
    if std::env::args().any(|arg| arg == "--floor") {
        let (http, url) = (reqwest::Client::new(), format!("{base}/healthz"));
        let answer = |_| {
            let asked = http.get(&url).send();
            async move {
                let answer = asked.await.map_err(|error| error.to_string())?;
                answer
                    .bytes()
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())
            }
        };
        print!("{}", until(&stop, size.rate, size.at_once, answer).await?);
        return Ok(());
    }
    let look_up = look_up(client(base, Purpose::Lookup)?, size.contacts);
    let platform = client(base, Purpose::Ingest)?;
    let began = Timestamp::now().as_millisecond();
    let webhook = |n: u32| ring(&platform, format!("{began}-{n}"), n, size);
    let (looks, hooks) = tokio::join!(
        until(&stop, size.rate, size.at_once, look_up),
        until(&stop, 200, size.at_once, webhook),
    );
    print!("look-ups {}; webhooks {}", looks?, hooks?);
    Ok(())
}

/// Looks up one number after another. They are spread over all contacts, so two neighbours never
/// follow each other.
fn look_up(
    reader: Client,
    contacts: u32,
) -> impl Fn(u32) -> futures::future::BoxFuture<'static, Result<(), String>> {
    move |n| {
        let number = number((u64::from(n) * 7_919 % u64::from(contacts)) as u32);
        let reader = reader.clone();
        Box::pin(async move {
            let found = reader.contact(&number).await.map_err(|e| e.to_string())?;
            found.map(drop).ok_or(format!("{number} is not known"))
        })
    }
}

/// Runs something at fixed times until it is stopped, and tells the latencies after the first half
/// second. The latency of each counts from its time, so a delay behind a slow one is included.
async fn until<F: Future<Output = Result<(), String>>>(
    stop: &CancellationToken,
    rate: u32,
    at_once: usize,
    run: impl Fn(u32) -> F,
) -> Outcome<String> {
    let began = Instant::now();
    let (tell, told) = futures::channel::mpsc::unbounded();
    let stopped = stop.clone();
    // A thread, since tokio's time has steps of a millisecond.
    std::thread::spawn(move || {
        for n in 0.. {
            let due = began + Duration::from_secs(1) * n / rate;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if stopped.is_cancelled() || tell.unbounded_send((n, due)).is_err() {
                return;
            }
        }
    });
    let results: Vec<Result<(Instant, Duration), String>> = told
        .map(|(n, due)| {
            let running = run(n);
            async move { running.await.map(|()| (due, due.elapsed())) }
        })
        .buffer_unordered(at_once)
        .collect()
        .await;
    let seconds = began.elapsed().as_secs_f64();
    let times = results.into_iter().collect::<Result<Vec<_>, _>>()?;
    let times = times.into_iter().filter(|(due, _)| *due > began + WARM);
    let mut times: Vec<Duration> = times.map(|(_, took)| took).collect();
    times.sort();
    Ok(format!(
        "at {rate}/s: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
        times.len() as f64 / (seconds - WARM.as_secs_f64()),
        permille(&times, 500),
        permille(&times, 990),
        permille(&times, 999),
    ))
}

/// Measures the rate per second and the latencies, as fast as so many clients ask.
async fn timed<F: Future<Output = Result<(), String>>>(
    count: u32,
    at_once: usize,
    run: impl Fn(u32) -> F,
) -> Outcome<String> {
    let began = Instant::now();
    let results: Vec<Result<Duration, String>> = stream::iter(0..count)
        .map(|n| {
            let running = run(n);
            async move {
                let began = Instant::now();
                running.await.map(|()| began.elapsed())
            }
        })
        .buffer_unordered(at_once)
        .collect()
        .await;
    let seconds = began.elapsed().as_secs_f64();
    let mut times = results.into_iter().collect::<Result<Vec<_>, _>>()?;
    times.sort();
    Ok(format!(
        "as fast as {at_once} clients ask: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
        f64::from(count) / seconds,
        permille(&times, 500),
        permille(&times, 990),
        permille(&times, 999),
    ))
}

fn permille(times: &[Duration], permille: usize) -> f64 {
    let index = (times.len() * permille / 1_000).min(times.len().saturating_sub(1));
    times.get(index).map_or(0.0, |t| t.as_secs_f64() * 1_000.0)
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// A Japanese mobile number; the range is large enough.
fn number(n: u32) -> String {
    format!("+8190{:08}", 10_000_000 + n)
}

/// A record of the address book. Ids come in their order, as Salesforce reads them; numbers do not.
fn record(n: u32, of: u32) -> Outcome<BookRecord> {
    let place = |n: u32| (u64::from(n) * 7_919 % u64::from(of.max(1))) as u32;
    let mut numbers = vec![number(place(n))];
    if n.is_multiple_of(4) {
        numbers.push(format!("+8180{:08}", 10_000_000 + place(n)));
    }
    let numbers = numbers
        .iter()
        .map(|number| E164::written(number.as_str()).map_err(|_| format!("{number} is no number")));
    Ok(BookRecord {
        object: RecordObject::Contact,
        record_id: format!("0035g{n:013}"),
        account_id: Some(format!("0015g{:013}", n / 10)),
        company_name: Some(format!("Company {}", n / 10)),
        person_name: Some(format!("Person {n}")),
        title: Some("Head of Sales".to_owned()),
        owner_name: Some(format!("Owner {}", n % 100)),
        modified_at: Some(Timestamp::from_second(1_700_000_000 + i64::from(n))?),
        numbers: numbers.collect::<Result<_, _>>()?,
    })
}

fn contact(n: u32, holders: bool) -> Outcome<FoundContact> {
    let holder = Holder {
        object: RecordObject::Contact,
        record_id: format!("0035g{n:013}"),
        account_id: Some(format!("0015g{:013}", n / 10)),
        company_name: Some(format!("Company {}", n / 10)),
        person_name: Some(format!("Person {n}")),
        title: None,
        owner_name: None,
        modified_at: Some(Timestamp::from_second(1_700_000_000 + i64::from(n))?),
    };
    Ok(FoundContact {
        number: E164::written(number(n))?,
        company_name: Some(format!("Company {}", n / 10)),
        person_name: Some(format!("Person {n}")),
        object: RecordObject::Contact,
        record_id: format!("0035g{n:013}"),
        link: Some(format!("https://bench.my.salesforce.com/0035g{n:013}")),
        title: None,
        owner_name: None,
        alternatives: None,
        holders: holders.then(|| vec![holder]),
        all_holders: holders,
    })
}

fn token(purpose: Purpose) -> Outcome<secrecy::SecretString> {
    Ok(TokenKeys::parse(KEY)?.mint(&Claims {
        company: "bench".parse()?,
        purpose,
        region: Region::JAPAN,
        issued_at: Timestamp::now(),
        expires_at: None,
    })?)
}

fn client(base: &str, purpose: Purpose) -> Outcome<Client> {
    let token = token(purpose)?;
    let once = Retry {
        attempts: 1,
        ..Retry::default()
    };
    Ok(Client::new(base, token)?.with_retry(once))
}
