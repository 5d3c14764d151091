//! `make bench-directory`: the performance of the directory with many contacts, on SQLite and on
//! PostgreSQL.
//!
//! All requests use HTTP on the loopback, as a softphone and the platform send them. Both databases
//! write to the disk before they answer.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use serde_json::json;
use switchboard::directory::client::Retry;
use switchboard::directory::model::{
    ClaimRequest, FoundContact, RecordObject, WriteContactsRequest, WritePolicy,
};
use switchboard::directory::{Args, Claims, Client, Purpose, Server, TokenKeys};
use switchboard::phone::Region;
use switchboard_testbed::Postgres;
use tokio_util::sync::CancellationToken;

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
}

fn main() -> Outcome<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let size = Size {
        contacts: flag("--contacts", 100_000)?,
        lookups: flag("--lookups", 10_000)?,
        webhooks: flag("--webhooks", 2_000)?,
        at_once: flag("--at-once", 16)? as usize,
        rate: flag("--rate", 1_000)?,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    println!(
        "{} contacts, {} look-ups, {} webhooks, {} at once",
        size.contacts, size.lookups, size.webhooks, size.at_once
    );
    let folder = tempfile::TempDir::new()?;
    let sqlite = format!("sqlite:{}", folder.path().join("directory.db").display());
    runtime.block_on(bench("SQLite", sqlite, folder.path().join("keys"), &size))?;
    let server = Postgres::start(true)?;
    let postgres = server.new_database()?;
    runtime.block_on(bench(
        "PostgreSQL",
        postgres,
        folder.path().join("keys"),
        &size,
    ))?;
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

async fn bench(name: &str, database: String, keys: PathBuf, size: &Size) -> Outcome<()> {
    // Resets the peak of the memory use.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    std::fs::write(&keys, KEY)?;
    let args = Args {
        tenant_rate: 1_000_000,
        tenant_concurrency: size.at_once as u32,
        ..Args::new("127.0.0.1:0".parse()?, database.into(), keys)
    };
    let shutdown = CancellationToken::new();
    let server = Server::bind(args, shutdown.clone()).await?;
    let base = format!("http://{}", server.address());
    let running = tokio::spawn(server.run());

    let began = Instant::now();
    let worker = client(&base, Purpose::Worker)?;
    for start in (0..size.contacts).step_by(1_000) {
        let end = (start + 1_000).min(size.contacts);
        let contacts = (start..end).map(contact).collect::<Outcome<Vec<_>>>()?;
        let policy = WritePolicy::OnlyMissing;
        worker
            .write_contacts(&WriteContactsRequest::new(policy, contacts))
            .await?;
    }
    let loading = began.elapsed();

    println!(
        "{name:<11} {} contacts written in {:.1} s",
        size.contacts,
        loading.as_secs_f64()
    );

    let reader = client(&base, Purpose::Lookup)?;
    let look_up = |n: u32| {
        // The requests are spread over all contacts, so two neighbours never follow each other.
        let number = number((u64::from(n) * 7_919 % u64::from(size.contacts)) as u32);
        let reader = reader.clone();
        async move {
            let found = reader.contact(&number).await.map_err(|e| e.to_string())?;
            found.map(drop).ok_or(format!("{number} is not known"))
        }
    };
    for rate in [Some(size.rate), None] {
        let told = timed(size.lookups, size.at_once, rate, look_up).await?;
        println!("{name:<11} look-ups {told}");
    }

    let platform = client(&base, Purpose::Ingest)?;
    let told = timed(size.webhooks, size.at_once, None, |n| {
        let platform = platform.clone();
        let call = json!({"call": {"id": format!("c{n}"), "tenant_code": "bench", "details": [{
            "id": format!("d{n}"), "call_type": "INCOMING_CALL", "from_number": number(n % size.contacts),
            "to_number": null, "dial_starts_at": "2026-11-23T01:00:00Z", "dial_answered_at": null,
            "dial_ends_at": "2026-11-23T01:01:00Z"}]}});
        async move {
            let kept = platform.ingest(&call).await;
            kept.map(drop).map_err(|error| error.to_string())
        }
    })
    .await?;
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
    shutdown.cancel();
    running.await??;
    Ok(())
}

/// Measures the rate per second and the latencies. With a rate, each request has a start time and
/// its latency counts from then, so a delay behind a slow request is included.
async fn timed<F: Future<Output = Result<(), String>>>(
    count: u32,
    at_once: usize,
    rate: Option<u32>,
    run: impl Fn(u32) -> F,
) -> Outcome<String> {
    let began = Instant::now();
    let results: Vec<Result<Duration, String>> = stream::iter(0..count)
        .map(|n| {
            let due = rate.map(|rate| began + Duration::from_secs(1) * n / rate);
            let running = run(n);
            async move {
                if let Some(due) = due {
                    tokio::time::sleep_until(due.into()).await;
                }
                let began = due.unwrap_or_else(Instant::now);
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
        "{} {:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
        rate.map_or_else(
            || format!("as fast as {at_once} clients ask:"),
            |rate| format!("at {rate}/s:")
        ),
        f64::from(count) / seconds,
        percentile(&times, 50),
        percentile(&times, 99),
    ))
}

fn percentile(times: &[Duration], percent: usize) -> f64 {
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
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

fn contact(n: u32) -> Outcome<FoundContact> {
    Ok(FoundContact {
        number: number(n)
            .parse()
            .map_err(|_| format!("{} is no number", number(n)))?,
        company_name: Some(format!("Company {}", n / 10)),
        person_name: Some(format!("Person {n}")),
        object: RecordObject::Contact,
        record_id: format!("0035g{n:013}"),
        link: Some(format!("https://bench.my.salesforce.com/0035g{n:013}")),
        title: None,
        owner_name: None,
        alternatives: None,
        holders: None,
        all_holders: false,
    })
}

fn client(base: &str, purpose: Purpose) -> Outcome<Client> {
    let token = TokenKeys::parse(KEY)?.mint(&Claims {
        company: "bench".parse()?,
        purpose,
        region: Region::JAPAN,
        issued_at: Timestamp::now(),
        expires_at: None,
    })?;
    let once = Retry {
        attempts: 1,
        ..Retry::default()
    };
    Ok(Client::new(base, token)?.with_retry(once))
}
