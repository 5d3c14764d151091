//! A way between a directory and its database server that can be cut.

use std::path::PathBuf;

use sqlx::postgres::PgConnectOptions;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

/// A proxy between a directory and a database server.
pub(super) struct Way {
    pub(super) address: String,
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
        let socket: PathBuf = options.get_socket().unwrap().join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!(
            "postgres://{}@{}/{}",
            options.get_username(),
            listener.local_addr().unwrap(),
            options.get_database().unwrap()
        );
        let (happens, seen) = watch::channel(Happens::Nothing);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let Ok(mut far) = UnixStream::connect(&socket).await else {
                    continue;
                };
                let mut seen = seen.clone();
                seen.mark_unchanged();
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
        Self { address, happens }
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
