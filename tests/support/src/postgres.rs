//! A real PostgreSQL server for tests and benches, on its own socket. It ends with the program that
//! started it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::error::Context as _;
use crate::{Error, Result};

/// PostgreSQL's own port; without an address it only names the socket.
const PORT: u16 = 5432;

const MISSING: &str = "PostgreSQL is missing: install it (`apt-get install postgresql`), or put initdb and postgres on PATH";

/// Runs as the server's user. The server runs while the other end of the script's standard input is
/// open, so it ends with the test program even when that is killed.
const SCRIPT: &str = r#"
set -eu
bin=$1; sync=$2; listen=$3; port=$4; primary=$5; more=$6
dir=$(mktemp -d /tmp/switchboard-pg.XXXXXX)
chmod 755 "$dir"
trap 'rm -rf "$dir"' EXIT
cd "$dir"
if [ -n "$primary" ]; then
  "$bin/pg_basebackup" -D "$dir/data" -h "$primary" -p "$port" -U switchboard -R -c fast --no-sync --no-manifest >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
else
  "$bin/initdb" -D "$dir/data" -U switchboard -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
fi
if [ -n "$listen" ]; then echo 'host all all all trust' >>"$dir/data/pg_hba.conf"; fi
start() {
  "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses="$listen" -c port="$port" -c fsync="$sync" -c max_connections=200 $more >>"$dir/log" 2>&1 &
  server=$!
  for _ in $(seq 600); do
    if [ -S "$dir/.s.PGSQL.$port" ] && grep -q '^' "$dir/data/postmaster.pid" && [ "$(sed -n 8p "$dir/data/postmaster.pid" | tr -d ' ')" = ready ]; then break; fi
    kill -0 "$server" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
    sleep 0.05
  done
}
start
echo "$dir"
while read -r order; do
  case $order in
    kill) kill -QUIT "$server"; wait "$server" || true ;;
    start) start ;;
  esac
  echo done
done
kill -QUIT "$server" 2>/dev/null && wait "$server" || true
"#;

/// What servers that replicate have beside it. A standby asks at once for what is next, and finds
/// what it missed while its primary was away.
const REPLICATES: &str =
    "-c cluster_name=standby -c wal_retrieve_retry_interval=100ms -c wal_keep_size=64MB";

/// Time limit for what a server does beside others.
const WITHIN: Duration = Duration::from_secs(60);

/// Whether a commit is answered before a standby has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// A commit waits until a standby has it on disk, also where there is none for a while.
    Synchronous,
    /// A commit waits for no standby.
    Asynchronous,
}

/// How a server is started.
struct Start<'a> {
    durable: bool,
    address: &'a str,
    port: u16,
    /// The folder of the server of which it is a standby.
    primary: &'a str,
    replication: Option<Replication>,
}

/// A running server. It ends when this value is dropped, or with the program.
#[derive(Debug)]
pub struct Postgres {
    supervisor: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<std::process::ChildStdout>,
    folder: String,
    port: u16,
    replication: Option<Replication>,
}

// === impl Postgres ===

impl Postgres {
    /// Starts a server. `durable` keeps `fsync` on, for a bench or for a test that kills the
    /// server.
    pub fn start(durable: bool) -> Result<Self> {
        Self::start_as(&Start {
            durable,
            ..Start::default()
        })
    }

    /// Starts a server that may have standbys, without `fsync`.
    pub fn start_primary(replication: Replication) -> Result<Self> {
        Self::start_as(&Start {
            replication: Some(replication),
            ..Start::default()
        })
    }

    /// Starts a standby with all that this server has, which follows it from now on. A promoted one
    /// waits for standbys as this server does.
    pub fn start_standby(&self) -> Result<Self> {
        let standby = Self::start_as(&Start {
            primary: &self.folder,
            port: self.port,
            replication: self.replication,
            ..Start::default()
        })?;
        let follows = "SELECT count(*) FROM pg_stat_replication \
             WHERE application_name = 'standby' AND state = 'streaming'";
        self.says(follows, "1")?;
        Ok(standby)
    }

    /// A standby receives nothing more, as if its way to the primary were cut.
    pub fn fall_behind(&self) -> Result<()> {
        self.ask("ALTER SYSTEM SET primary_conninfo = ''")?;
        self.ask("SELECT pg_reload_conf()")?;
        self.says("SELECT count(*) FROM pg_stat_wal_receiver", "0")
    }

    /// A standby shows nothing more of what it receives, or all of it again.
    pub fn show_what_is_received(&self, yes: bool) -> Result<()> {
        let how = if yes { "resume" } else { "pause" };
        let paused = if yes { "not paused" } else { "paused" };
        self.ask(&format!("SELECT pg_wal_replay_{how}()"))?;
        self.says("SELECT pg_get_wal_replay_pause_state()", paused)
    }

    /// Makes a standby a primary. Returns when it takes writes.
    pub fn promote(&self) -> Result<()> {
        self.ask("SELECT pg_promote()")?;
        self.says("SELECT pg_is_in_recovery()", "f")
    }

    /// Makes a primary refuse writes, or take them again. Who is connected stays so.
    pub fn take_writes(&self, yes: bool) -> Result<()> {
        let setting = if yes { "off" } else { "on" };
        self.ask(&format!(
            "ALTER SYSTEM SET default_transaction_read_only = {setting}"
        ))?;
        self.ask("SELECT pg_reload_conf()")?;
        self.says("SHOW transaction_read_only", setting)
    }

    /// Starts a server that listens on an address, for pods of a node that is this machine. It
    /// trusts everybody. Returns an empty database of it.
    pub fn start_listening(address: &str) -> Result<(Self, String)> {
        let port = TcpListener::bind((address, 0))
            .and_then(|free| free.local_addr())
            .context(|| format!("find a port of {address}"))?
            .port();
        let server = Self::start_as(&Start {
            address,
            port,
            ..Start::default()
        })?;
        let database = server.create_database()?;
        let url = format!("postgres://switchboard@{address}:{port}/{database}");
        Ok((server, url))
    }

    fn start_as(start: &Start<'_>) -> Result<Self> {
        let more = match start.replication {
            None => String::new(),
            Some(Replication::Asynchronous) => REPLICATES.to_owned(),
            Some(Replication::Synchronous) => {
                format!("{REPLICATES} -c synchronous_standby_names=standby")
            }
        };
        let bin = binaries().ok_or_else(|| Error::Unsupported(MISSING.to_owned()))?;
        let mut command = if root() {
            // PostgreSQL refuses to run as root.
            let user = if known_user("postgres") {
                "postgres"
            } else {
                "nobody"
            };
            let mut command = Command::new("runuser");
            command.args(["-u", user, "--", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let mut supervisor = command
            .args(["-c", SCRIPT, "postgres-for-tests"])
            .arg(&bin)
            .arg(if start.durable { "on" } else { "off" })
            .args([start.address, &start.port.to_string(), start.primary, &more])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(|| "start PostgreSQL")?;
        let orders = supervisor.stdin.take();
        let stdout = supervisor
            .stdout
            .take()
            .ok_or_else(|| Error::Unsupported("PostgreSQL's output".to_owned()))?;
        let mut answers = BufReader::new(stdout);
        let mut folder = String::new();
        answers
            .read_line(&mut folder)
            .context(|| "wait for PostgreSQL")?;
        let folder = folder.trim().to_owned();
        if folder.is_empty() {
            return Err(Error::Unsupported(
                "PostgreSQL did not start; its log stands above".to_owned(),
            ));
        }
        Ok(Self {
            supervisor,
            orders,
            answers,
            folder,
            port: start.port,
            replication: start.replication,
        })
    }

    /// The server that all tests of this program share.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<std::result::Result<Postgres, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start(false).map_err(|error| error.to_string()))
            .as_ref()
            .map_err(|error| Error::Unsupported(error.clone()))
    }

    /// Creates an empty database and returns its address.
    pub fn new_database(&self) -> Result<String> {
        let name = self.create_database()?;
        Ok(self.database(&name))
    }

    /// The address of the database of this name.
    pub fn database(&self, name: &str) -> String {
        let socket = self.folder.replace('/', "%2F");
        format!("postgres://switchboard@{socket}/{name}")
    }

    fn create_database(&self) -> Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.ask(&format!("CREATE DATABASE {name}"))?;
        Ok(name)
    }

    /// Runs a statement, which waits for no standby, and returns what it says.
    fn ask(&self, statement: &str) -> Result<String> {
        let bin = binaries().ok_or_else(|| Error::Unsupported(MISSING.to_owned()))?;
        let done = Command::new(bin.join("psql"))
            .args([
                "-X",
                "-q",
                "-t",
                "-A",
                "-U",
                "switchboard",
                "-d",
                "postgres",
            ])
            .args(["-h", &self.folder, "-p", &self.port.to_string()])
            .args(["-c", statement])
            .env("PGOPTIONS", "-c synchronous_commit=local")
            .output()
            .context(|| statement.to_owned())?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned());
        }
        let reason = String::from_utf8_lossy(&done.stderr);
        Err(Error::Unsupported(format!("{statement}: {reason}")))
    }

    /// Waits until a query says this.
    fn says(&self, query: &str, wanted: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            let said = self.ask(query)?;
            if said == wanted {
                return Ok(());
            }
            if begun.elapsed() > WITHIN {
                return Err(Error::Unsupported(format!("{query}: {said}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server as a power failure would.
    pub fn kill(&mut self) -> Result<()> {
        self.order("kill")
    }

    /// Starts the server again on the same data.
    pub fn restart(&mut self) -> Result<()> {
        self.order("start")
    }

    fn order(&mut self, order: &str) -> Result<()> {
        if let Some(orders) = &mut self.orders {
            writeln!(orders, "{order}").context(|| format!("{order} PostgreSQL"))?;
        }
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .context(|| format!("{order} PostgreSQL"))
            .map(drop)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.supervisor.wait(); // the end of its input ends it; an earlier end is fine
    }
}

// === impl Start ===

impl Default for Start<'_> {
    /// On its socket alone, with an empty database, and without standbys.
    fn default() -> Self {
        Self {
            durable: false,
            address: "",
            port: PORT,
            primary: "",
            replication: None,
        }
    }
}

/// The folder with `initdb`, `postgres`, `psql` and `pg_basebackup`: from PATH, or from the newest
/// Debian package.
fn binaries() -> Option<PathBuf> {
    let complete = |folder: &Path| {
        ["initdb", "postgres", "psql", "pg_basebackup"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let real = |folder: PathBuf| {
        // The target of a link is in the folder with the rest of the server.
        let initdb = folder.join("initdb").canonicalize().ok()?;
        initdb.parent().map(Path::to_path_buf)
    };
    let on_path = std::env::split_paths(&path).filter_map(real);
    let mut packaged: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    packaged.sort();
    on_path
        .chain(packaged.into_iter().rev())
        .find(|folder| complete(folder))
}

fn root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

fn known_user(name: &str) -> bool {
    std::fs::read_to_string("/etc/passwd").is_ok_and(|users| {
        users
            .lines()
            .any(|line| line.split(':').next() == Some(name))
    })
}
