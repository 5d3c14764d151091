//! The server: it listens, answers requests, and shuts down without dropping those in flight.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::certificate::CertificateFiles;
use super::http::{App, Limits, Metrics, Readiness, Room, Share, Shares, router};
use super::key_file::KeyFile;
use super::model::number_hash::NumberKeys;
use super::model::revoked::Revoked;
use super::store::{RingLimits, Store, StoreError, days_before};
use super::upkeep::Retention;
use super::{CompanyId, PagesArgs, TokenError, TokenKeys, pages, upkeep};
use crate::cli::{PrintError, bytes, print};
use crate::error::print_error;
use crate::exit::Exit;
use crate::http_server::{self, AddressRange, PairError, Proxies, listen_remedy};
use crate::shutdown::{Shutdown, Stopped};

const AUDIT_DAYS: u32 = 400;
const MAX_BODY: usize = 4 * 1024 * 1024;
const TENANT_RATE: u32 = 500;
const TENANT_CONCURRENCY: u32 = 4;
const MAX_CONNECTIONS: u32 = 2_048;
const MAX_PER_ADDRESS: u32 = 1_024;
const REQUEST_SECONDS: u64 = 20;
const IDLE_SECONDS: u64 = 30;
const GRACE_SECONDS: u64 = 20;
const RING_RATE: u32 = 60;
const RING_AGAIN_SECONDS: u64 = 600;

/// How the directory runs: the flags of `switchboard directory`.
#[derive(Debug, Clone, clap::Args)]
#[command(subcommand_negates_reqs = true)]
pub struct Args {
    /// Something else than serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Where to listen; `[::]` takes IPv6 and IPv4, and IPv4 alone where there is no IPv6.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_LISTEN",
        default_value = "[::]:8080",
        value_name = "ADDRESS:PORT",
        value_parser = http_server::address
    )]
    pub listen: SocketAddr,
    /// Where calls and contacts are kept: sqlite:PATH, or postgres://USER@HOST/DATABASE for more
    /// than one replica.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_DATABASE",
        hide_env_values = true,
        default_value = "sqlite:directory.db",
        global = true,
        value_name = "ADDRESS"
    )]
    pub database: SecretString,
    /// A file that holds the database's address instead, so that its password stands in no
    /// argument.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_DATABASE_URL_FILE",
        conflicts_with = "database",
        global = true,
        value_name = "FILE"
    )]
    pub database_url_file: Option<PathBuf>,
    /// How large the database may become, such as 20Gi: /metrics tells it, and an alert compares.
    /// SQLite takes what its volume has when absent.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_DATABASE_LIMIT",
        value_parser = bytes,
        value_name = "BYTES"
    )]
    pub database_limit: Option<u64>,
    /// The file with the keys of the tokens: one base64 key of at least 32 bytes a line, the
    /// signing key first. Read again when it changes.
    #[arg(
        long,
        env = "SWITCHBOARD_TOKEN_KEYS",
        required = true,
        value_name = "FILE"
    )]
    pub token_keys: Option<PathBuf>,
    /// The directory's certificate, then those of the authorities in between, PEM: HTTPS is spoken
    /// then, and nothing else. Read again when it changes.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_TLS_CERTIFICATE",
        requires = "tls_key",
        value_name = "FILE"
    )]
    pub tls_certificate: Option<PathBuf>,
    /// The private key of that certificate, PEM, not encrypted.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_TLS_KEY",
        requires = "tls_certificate",
        value_name = "FILE"
    )]
    pub tls_key: Option<PathBuf>,
    /// The file with the keys by which numbers are hashed that were erased, or that the audit
    /// names: one base64 key of at least 32 bytes a line, the newest first. A line that is
    /// taken out lets the numbers of its time come back. The keys of the tokens are used when
    /// absent.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_NUMBER_KEYS", value_name = "FILE")]
    pub number_keys: Option<PathBuf>,
    /// Takes calls away this many days after they started, and what Salesforce said about numbers
    /// that no call shows any more; an integration may ask for fewer days. Everything is kept when
    /// absent.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_RETAIN_DAYS", value_parser = clap::value_parser!(u32).range(1..), value_name = "DAYS")]
    pub retain_days: Option<u32>,
    /// For how many days the audit is kept: who read, edited, erased or exported what.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_AUDIT_RETAIN_DAYS", default_value_t = AUDIT_DAYS, value_parser = clap::value_parser!(u32).range(1..), value_name = "DAYS")]
    pub audit_retain_days: u32,
    /// The largest request body, in bytes, unpacked. A webhook carries the transcript of its call.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_MAX_BODY", default_value_t = MAX_BODY, value_name = "BYTES")]
    pub max_body: usize,
    /// How many requests a second one company may send with one purpose; twice as many at one
    /// moment.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_TENANT_RATE", default_value_t = TENANT_RATE, value_parser = clap::value_parser!(u32).range(1..), value_name = "REQUESTS")]
    pub tenant_rate: u32,
    /// How many requests of one company and one purpose are worked on at once; more wait a moment
    /// for their turn.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_TENANT_CONCURRENCY", default_value_t = TENANT_CONCURRENCY, value_parser = clap::value_parser!(u32).range(1..=1_000), value_name = "REQUESTS")]
    pub tenant_concurrency: u32,
    /// About how many numbers of one company Salesforce is asked in a minute because they ring.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_RING_RATE", default_value_t = RING_RATE, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "NUMBERS")]
    pub ring_rate: u32,
    /// For how long an answer of Salesforce is good enough when its number rings again, in
    /// seconds.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_RING_AGAIN_AFTER",
        default_value_t = RING_AGAIN_SECONDS,
        value_parser = clap::value_parser!(u64).range(1..=86_400),
        value_name = "SECONDS"
    )]
    pub ring_again_after: u64,
    /// How many connections are open at once. At the limit, one that is slow to send its first
    /// request makes room for the next; those that have shown a token keep a quarter of all.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_MAX_CONNECTIONS", default_value_t = MAX_CONNECTIONS, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "CONNECTIONS")]
    pub max_connections: u32,
    /// How many connections of one address that have shown no token are open at once; behind a
    /// trusted proxy, how many requests of one address are answered at once.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_MAX_CONNECTIONS_PER_ADDRESS", default_value_t = MAX_PER_ADDRESS, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "CONNECTIONS")]
    pub max_connections_per_address: u32,
    /// Proxies in front of the directory, as addresses or ranges such as 10.0.0.0/8: their
    /// X-Forwarded-For is believed, and they may have any number of connections.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_name = "RANGE"
    )]
    pub trusted_proxies: Vec<AddressRange>,
    /// How long a request may take, in seconds.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_REQUEST_TIMEOUT",
        default_value_t = REQUEST_SECONDS,
        value_name = "SECONDS"
    )]
    pub request_timeout: u64,
    /// How long a connection may take to send a request's headers, or leave an answer unread, in
    /// seconds. One that idles longer is closed.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_IDLE_TIMEOUT",
        default_value_t = IDLE_SECONDS,
        value_parser = clap::value_parser!(u64).range(1..=3_600),
        value_name = "SECONDS"
    )]
    pub idle_timeout: u64,
    /// How long requests in flight may take when the directory goes down, in seconds.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_GRACE",
        default_value_t = GRACE_SECONDS,
        value_name = "SECONDS"
    )]
    pub grace: u64,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would become a heading of the help"
    )]
    pub pages: PagesArgs,
}

/// What the directory does besides serving.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Takes old calls away now, and what Salesforce said about numbers that no call shows any
    /// more; prints how many.
    Purge {
        /// What is older than this many days goes; 0 takes everything.
        #[arg(long, value_name = "DAYS")]
        older_than_days: u32,
        /// Only of this company; of all when absent.
        #[arg(long, value_name = "ID")]
        company: Option<CompanyId>,
    },
    /// Erases everything that is held about a company now, whosever it is, and refuses its tokens;
    /// prints how many rows. An integration that still claims the company needs new tokens then, by
    /// the annotation switchboard.dev/tokens-not-before.
    Erase {
        /// The company.
        #[arg(long, value_name = "ID")]
        company: CompanyId,
    },
    /// Writes the database's files anew, so that nothing that was erased or taken away is in them.
    /// Writers wait meanwhile, with PostgreSQL readers as well.
    Compact,
}

/// Why the directory does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file cannot be read.
    #[error(
        "the key file {0} cannot be read; check --token-keys, and that this process may read the file"
    )]
    KeyFile(PathBuf, #[source] io::Error),
    /// The content of the key file is invalid.
    #[error("the key file {0} cannot be used")]
    Keys(PathBuf, #[source] TokenError),
    /// A file of the certificate cannot be read.
    #[error(
        "the file {0} cannot be read; check --tls-certificate and --tls-key, and that this process may read the files"
    )]
    PairFile(PathBuf, #[source] io::Error),
    /// The certificate and its key cannot be used.
    #[error("the certificate {0} and the key {1} cannot be used")]
    Pair(PathBuf, PathBuf, #[source] PairError),
    /// No key file is named, although serving needs one.
    #[error("no key file is named; name it with --token-keys")]
    NoKeyFile,
    /// The file with the keys of numbers cannot be read.
    #[error(
        "the key file {0} cannot be read; check --number-keys, and that this process may read the file"
    )]
    NumberKeysFile(PathBuf, #[source] io::Error),
    /// The content of the file with the keys of numbers is invalid.
    #[error("the key file {0} of --number-keys cannot be used")]
    NumberKeys(PathBuf, #[source] TokenError),
    /// The file with the database's address cannot be read.
    #[error(
        "the file {0} with the database's address cannot be read; check --database-url-file, and that this process may read the file"
    )]
    DatabaseFile(PathBuf, #[source] io::Error),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address is taken, not ours, or not permitted.
    #[error("cannot listen on {0}; {advice}", advice = listen_remedy(.1))]
    Listen(SocketAddr, #[source] io::Error),
    /// A signal ended a subcommand before its work was done.
    #[error(transparent)]
    Stopped(Stopped),
    /// What was done cannot be printed.
    #[error(transparent)]
    Print(#[from] PrintError),
}

/// A directory that listens but does not answer requests yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: App,
    keys: KeyFile,
    certificate: Option<CertificateFiles>,
    connections: http_server::ConnectionLimits,
    own_keys: Option<TokenKeys>,
    retention: Retention,
    database_limit: Option<u64>,
    pages: Option<pages::Settings>,
}

/// Runs the directory until it is told to stop and what was in flight is answered; or does what its
/// command says.
pub async fn run(args: Args, shutdown: Shutdown) -> Exit {
    match serve(args, shutdown.token().clone()).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            print_error("directory", &error);
            error.exit()
        }
    }
}

async fn serve(args: Args, shutdown: CancellationToken) -> Result<(), Error> {
    match &args.command {
        None => {
            let server = Server::bind(args, shutdown.clone());
            match shutdown.run_until_cancelled(server).await {
                Some(server) => server?.run().await,
                // It has begun nothing.
                None => Ok(()),
            }
        }
        Some(Command::Purge {
            older_than_days,
            company,
        }) => {
            let purge = async {
                let store = Store::open(args.database_address().await?.expose_secret()).await?;
                let before = days_before(Timestamp::now(), *older_than_days);
                let purged = store.purge(company.as_ref(), before).await;
                store.close().await;
                Ok::<_, Error>(purged?)
            };
            // It is safe to stop at any point: a purge commits batch by batch, and runs again.
            let purged = shutdown
                .run_until_cancelled(purge)
                .await
                .ok_or(Error::Stopped(Stopped))??;
            print(&format!(
                "calls {}, contacts {}\n",
                purged.calls, purged.contacts
            ))?;
            Ok(())
        }
        Some(Command::Erase { company }) => {
            let erase = async {
                let store = Store::open(args.database_address().await?.expose_secret()).await?;
                let rows = store.erase_any(company, Timestamp::now()).await?;
                store.clean_up().await?;
                store.close().await;
                Ok::<_, Error>(rows)
            };
            // It goes on where it was stopped, as a purge.
            let rows = shutdown
                .run_until_cancelled(erase)
                .await
                .ok_or(Error::Stopped(Stopped))??;
            print(&format!("rows {rows}\n"))?;
            Ok(())
        }
        Some(Command::Compact) => {
            let compact = async {
                let store = Store::open(args.database_address().await?.expose_secret()).await?;
                let before = store.size().await?;
                store.compact().await?;
                let after = store.size().await?;
                store.close().await;
                Ok::<_, Error>((before.bytes, after.bytes))
            };
            let (before, after) = shutdown
                .run_until_cancelled(compact)
                .await
                .ok_or(Error::Stopped(Stopped))??;
            print(&format!("bytes before {before}, after {after}\n"))?;
            Ok(())
        }
    }
}

// === impl Error ===

impl Error {
    /// What the directory ends with.
    fn exit(&self) -> Exit {
        match self {
            Self::KeyFile(..)
            | Self::Keys(..)
            | Self::PairFile(..)
            | Self::Pair(..)
            | Self::NoKeyFile
            | Self::NumberKeysFile(..)
            | Self::NumberKeys(..)
            | Self::DatabaseFile(..)
            | Self::Store(StoreError::Address) => Exit::Usage,
            Self::Stopped(_) => Exit::Interrupted,
            Self::Store(_) | Self::Listen(..) | Self::Print(_) => Exit::Failed,
        }
    }
}

// === impl Args ===

impl Args {
    /// Arguments with the required values, and the documented default for everything else.
    pub fn new(listen: SocketAddr, database: SecretString, token_keys: PathBuf) -> Self {
        Self {
            listen,
            database,
            command: None,
            database_url_file: None,
            database_limit: None,
            token_keys: Some(token_keys),
            tls_certificate: None,
            tls_key: None,
            number_keys: None,
            retain_days: None,
            audit_retain_days: AUDIT_DAYS,
            max_body: MAX_BODY,
            tenant_rate: TENANT_RATE,
            tenant_concurrency: TENANT_CONCURRENCY,
            ring_rate: RING_RATE,
            ring_again_after: RING_AGAIN_SECONDS,
            max_connections: MAX_CONNECTIONS,
            max_connections_per_address: MAX_PER_ADDRESS,
            trusted_proxies: vec![],
            request_timeout: REQUEST_SECONDS,
            idle_timeout: IDLE_SECONDS,
            grace: GRACE_SECONDS,
            pages: PagesArgs::default(),
        }
    }

    /// The database address, read from the file if one is named.
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
    /// Opens the store and binds the port. With port 0, [`Server::address`] returns the assigned
    /// port.
    pub async fn bind(args: Args, shutdown: CancellationToken) -> Result<Self, Error> {
        let key_file = args.token_keys.clone().ok_or(Error::NoKeyFile)?;
        let keys = KeyFile::open(key_file).await?;
        let certificate = match (&args.tls_certificate, &args.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(CertificateFiles::open(certificate.clone(), key.clone()).await?)
            }
            _ => None,
        };
        let store = Store::open(args.database_address().await?.expose_secret()).await?;
        let own_keys = match &args.number_keys {
            Some(file) => Some(number_keys(file).await?),
            None => None,
        };
        let token_keys = keys.current();
        let number_keys = NumberKeys::new(own_keys.as_ref(), &token_keys.borrow().clone());
        store.use_number_keys(number_keys);
        // A request that waits for a name holds a connection: they never hold more than a quarter.
        let waiters = (args.max_connections as usize / 4).max(1);
        store.changes().limit_waiters(waiters, (waiters / 8).max(1));
        let revoked = Revoked::default();
        upkeep::learn(&store, &revoked).await?;
        let cannot = |error| Error::Listen(args.listen, error);
        let listener = http_server::listen(args.listen).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let limits = Limits {
            body_bytes: args.max_body,
            time: Duration::from_secs(args.request_timeout),
        };
        let share = Share {
            per_second: args.tenant_rate,
            at_once: args.tenant_concurrency,
        };
        let app = App {
            store,
            keys: keys.current(),
            revoked,
            limits,
            shares: Shares::new(share),
            room: Room::for_bodies_of(args.max_body),
            metrics: Metrics::default(),
            readiness: Readiness::default(),
            rings: RingLimits {
                per_minute: args.ring_rate,
                asked_within: Duration::from_secs(args.ring_again_after),
            },
            retain_days: args.retain_days,
            shows_rings: args.pages.pages,
            shutdown,
        };
        Ok(Self {
            listener,
            address,
            app,
            keys,
            certificate,
            connections: http_server::ConnectionLimits {
                most: args.max_connections as usize,
                per_address: args.max_connections_per_address as usize,
                proxies: Proxies::new(args.trusted_proxies.iter().copied()),
                idle: Duration::from_secs(args.idle_timeout),
                grace: Duration::from_secs(args.grace),
            },
            own_keys,
            retention: Retention {
                calls: args.retain_days,
                audit: args.audit_retain_days,
            },
            database_limit: args.database_limit,
            pages: args.pages.settings(share),
        })
    }

    /// The address on which the server listens, with the assigned port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until shutdown, finishes those in flight within the grace period, and
    /// closes the store.
    pub async fn run(self) -> Result<(), Error> {
        let Self {
            listener,
            address,
            app,
            keys,
            certificate,
            connections,
            own_keys,
            retention,
            database_limit,
            pages,
        } = self;
        let (store, shutdown) = (app.store.clone(), app.shutdown.clone());
        let tls = certificate.as_ref().map(CertificateFiles::current);
        let scheme = if tls.is_some() { "https" } else { "http" };
        info!(%address, scheme, "the directory listens");
        // All tasks end at shutdown.
        tokio::spawn(keys.watch(app.metrics.clone(), shutdown.clone()));
        if let Some(certificate) = certificate {
            tokio::spawn(certificate.watch(app.metrics.clone(), shutdown.clone()));
        }
        tokio::spawn(upkeep::measure(
            store.clone(),
            app.metrics.clone(),
            database_limit,
            shutdown.clone(),
        ));
        tokio::spawn(upkeep::learn_revocations(
            store.clone(),
            app.revoked.clone(),
            shutdown.clone(),
        ));
        tokio::spawn(upkeep::follow_keys(
            store.clone(),
            own_keys,
            app.keys.clone(),
            shutdown.clone(),
        ));
        tokio::spawn(upkeep::retain(store.clone(), retention, shutdown.clone()));
        tokio::spawn(upkeep::clean_up(store.clone(), shutdown.clone()));
        tokio::spawn(store.clone().keep_in_touch(shutdown.clone()));
        if !http_server::serve(listener, router(app, pages), tls, connections, shutdown).await {
            warn!(
                "requests in flight took too long and were cut off; their transactions are rolled back"
            );
        }
        store.close().await;
        info!("the directory went down");
        Ok(())
    }
}

/// Reads the keys by which numbers are hashed.
async fn number_keys(file: &PathBuf) -> Result<TokenKeys, Error> {
    let text = tokio::fs::read_to_string(file)
        .await
        .map(Zeroizing::new)
        .map_err(|error| Error::NumberKeysFile(file.clone(), error))?;
    TokenKeys::parse(&text).map_err(|error| Error::NumberKeys(file.clone(), error))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.args)
    }

    #[test]
    fn serving_needs_keys_and_purging_does_not() {
        assert!(parse("directory --listen 127.0.0.1:0").is_err());
        let serves = parse("directory --token-keys keys --database=sqlite:a").unwrap();
        assert!(serves.command.is_none());
        for line in [
            "directory purge --older-than-days 90 --database sqlite:a",
            "directory --database sqlite:a purge --older-than-days 90 --company acme",
        ] {
            let purges = parse(line).unwrap();
            assert_eq!(purges.database.expose_secret(), "sqlite:a", "{line}");
            assert!(purges.command.is_some(), "{line}");
        }
        let both = "directory --token-keys k --database sqlite:a --database-url-file f";
        assert!(parse(both).is_err(), "one address only");
    }

    #[tokio::test]
    async fn a_company_is_erased_by_hand_and_the_file_written_anew() {
        let folder = tempfile::TempDir::new().unwrap();
        let database = format!("sqlite:{}", folder.path().join("d.db").display());
        let (acme, birch): (CompanyId, CompanyId) =
            ("acme".parse().unwrap(), "birch".parse().unwrap());
        let store = Store::open(&database).await.unwrap();
        for company in [&acme, &birch] {
            let at = Timestamp::UNIX_EPOCH;
            store.refuse_tokens_before(company, at).await.unwrap();
            let request = crate::directory::model::WriteContactsRequest {
                not_found: vec!["+81312345678".parse().unwrap()],
                ..crate::directory::model::WriteContactsRequest::new(
                    crate::directory::model::WritePolicy::Overwrite,
                    vec![],
                )
            };
            store.write_contacts(company, &request, at).await.unwrap();
        }
        store.close().await;
        for line in ["erase --company acme", "compact"] {
            let line = format!("directory {line} --database {database}");
            let args = parse(&line).unwrap();
            serve(args, CancellationToken::new()).await.unwrap();
        }
        let store = Store::open(&database).await.unwrap();
        let number = "+81312345678".parse().unwrap();
        assert_eq!(store.asked(&acme, &number).await.unwrap().asked_at, None);
        assert!(
            store
                .asked(&birch, &number)
                .await
                .unwrap()
                .asked_at
                .is_some()
        );
        assert!(parse("directory erase").is_err(), "of which company?");
    }

    #[tokio::test]
    async fn an_address_in_a_file_is_used_and_purging_ends_by_itself() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("address");
        let database = folder.path().join("from-file.db");
        std::fs::write(&file, format!("sqlite:{}\n", database.display())).unwrap();
        let line = format!(
            "directory purge --older-than-days 1 --database-url-file {}",
            file.display()
        );
        serve(parse(&line).unwrap(), CancellationToken::new())
            .await
            .unwrap();
        assert!(database.exists());
    }
}
