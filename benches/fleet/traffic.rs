//! What a fleet costs when nobody calls, how long a name takes after a call, and while it rings.

use std::time::{Duration, Instant};

use base64::Engine;
use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use salesforce_simulator::Simulator;
use switchboard::decide::rules::config::RunsWhere;
use switchboard::directory::client::Caller;
use switchboard::directory::model::CallsQuery;
use switchboard::directory::{Claims, Client, Purpose, TokenKeys};
use switchboard::phone::Region;
use switchboard_testbed::{AuditEvent, incoming_call};
use tokio::task::JoinSet;

use crate::bed::Bed;
use crate::controller::Controller;
use crate::tenants::{caller_number, name_of, password, user_of};
use crate::{Args, Result, by_kind};

/// How long a call may take to its name.
const NAMED_WITHIN: Duration = Duration::from_secs(900);
/// In which order tenants have rings.
const SEED: u64 = 17;
/// How long a call screen waits.
const WAIT: Duration = Duration::from_secs(3);

/// How often the call history is read until a call has its name: so often that it does not matter,
/// and so seldom that the reading is not what is measured.
fn poll(args: &Args) -> Duration {
    match args.runs_where {
        RunsWhere::Resident => Duration::from_millis(100),
        RunsWhere::Pods => Duration::from_secs(5),
    }
}

/// Prints what the cluster wrote and the controller computed while nobody called.
pub(crate) async fn idle(bed: &Bed, controller: &Controller, args: &Args) -> Result<()> {
    let (mark, revision) = (bed.control_plane.audit_mark()?, bed.revision().await?);
    let (began, cpu) = (Instant::now(), controller.usage()?.cpu_seconds);
    let calls = bed.simulator.counters().api_calls();
    tokio::time::sleep(Duration::from_secs(args.quiet_seconds)).await;
    let seconds = began.elapsed().as_secs_f64();
    let revisions = bed.revision().await? - revision;
    let writes = bed.control_plane.audit_since(mark)?.into_iter();
    let writes: Vec<AuditEvent> = writes
        .filter(|event| event.is_write() && event.code < 300)
        .collect();
    let (of_leases, others): (Vec<_>, Vec<_>) = writes
        .into_iter()
        .partition(|event| event.resource == "leases");
    let hourly = |count: f64| count * 3_600.0 / seconds / args.count as f64;
    println!("\n{} tenants, nobody calls, {seconds:.0} s", args.count);
    println!(
        "  etcd revisions of the whole cluster: {revisions}, of them {} of the control plane's own Leases; without these {:.2} an hour and tenant",
        of_leases.len(),
        hourly(revisions.saturating_sub(of_leases.len() as u64) as f64)
    );
    println!("  writes: {:?}", by_kind(&others));
    println!(
        "  controller: {:.2} % of a core; {:.2} API calls an hour and tenant",
        (controller.usage()?.cpu_seconds - cpu) / seconds * 100.0,
        hourly((bed.simulator.counters().api_calls() - calls) as f64)
    );
    Ok(())
}

/// Calls end at a fixed rate, each of another number; prints how long each took to its name in the
/// call history.
pub(crate) async fn calls(bed: &Bed, args: &Args) -> Result<()> {
    let many = args.calls_a_second * args.traffic_seconds;
    let poll = poll(args);
    let before = bed.simulator.counters().api_calls();
    let took = at_a_rate(many, args.calls_a_second, |number| {
        let tenant = number as usize % args.count;
        let caller = caller_number(tenant, number as usize / args.count);
        named(bed.directory_url().to_owned(), tenant, number, caller, poll)
    })
    .await?;
    println!(
        "\n{many} calls at {} a second over {} tenants, runs in {:?}, Salesforce answers in {} ms: from the end of a call to its name by GET /v1/calls (read every {} ms)",
        args.calls_a_second,
        args.count,
        args.runs_where,
        args.latency_ms,
        poll.as_millis()
    );
    print(took);
    let calls = bed.simulator.counters().api_calls() - before;
    println!("  {:.2} API calls a number", calls as f64 / many as f64);
    Ok(())
}

async fn named(
    base: String,
    tenant: usize,
    number: u64,
    caller: String,
    poll: Duration,
) -> Result<Duration> {
    let company = name_of(tenant);
    let ingest = client(&base, &company, Purpose::Ingest)?;
    let lookup = client(&base, &company, Purpose::Lookup)?;
    let call = incoming_call(&company, &number.to_string(), &caller);
    let began = Instant::now();
    // A platform sends again what was not taken.
    while let Err(error) = ingest.ingest(&call).await {
        if began.elapsed() > NAMED_WITHIN {
            return Err(error.into());
        }
        tokio::time::sleep(poll).await;
    }
    let query = CallsQuery {
        number: Some(caller),
        ..CallsQuery::default()
    };
    while began.elapsed() < NAMED_WITHIN {
        let page = lookup.calls(&query).await?;
        if page.calls.iter().any(|call| call.contact.is_some()) {
            return Ok(began.elapsed());
        }
        tokio::time::sleep(poll).await;
    }
    Err(format!("a call of {company} had no name after {NAMED_WITHIN:?}").into())
}

/// Callers who were never seen ring at a fixed rate; prints how long each took to its name, beside
/// a plain client that asks Contact, Account and Lead in turn.
pub(crate) async fn rings(bed: &Bed, args: &Args) -> Result<()> {
    let many = args.rings_a_second * args.traffic_seconds;
    let over = args.count.min(100);
    // Numbers that no call has had.
    let from = (args.calls_a_second * args.traffic_seconds) as usize / args.count + 1;
    let mut callers: Vec<(usize, String)> = (0..many as usize)
        .map(|number| {
            let tenant = number % over;
            (tenant, caller_number(tenant, from + number / over))
        })
        .collect();
    // So that two ring at one tenant within the time of an answer, as it happens.
    callers.shuffle(&mut StdRng::seed_from_u64(SEED));
    println!(
        "\n{many} rings of callers never seen, {} a second over {over} tenants in an order by chance (seed {SEED}), Salesforce answers in {} ms",
        args.rings_a_second, args.latency_ms
    );
    let plain = Plain::log_in(&bed.simulator, over).await?;
    let before = bed.simulator.counters().api_calls();
    let took = at_a_rate(many, args.rings_a_second, |number| {
        let (tenant, caller) = callers[number as usize].clone();
        plain.clone().ask(tenant, caller)
    })
    .await?;
    let calls = bed.simulator.counters().api_calls() - before;
    println!(
        "  a plain client that asks Contact, Account and Lead in turn, {:.2} API calls a number:",
        calls as f64 / many as f64
    );
    print(took);
    let before = bed.simulator.counters().api_calls();
    let took = at_a_rate(many, args.rings_a_second, |number| {
        let (tenant, caller) = callers[number as usize].clone();
        rung(bed.directory_url().to_owned(), tenant, caller)
    })
    .await?;
    let calls = bed.simulator.counters().api_calls() - before;
    println!(
        "  GET /v1/contacts/NUMBER?wait=3s, {:.2} API calls a number:",
        calls as f64 / many as f64
    );
    print(took);
    Ok(())
}

async fn rung(base: String, tenant: usize, caller: String) -> Result<Duration> {
    let lookup = client(&base, &name_of(tenant), Purpose::Lookup)?;
    let began = Instant::now();
    match lookup.caller(&caller, WAIT).await? {
        Caller::Known(_) => Ok(began.elapsed()),
        Caller::Nobody(problem) => Err(format!("a ring had no name: {problem:?}").into()),
    }
}

/// Begins so many at a fixed rate, whatever becomes of those before, and returns how long each
/// took.
async fn at_a_rate<F>(many: u64, a_second: u64, work: impl Fn(u64) -> F) -> Result<Vec<Duration>>
where
    F: Future<Output = Result<Duration>> + Send + 'static,
{
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(a_second)?);
    let mut running = JoinSet::new();
    for number in 0..many {
        ticks.tick().await;
        running.spawn(work(number));
    }
    let mut took = vec![];
    while let Some(ended) = running.join_next().await {
        took.push(ended??);
    }
    Ok(took)
}

fn print(mut took: Vec<Duration>) {
    took.sort_unstable();
    let of = |share: f64| {
        let place = (took.len() as f64 * share) as usize;
        took.get(place.min(took.len().saturating_sub(1)))
            .map_or(0.0, |took| took.as_secs_f64() * 1_000.0)
    };
    println!(
        "    p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms",
        of(0.5),
        of(0.99),
        of(1.0)
    );
}

fn client(base: &str, company: &str, purpose: Purpose) -> Result<Client> {
    let keys = base64::engine::general_purpose::STANDARD.encode([7; 32]);
    let token = TokenKeys::parse(&keys)?.mint(&Claims {
        company: company.parse()?,
        purpose,
        region: Region::JAPAN,
        issued_at: Timestamp::now(),
        expires_at: None,
    })?;
    thread_local! {
        static HTTP: reqwest::Client = reqwest::Client::new();
    }
    Ok(Client::with_http(HTTP.with(Clone::clone), base, token)?)
}

/// A client as one writes it in an afternoon: three queries, one after the other.
#[derive(Clone)]
struct Plain {
    http: reqwest::Client,
    base: String,
    sessions: std::sync::Arc<Vec<String>>,
}

// === impl Plain ===

impl Plain {
    /// Logs in as the users of the first tenants.
    async fn log_in(simulator: &Simulator, tenants: usize) -> Result<Self> {
        let authority = reqwest::Certificate::from_pem(simulator.ca_pem().as_bytes())?;
        let http = reqwest::Client::builder()
            .add_root_certificate(authority)
            .build()?;
        let base = simulator.url().trim_end_matches('/').to_owned();
        let mut sessions = vec![];
        for tenant in 0..tenants {
            let user = user_of(tenant);
            let body = format!(
                r#"<?xml version="1.0"?><env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Body><n1:login xmlns:n1="urn:partner.soap.sforce.com"><n1:username>{user}</n1:username><n1:password>{}</n1:password></n1:login></env:Body></env:Envelope>"#,
                password(&user, 0)
            );
            let answer = http
                .post(format!("{base}/services/Soap/u/50.0"))
                .header("content-type", "text/xml; charset=UTF-8")
                .header("SOAPAction", "login")
                .body(body)
                .send()
                .await?
                .text()
                .await?;
            let session = answer
                .split_once("<sessionId>")
                .and_then(|(_, rest)| rest.split_once("</sessionId>"))
                .ok_or("the plain client could not log in")?;
            sessions.push(session.0.to_owned());
        }
        Ok(Self {
            http,
            base,
            sessions: sessions.into(),
        })
    }

    async fn ask(self, tenant: usize, caller: String) -> Result<Duration> {
        let session = self.sessions.get(tenant).ok_or("no session")?;
        let began = Instant::now();
        for object in ["Contact", "Account", "Lead"] {
            let query = format!("SELECT Id, Name FROM {object} WHERE Phone = '{caller}'");
            let answer = self
                .http
                .get(format!("{}/services/data/v50.0/query", self.base))
                .query(&[("q", query)])
                .bearer_auth(session)
                .send()
                .await?
                .error_for_status()?;
            answer.bytes().await?;
        }
        Ok(began.elapsed())
    }
}
