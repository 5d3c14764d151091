//! Prints the results.

use switchboard_testbed::Usage;

use crate::{Args, Measured, Scenario, by_kind};

/// Describes the machine that the numbers depend on.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores for everything, API server and Salesforce included")
}

/// Prints the results of one scenario.
pub(crate) fn print(scenario: Scenario, args: &Args, measured: &Measured) {
    let title = match scenario {
        Scenario::Start => "from the controller's start",
        Scenario::Applied => "applied at once with the controller running",
    };
    let each = |total: f64| format!("{:.2} each", total / args.count as f64);
    println!("\n{} integrations, {title}", args.count);
    row(
        "half Ready, all Ready, settled",
        format!(
            "{:.2} s, {:.2} s, {:.2} s",
            measured.half_ready.as_secs_f64(),
            measured.all_ready.as_secs_f64(),
            measured.settled.as_secs_f64()
        ),
    );
    row(
        "log-ins",
        format!("{} ({})", measured.logins, each(measured.logins as f64)),
    );
    row(
        "Salesforce API calls",
        format!(
            "{} ({})",
            measured.api_calls,
            each(measured.api_calls as f64)
        ),
    );
    row(
        "connections to Salesforce",
        measured.connections.to_string(),
    );
    row(
        "controller, when all Ready",
        format!(
            "peak {}, {:.2} CPU seconds",
            megabytes(measured.usage.peak_rss),
            measured.usage.cpu_seconds
        ),
    );
    row("controller, at the end", usage(&measured.usage_at_end));
    row(
        "reconciles",
        format!(
            "{} ({}), and {} in the quiet time",
            measured.reconciles,
            each(measured.reconciles as f64),
            measured.quiet_reconciles
        ),
    );
    for (kind, times) in &measured.requests {
        row(
            &format!("  {kind}"),
            format!("{times} ({})", each(*times as f64)),
        );
    }
    row(
        &format!("API writes in the next {} s", args.quiet_seconds),
        measured.quiet_writes.len().to_string(),
    );
    for (kind, times) in by_kind(&measured.quiet_writes) {
        row(&format!("  {kind}"), times.to_string());
    }
    let mut delays = measured.delays.clone();
    delays.sort_unstable();
    if let (Some(median), Some(worst)) = (delays.get(delays.len() / 2), delays.last()) {
        row(
            "changed Secret to status",
            format!(
                "median {:.0} ms, worst {:.0} ms of {}; {:.0} ms of it are Salesforce's own answers",
                median.0.as_secs_f64() * 1e3,
                worst.0.as_secs_f64() * 1e3,
                delays.len(),
                median.1.as_secs_f64() * 1e3
            ),
        );
    }
}

pub(crate) fn usage(usage: &Usage) -> String {
    format!(
        "peak {}, now {}, {:.2} CPU seconds",
        megabytes(usage.peak_rss),
        megabytes(usage.rss),
        usage.cpu_seconds
    )
}

pub(crate) fn row(what: &str, value: String) {
    println!("  {what:<44} {value}");
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
