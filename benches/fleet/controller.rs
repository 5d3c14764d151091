//! The measured program, with its process and its metrics.

use std::time::Duration;

use switchboard_testbed::{Process, Usage, metric_sum};

use crate::{Result, in_time};

/// The controller's process and the URL of its metrics.
pub(crate) struct Controller {
    pub process: Process,
    pub url: String,
}

// === impl Controller ===

impl Controller {
    pub(crate) fn usage(&self) -> Result<Usage> {
        Ok(self.process.usage().ok_or("the controller has ended")?)
    }

    pub(crate) async fn until_serving(&self) -> Result<()> {
        in_time("the controller to be ready", async {
            while !reqwest::get(format!("{}/readyz", self.url))
                .await?
                .status()
                .is_success()
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        })
        .await
    }

    /// Waits until the controller reconciles nothing for a second.
    pub(crate) async fn until_idle(&self) -> Result<()> {
        in_time("the controller to be idle", async {
            let mut last = (f64::NAN, f64::NAN);
            loop {
                let metrics = self.metrics().await?;
                let now = (
                    metric_sum(&metrics, "switchboard_reconciling"),
                    metric_sum(&metrics, "switchboard_reconciles_total"),
                );
                if now.0 == 0.0 && now == last {
                    return Ok(());
                }
                last = now;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
        .await
    }

    pub(crate) async fn reconciles(&self) -> Result<u64> {
        Ok(metric_sum(&self.metrics().await?, "switchboard_reconciles_total") as u64)
    }

    async fn metrics(&self) -> Result<String> {
        Ok(reqwest::get(format!("{}/metrics", self.url))
            .await?
            .text()
            .await?)
    }
}
