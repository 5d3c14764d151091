//! A real Prometheus that scrapes programs under test, and `promtool`.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::control_plane::CommandOutput;
use crate::error::{Context as _, Error, Result};
use crate::process::Process;
use crate::wait::try_wait_for;

/// Time limit for the start, on a machine that is busy with other tests.
const START: Duration = Duration::from_secs(60);

/// Another program may take the port between its choice and its use.
const ATTEMPTS: usize = 5;

/// A Prometheus server that scrapes every second. It ends when this value is dropped, or with the
/// test program.
#[derive(Debug)]
pub struct Prometheus {
    url: String,
    _process: Process,
    _folder: TempDir,
}

// === impl Prometheus ===

impl Prometheus {
    /// Starts a server that scrapes `/metrics` of these jobs: names with `HOST:PORT`.
    pub async fn start(jobs: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir().context(|| "make a folder for Prometheus")?;
        let config = folder.path().join("prometheus.json");
        // YAML contains JSON.
        let scrapes: Vec<Value> = jobs
            .iter()
            .map(|(name, target)| {
                serde_json::json!({
                    "job_name": name, "honor_labels": true, "static_configs": [{"targets": [target]}],
                })
            })
            .collect();
        let text = serde_json::json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": scrapes,
        });
        std::fs::write(&config, text.to_string()).context(|| "write its configuration")?;
        for _ in 0..ATTEMPTS {
            let listener = TcpListener::bind("127.0.0.1:0").context(|| "find a free port")?;
            let address = listener.local_addr().context(|| "find a free port")?;
            drop(listener);
            let process = Process::builder("prometheus", "prometheus")
                .arg(format!("--config.file={}", config.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    folder.path().join("data").display()
                ))
                .arg(format!("--web.listen-address={address}"))
                .arg("--log.level=warn")
                .start()
                .await?;
            let url = format!("http://{address}");
            let ready = try_wait_for("Prometheus to be ready", START, || async {
                if process.exit_code().is_some() {
                    return Ok(false);
                }
                let answer = reqwest::get(format!("{url}/-/ready")).await;
                match answer.and_then(reqwest::Response::error_for_status) {
                    Ok(_) => Ok(true),
                    Err(error) => Err(error.to_string()),
                }
            });
            if ready.await? {
                return Ok(Self {
                    url,
                    _process: process,
                    _folder: folder,
                });
            }
            let said = process.text();
            if !said.contains("address already in use") {
                return Err(Error::Unsupported(format!(
                    "Prometheus does not start (tests/support/prometheus.sh installs it): {said}"
                )));
            }
        }
        Err(Error::Unsupported("no port for Prometheus".to_owned()))
    }

    /// The samples that an expression finds now. An expression that cannot be evaluated is an error
    /// with Prometheus' own words.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let answer = reqwest::Client::new()
            .get(format!("{}/api/v1/query", self.url))
            .query(&[("query", expression)])
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        match answer["data"]["result"].as_array() {
            Some(samples) if answer["data"]["resultType"] == "vector" => Ok(samples.clone()),
            _ => Err(format!("no vector: {answer}")),
        }
    }

    /// Where the server answers.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Runs `promtool` in a folder.
pub async fn promtool(folder: &Path, arguments: &[&str]) -> Result<CommandOutput> {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(folder);
    CommandOutput::of(command, "").await.map_err(|error| {
        Error::Unsupported(format!(
            "promtool (tests/support/prometheus.sh installs it): {error}"
        ))
    })
}

/// The sum over all labels of a metric, in what a program serves at `/metrics`.
#[must_use]
pub fn metric_sum(metrics: &str, name: &str) -> f64 {
    metrics
        .lines()
        .filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
