//! A database that fails over to its standby, behind an address that moves. What an operator of
//! PostgreSQL does is played; what becomes of the directory is looked at.

use switchboard_testbed::{Postgres, Replication};

use super::waiting::{calls_of, next};
use super::way::Way;
use super::*;
use crate::directory::ClientError;
use crate::directory::client::WaitingEvent;
use crate::directory::model::CallsQuery;

/// More than a pool has connections, so that each of them is used.
const MANY: usize = 40;

/// A directory, its way to a server, and that server's standby.
struct Moving {
    directory: Directory,
    way: Way,
    database: String,
    primary: Postgres,
    standby: Postgres,
}

// === impl Moving ===

impl Moving {
    async fn start() -> Self {
        let started = tokio::task::spawn_blocking(|| {
            let primary = Postgres::start_primary(Replication::Synchronous).unwrap();
            let address = primary.new_database().unwrap();
            let standby = primary.start_standby().unwrap();
            (primary, standby, address)
        });
        let (primary, standby, address) = started.await.unwrap();
        let way = Way::to(&address).await;
        let folder = TempDir::new().unwrap();
        let args = Args {
            database: way.address.clone().into(),
            // One company may have all connections.
            tenant_rate: 100_000,
            tenant_concurrency: 1_000,
            ..args(&folder)
        };
        let directory = Directory::start_with(args, folder, way.address.clone()).await;
        let (_, database) = address.rsplit_once('/').unwrap();
        Self {
            directory,
            way,
            database: database.to_owned(),
            primary,
            standby,
        }
    }

    fn leads_to(&self, server: &Postgres) {
        self.way.leads_to(&server.database(&self.database));
    }

    async fn delivers(&self, id: &str) -> Result<(), ClientError> {
        let webhook = payload([call(id, "0312345678", "2026-11-23T01:00:00Z")]);
        let delivered = self.directory.ingest().ingest(&webhook).await;
        delivered.map(drop)
    }

    /// How many calls each of many readers is told of who ask at the same time.
    async fn counts(&self) -> Vec<Result<usize, u16>> {
        let reader = self.directory.lookup();
        let readers = (0..MANY).map(|_| async {
            let read = reader.calls(&CallsQuery::default()).await;
            read.map(|page| page.calls.len())
                .map_err(|error| status(&error))
        });
        futures::future::join_all(readers).await
    }
}

fn status(error: &ClientError) -> u16 {
    match error {
        ClientError::Refused { problem, .. } => problem.status,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_directory_that_meets_a_standby_answers_503_and_finds_the_primary() {
    let moving = Moving::start().await;
    moving.delivers("d1").await.unwrap();
    // Its connections end, and the address leads to the standby.
    moving.leads_to(&moving.standby);
    moving.way.is_cut();
    let (written, read, ready) = tokio::join!(
        moving.delivers("d2"),
        moving.counts(),
        moving.directory.raw("GET", "/readyz", None, ""),
    );
    assert_eq!(status(&written.unwrap_err()), 503);
    // What a standby says is old.
    assert_eq!(read, vec![Err(503); MANY]);
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["code"], "storage-unavailable");

    // It leads to the primary again. Whatever is connected to the standby stays so.
    moving.leads_to(&moving.primary);
    moving.delivers("d2").await.unwrap();
    assert_eq!(moving.counts().await, vec![Ok(2); MANY]);

    // One that starts says what is the matter.
    moving.leads_to(&moving.standby);
    let args = Args {
        database: moving.way.address.clone().into(),
        ..args(&moving.directory.folder)
    };
    let refused = Server::bind(args, CancellationToken::new()).await;
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("is a standby"), "{refused}");
}

#[tokio::test]
async fn a_directory_leaves_a_server_that_takes_no_writes_any_more() {
    let moving = Moving::start().await;
    moving.delivers("d1").await.unwrap();
    assert_eq!(
        moving.counts().await,
        vec![Ok(1); MANY],
        "each is connected"
    );
    // The old primary is kept from writes, and lives on with all its connections.
    let (moving, _next) = on_servers(moving, |moving| {
        moving.primary.take_writes(false).unwrap();
        moving.standby.promote().unwrap();
        moving.standby.start_standby().unwrap()
    })
    .await;
    moving.leads_to(&moving.standby);
    let refused = moving.delivers("d2").await.unwrap_err();
    assert_eq!(status(&refused), 503);
    moving.delivers("d2").await.unwrap();
    assert_eq!(
        moving.counts().await,
        vec![Ok(2); MANY],
        "nobody asks the old one"
    );

    // It hears replicas that were never connected to the old one.
    let database = moving.standby.database(&moving.database);
    let other = Directory::start_on(TempDir::new().unwrap(), database).await;
    let mut stream = moving.directory.follow(None).await;
    while next(&mut stream).await != Some(WaitingEvent::CaughtUp) {}
    other.ends_a_call("birch", "d3", "0312345678").await;
    while next(&mut stream).await != calls_of("birch") {}
}

#[tokio::test]
async fn where_an_address_leads_nowhere_the_answer_is_503() {
    let folder = TempDir::new().unwrap();
    let database = Backend::Postgres.fresh(&folder);
    let way = Way::to(&database).await;
    let directory = Directory::start_on(folder, way.address.clone()).await;
    // As a proxy does that has no server: it takes connections, and ends them.
    way.leads_to("postgres://switchboard@%2Fnowhere/nothing");
    way.is_cut();
    let ingest = directory.ingest();
    let webhook = payload([call("d1", "0312345678", "2026-11-23T01:00:00Z")]);
    let written = ingest.ingest(&webhook).await.unwrap_err();
    assert_eq!(status(&written), 503);
    let read = directory.lookup().calls(&CallsQuery::default()).await;
    assert_eq!(status(&read.unwrap_err()), 503);
    assert_eq!(directory.raw("GET", "/readyz", None, "").await.status, 503);
    way.leads_to(&database);
    ingest.ingest(&webhook).await.unwrap();
}

/// Changes servers, which takes its time.
async fn on_servers<T: Send + 'static>(
    moving: Moving,
    change: impl FnOnce(&Moving) -> T + Send + 'static,
) -> (Moving, T) {
    let changing = tokio::task::spawn_blocking(move || {
        let done = change(&moving);
        (moving, done)
    });
    changing.await.unwrap()
}
