//! The server: listens, answers, and goes down without dropping what it has begun.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::{
    TokenError, TokenKeys,
    http::{App, Limits, router},
    store::{Store, StoreError},
};

const MAX_BODY: usize = 4 * 1024 * 1024;
const REQUEST_SECONDS: u64 = 20;
const GRACE_SECONDS: u64 = 20;

/// How the directory runs: the flags of `switchboard directory`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where to listen.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_LISTEN",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: SocketAddr,
    /// Where calls and contacts are kept: sqlite:PATH, or postgres://USER@HOST/DATABASE for more than one replica.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_DATABASE",
        hide_env_values = true,
        default_value = "sqlite:directory.db",
        value_name = "ADDRESS"
    )]
    pub database: SecretString,
    /// A file that holds the database's address instead, so that its password stands in no argument.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_DATABASE_URL_FILE",
        conflicts_with = "database",
        value_name = "FILE"
    )]
    pub database_url_file: Option<PathBuf>,
    /// The file with the keys of the tokens: one base64 key of at least 32 bytes a line, the signing key first.
    #[arg(long, env = "SWITCHBOARD_TOKEN_KEYS", value_name = "FILE")]
    pub token_keys: PathBuf,
    /// The largest request body, in bytes. A webhook carries the transcript of its call.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_MAX_BODY", default_value_t = MAX_BODY, value_name = "BYTES")]
    pub max_body: usize,
    /// How long a request may take, in seconds.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_REQUEST_TIMEOUT",
        default_value_t = REQUEST_SECONDS,
        value_name = "SECONDS"
    )]
    pub request_timeout: u64,
    /// How long requests in flight may take when the directory goes down, in seconds.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_GRACE",
        default_value_t = GRACE_SECONDS,
        value_name = "SECONDS"
    )]
    pub grace: u64,
}

/// Why the directory does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file cannot be read.
    #[error("the key file {0} cannot be read")]
    KeyFile(PathBuf, #[source] io::Error),
    /// The key file is not one.
    #[error("the key file {0} cannot be used")]
    Keys(PathBuf, #[source] TokenError),
    /// The file with the database's address cannot be read.
    #[error("the file {0} with the database's address cannot be read")]
    DatabaseFile(PathBuf, #[source] io::Error),
    /// The database cannot be opened.
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    /// The address is taken, or not ours.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The listener failed.
    #[error("the server failed")]
    Serve(#[source] io::Error),
}

/// A directory that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: App,
    grace: Duration,
}

/// Runs the directory until `shutdown` is cancelled and what was in flight is answered.
pub async fn serve(args: Args, shutdown: CancellationToken) -> Result<(), Error> {
    Server::bind(args, shutdown).await?.run().await
}

// === impl Args ===

impl Args {
    /// What must be said, and the documented default for everything else.
    pub fn new(listen: SocketAddr, database: SecretString, token_keys: PathBuf) -> Self {
        Self {
            listen,
            database,
            database_url_file: None,
            token_keys,
            max_body: MAX_BODY,
            request_timeout: REQUEST_SECONDS,
            grace: GRACE_SECONDS,
        }
    }

    /// The database's address, from the file where one is named.
    async fn database_address(&self) -> Result<SecretString, Error> {
        let Some(file) = &self.database_url_file else {
            return Ok(self.database.clone());
        };
        let text = tokio::fs::read_to_string(file)
            .await
            .map(Zeroizing::new)
            .map_err(|error| Error::DatabaseFile(file.clone(), error))?;
        Ok(SecretString::from(text.trim()))
    }
}

// === impl Server ===

impl Server {
    /// Opens the store and the port. With port 0, [`Server::address`] says which one it became.
    pub async fn bind(args: Args, shutdown: CancellationToken) -> Result<Self, Error> {
        let keys = tokio::fs::read_to_string(&args.token_keys)
            .await
            .map(Zeroizing::new)
            .map_err(|error| Error::KeyFile(args.token_keys.clone(), error))?;
        let keys =
            TokenKeys::parse(&keys).map_err(|error| Error::Keys(args.token_keys.clone(), error))?;
        Self::with_keys(args, keys, shutdown).await
    }

    /// The same with keys that the caller holds.
    async fn with_keys(
        args: Args,
        keys: TokenKeys,
        shutdown: CancellationToken,
    ) -> Result<Self, Error> {
        let store = Store::open(args.database_address().await?.expose_secret()).await?;
        let cannot = |error| Error::Listen(args.listen, error);
        let listener = TcpListener::bind(args.listen).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let limits = Limits {
            body_bytes: args.max_body,
            time: Duration::from_secs(args.request_timeout),
        };
        let app = App {
            store,
            keys: Arc::new(keys),
            limits,
            shutdown,
        };
        Ok(Self {
            listener,
            address,
            app,
            grace: Duration::from_secs(args.grace),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the shutdown, then finishes what is in flight within the grace period and closes the store.
    pub async fn run(self) -> Result<(), Error> {
        let Self {
            listener,
            address,
            app,
            grace,
        } = self;
        let (store, shutdown) = (app.store.clone(), app.shutdown.clone());
        info!(%address, "the directory listens");
        let stop = shutdown.clone();
        let serving =
            axum::serve(listener, router(app)).with_graceful_shutdown(stop.cancelled_owned());
        let overdue = async {
            shutdown.cancelled().await;
            info!(
                grace_seconds = grace.as_secs(),
                "the directory goes down, requests in flight are finished"
            );
            tokio::time::sleep(grace).await;
        };
        let result = tokio::select! {
            result = serving.into_future() => result.map_err(Error::Serve),
            () = overdue => {
                warn!("requests in flight took too long and are cut off; their transactions are rolled back");
                Ok(())
            }
        };
        store.close().await;
        result
    }
}
