//! Measures the start-up time and the memory at rest.

use serde_json::Value;

use crate::bed::{Bed, OPERATOR};
use crate::{Failure, Progress};

pub(crate) async fn print(bed: &Bed, progress: &mut Progress) -> Result<(), Failure> {
    progress
        .must("start-up time to watching, memory at rest", async {
            let mut found = Vec::new();
            for pod in bed.pods("controller").await? {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                if let Some(time) =
                    time_to_watching(&bed.kubectl(&["logs", "-n", OPERATOR, name]).await?)
                {
                    found.push(format!("{name} watched after {time} ms"));
                }
            }
            let node = bed
                .kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"])
                .await?;
            let path = format!("/api/v1/nodes/{node}/proxy/stats/summary");
            let summary: Value =
                serde_json::from_str(&bed.kubectl(&["get", "--raw", &path]).await?)?;
            for pod in summary["pods"].as_array().into_iter().flatten() {
                if pod["podRef"]["namespace"] != OPERATOR {
                    continue;
                }
                for container in pod["containers"].as_array().into_iter().flatten() {
                    let bytes = container["memory"]["workingSetBytes"]
                        .as_u64()
                        .unwrap_or_default();
                    let anonymous = container["memory"]["rssBytes"].as_u64().unwrap_or_default();
                    found.push(format!(
                        "{} {} holds {:.1} MB ({:.1} MB of its own)",
                        pod["podRef"]["name"],
                        container["name"],
                        megabytes(bytes),
                        megabytes(anonymous)
                    ));
                }
            }
            Ok(found.join("\n           "))
        })
        .await
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Milliseconds from the first line of a controller's log to the line that reports complete
/// watches; `None` for a controller that never led.
fn time_to_watching(log: &str) -> Option<i128> {
    let time = |line: &str| -> Option<jiff::Timestamp> {
        let line: Value = serde_json::from_str(line).ok()?;
        line["timestamp"].as_str()?.parse().ok()
    };
    let first = log.lines().find_map(time)?;
    let watching = log
        .lines()
        .find(|line| line.contains("the controller watches"))
        .and_then(time)?;
    Some((watching.as_nanosecond() - first.as_nanosecond()) / 1_000_000)
}
