//! A database server that vanishes silently: its database connections stay open and carry no more
//! data, as after the loss of a node.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use sqlx::Connection as _;
use tower::ServiceExt as _;

use super::running::app;
use super::way::Way;
use super::*;
use crate::directory::http::{App, router};

/// The number of database connections in the pool.
const MANY: usize = 24;
/// Time limit until the database connections that were in use are closed.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// Sends a request of this company and returns its status.
async fn ask(app: &App, company: usize) -> u16 {
    let token = token(&format!("c{company}"), Purpose::Lookup);
    let request = axum::http::Request::get("/v1/calls")
        .header("authorization", format!("Bearer {}", token.expose_secret()))
        .body(axum::body::Body::empty());
    let answer = router(app.clone(), None).oneshot(request.unwrap()).await;
    answer.unwrap().status().as_u16()
}

#[tokio::test]
async fn when_the_server_is_lost_without_a_word_the_directory_finds_the_next_one() {
    let folder = TempDir::new().unwrap();
    let database = Backend::Postgres.fresh(&folder);
    let way = Way::to(&database).await;
    let app = app(&way.address, Duration::from_secs(8)).await;
    let everybody = || futures::future::join_all((0..MANY).map(|company| ask(&app, company)));
    assert_eq!(everybody().await, [200; MANY]);

    // Waits until every connection is back in the pool. One that is cut off during its return is
    // lost until the kernel gives it up, because `sqlx` pings it again without a time limit.
    eventually(async || app.store.is_at_rest()).await;
    way.falls_silent();
    assert_eq!(everybody().await, [200; MANY], "of connections that idled");

    // Now every connection is running a statement when the server vanishes.
    let mut watches = sqlx::PgConnection::connect(&database).await.unwrap();
    let mut other = sqlx::PgConnection::connect(&database).await.unwrap();
    let mut holds = other.begin().await.unwrap();
    let lock = "LOCK TABLE calls IN ACCESS EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *holds).await.unwrap();
    let silent = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let all_wait = async {
            while sqlx::query_scalar::<_, i64>(waiting)
                .fetch_one(&mut watches)
                .await
                .unwrap()
                < MANY as i64
            {}
        };
        let waited = tokio::time::timeout(Duration::from_secs(8), all_wait).await;
        waited.expect("every connection waits for the lock");
        way.falls_silent();
    };
    let (answers, ()) = tokio::join!(everybody(), silent);
    holds.rollback().await.unwrap();
    assert_eq!(answers, [503; MANY], "nobody ever hears of these");
    let recovers = async { while everybody().await != [200; MANY] {} };
    let waited = tokio::time::timeout(GIVEN_UP, recovers).await;
    waited.expect("there are connections again");
}
