//! A way between a directory and its database server that can be cut, and lead to another server:
//! what an address is that moves, as that of a Service.

use std::path::PathBuf;

use sqlx::postgres::PgConnectOptions;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

/// A proxy between a directory and a database server.
pub(super) struct Way {
    pub(super) address: String,
    /// The socket of the server that new connections reach.
    leads_to: watch::Sender<PathBuf>,
    happens: watch::Sender<Happens>,
}

/// What happens to the connections that are open.
#[derive(Clone, Copy)]
enum Happens {
    Nothing,
    Silence,
    Cut,
}

// === impl Way ===

impl Way {
    /// A way to this database of a server's socket. Where there is no server, connections end.
    pub(super) async fn to(database: &str) -> Self {
        let options: PgConnectOptions = database.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!(
            "postgres://{}@{}/{}",
            options.get_username(),
            listener.local_addr().unwrap(),
            options.get_database().unwrap()
        );
        let (leads_to, target) = watch::channel(socket(&options));
        let (happens, seen) = watch::channel(Happens::Nothing);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                // In this order a way that leads elsewhere and is cut has no connection to where it
                // led before.
                let mut seen = seen.clone();
                seen.mark_unchanged();
                let socket = target.borrow().clone();
                let Ok(mut far) = UnixStream::connect(socket).await else {
                    continue;
                };
                tokio::spawn(async move {
                    let happens = tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
                        Ok(()) = seen.changed() => *seen.borrow_and_update(),
                    };
                    if matches!(happens, Happens::Silence) {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self {
            address,
            leads_to,
            happens,
        }
    }

    /// New connections reach the server of this database from now on. Existing ones stay where they
    /// are, as those of a Service do.
    pub(super) fn leads_to(&self, database: &str) {
        self.leads_to
            .send_replace(socket(&database.parse().unwrap()));
    }

    /// Existing connections carry no more data from now on; new ones reach a server.
    pub(super) fn falls_silent(&self) {
        self.happens.send(Happens::Silence).unwrap();
    }

    /// Existing connections end at once, in the middle of whatever they carry.
    pub(super) fn is_cut(&self) {
        self.happens.send(Happens::Cut).unwrap();
    }
}

fn socket(options: &PgConnectOptions) -> PathBuf {
    options.get_socket().unwrap().join(".s.PGSQL.5432")
}
