//! `switchboard status`: what a tenant needs to know of its integrations, read from the cluster
//! with the caller's own rights. It changes nothing, and knows no more than the status says:
//! `read` asks the API server, `view` picks out what matters, `text` and `json` print it.

mod error;
mod json;
mod read;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod view;

use std::time::Duration;

use self::error::LookError;
use self::read::Found;
use self::view::Look;
use crate::api::now;
use crate::cli::{KubeconfigArgs, client_of, duration, print};
use crate::error::print_error;
use crate::exit::Exit;
use crate::shutdown::Shutdown;

/// Flags of `switchboard status`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Which integration; all of the namespace when not given.
    pub name: Option<String>,
    /// Namespace of the integrations; the kubeconfig's own when not given.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// The integrations of all namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "name"])]
    pub all_namespaces: bool,
    /// How to print what was found.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// How long to wait for the API server, such as 60s.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would become a heading of the help"
    )]
    pub cluster: KubeconfigArgs,
}

/// How to print what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// Reads the integrations and prints them.
pub async fn run(args: Args, shutdown: Shutdown) -> Exit {
    let end = |error: &(dyn std::error::Error + 'static), exit| {
        print_error("status", error);
        exit
    };
    let found = match shutdown.unless_requested(found(&args)).await {
        Err(stopped) => return end(&stopped, Exit::Interrupted),
        Ok(Err(error)) => return end(&error, error.exit()),
        Ok(Ok(found)) => found,
    };
    let look = Look::of(found, now());
    let text = match args.output {
        Output::Text => text::text(&look, args.all_namespaces),
        Output::Json => json::text(&look),
    };
    match print(&text) {
        Err(error) => end(&error, Exit::Failed),
        Ok(()) if look.is_ready() => Exit::Done,
        Ok(()) => Exit::Failed,
    }
}

async fn found(args: &Args) -> Result<Found, LookError> {
    let config = args.cluster.cluster_config().await?;
    let namespace = match (&args.namespace, args.all_namespaces) {
        (_, true) => None,
        (Some(namespace), false) => Some(namespace.clone()),
        (None, false) => Some(config.default_namespace.clone()),
    };
    let server = config.cluster_url.to_string();
    let client = client_of(config)?;
    let look = read::look(&client, &server, namespace.as_deref(), args.name.as_deref());
    match tokio::time::timeout(args.timeout, look).await {
        Ok(found) => found,
        Err(_) => Err(LookError::Silent {
            server,
            timeout: args.timeout,
        }),
    }
}
