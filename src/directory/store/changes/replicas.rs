//! Replicas on PostgreSQL tell each other what changed, by `LISTEN` and `NOTIFY`.
//!
//! A change is told after its commit and not within its transaction: the server lets the commits
//! that notify pass one by one, each with its wait for the disk. While one notification is on its
//! way the next changes gather, so that a busy replica sends few and large ones. What a replica
//! does not tell because it dies is found by the list that each stream reads once a minute.
//!
//! Each replica hears its own notifications, too. Where it does not for a while, its connection is
//! dead, and another one is made.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Changes;
use super::wire::{self, Line};
use crate::directory::store::database::{Database, Ears, Voice};
use crate::error::Chain;

/// The channel of notifications. It belongs to the database.
const CHANNEL: &str = "switchboard_directory";

/// How often a replica shows that it lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// A connection that brings nothing for this long is dead.
const DEAF: Duration = Duration::from_secs(13);

/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells other replicas, and hears them, until the shutdown. Does nothing on SQLite, which has one
/// process.
pub(crate) async fn keep_in_touch(
    changes: Changes,
    database: Database,
    shutdown: CancellationToken,
) {
    let (Some(voice), Some(ears)) = (database.voice(), database.ears()) else {
        return;
    };
    changes.has_replicas();
    let both = async {
        tokio::join!(speak(&changes, voice), hear(&changes, ears));
    };
    shutdown.run_until_cancelled(both).await;
}

async fn speak(changes: &Changes, mut voice: Voice) {
    let mut fails = false;
    let mut next_sign = Instant::now();
    loop {
        let to_tell = changes.0.to_tell.notified();
        let _ = tokio::time::timeout_at(next_sign, to_tell).await;
        // Also with each news, so that who begins to follow is known at once.
        let mut lines = vec![changes.sign_of_life()];
        lines.extend(changes.take_untold());
        let payloads = wire::write(&changes.0.epoch, &lines);
        match voice.say(CHANNEL, &payloads).await {
            Ok(()) => {
                fails = false;
                next_sign = Instant::now() + SIGN_OF_LIFE;
            }
            Err(error) => {
                if !std::mem::replace(&mut fails, true) {
                    warn!(error = %Chain(&error), "other replicas cannot be told what changed; they find it within a minute");
                }
                changes.could_not_tell();
                tokio::time::sleep(PAUSE).await;
                next_sign = Instant::now();
            }
        }
    }
}

async fn hear(changes: &Changes, ears: Ears) {
    let mut fails = false;
    loop {
        let failure = match ears.open(CHANNEL).await {
            Ok(mut open) => {
                if std::mem::take(&mut fails) {
                    info!("other replicas are heard again");
                }
                // What was told before is not heard any more.
                changes.missed();
                loop {
                    match tokio::time::timeout(DEAF, open.next()).await {
                        Ok(Ok(payload)) => heard(changes, &payload),
                        Ok(Err(error)) => break Some(error),
                        Err(_) => break None,
                    }
                }
            }
            Err(error) => Some(error),
        };
        if !std::mem::replace(&mut fails, true) {
            match failure {
                Some(error) => {
                    warn!(error = %Chain(&error), "other replicas are not heard; what they are told is found within a minute");
                }
                None => warn!(
                    "the connection on which other replicas are heard brings nothing; is there a pooler in front of the database that does not pass LISTEN on?"
                ),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn heard(changes: &Changes, payload: &str) {
    let message = wire::read(payload);
    if message.from == changes.0.epoch {
        return;
    }
    let mut changed = vec![];
    for line in message.lines {
        match line {
            Line::Changed(change) => changed.push(change),
            Line::Gap => changes.missed(),
            Line::Lives { followed } => changes.heard_of(message.from.clone(), followed),
        }
    }
    changes.learn(changed);
}

#[cfg(test)]
mod tests {
    use super::super::{Change, Kind, News};
    use super::*;

    #[tokio::test]
    async fn what_another_replica_says_is_heard_and_what_it_said_itself_is_not() {
        let changes = Changes::default();
        let mut news = changes.subscribe();
        let (company, kind) = ("acme".parse().unwrap(), Kind::CallsWait);
        let change = Change { company, kind };
        let lines = [Line::Changed(change.clone())];
        let says = |from: &str, lines: &[Line]| {
            for payload in wire::write(from, lines) {
                heard(&changes, &payload);
            }
        };
        let own = changes.position().1.to_owned();
        says(
            &own,
            &[Line::Gap, lines[0].clone(), Line::Lives { followed: true }],
        );
        assert_eq!(changes.position().0, 0);
        assert!(changes.0.followers.lock().elsewhere.is_empty());
        says("other", &lines);
        assert_eq!(news.next().await, News::Changed(change.clone()));
        assert_eq!(changes.position().0, 1);
        says("other", &[Line::Gap, lines[0].clone()]);
        assert_eq!(news.next().await, News::Missed);
        assert_eq!(news.next().await, News::Changed(change));
        assert!(changes.waits_after(1, 9).is_err(), "the list is to be read");
        says("other", &[Line::Lives { followed: true }]);
        let elsewhere = |changes: &Changes| {
            let followers = changes.0.followers.lock();
            let names = followers.elsewhere.iter().map(|(name, _)| name.clone());
            names.collect::<Vec<_>>()
        };
        assert_eq!(elsewhere(&changes), ["other"]);
        says("other", &[Line::Lives { followed: false }]);
        assert_eq!(elsewhere(&changes), [] as [&str; 0]);
        assert_eq!(changes.take_untold(), [], "nothing is told on");
    }
}
