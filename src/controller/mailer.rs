//! Sends the queued mails, one after the other, in a task of its own: a mail server that is slow or
//! dead delays no reconcile.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::context::mail::{Parcel, QUEUE_FULL};
use super::mail_args::MailSetup;
use crate::error::Chain;
use crate::mail::{Address, Next, SendError, Server, Waiting};

/// The longest time that the end of the controller waits for mails that are due.
pub(crate) const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// Sends what is queued. When `stop` is cancelled it sends what is due, and ends.
pub(crate) async fn deliver(context: Arc<Context>, setup: MailSetup, stop: CancellationToken) {
    let (server, sender) = (setup.server, setup.rules.sender);
    loop {
        let wait = match context.mail.next() {
            Next::Send(waiting) => {
                let sent = send(&server, &sender, &waiting.mail).await;
                settle(&context, waiting, sent).await;
                continue;
            }
            Next::GiveUp(parcel) => {
                context
                    .give_up(&parcel, "it could not be delivered for an hour")
                    .await;
                continue;
            }
            Next::Wait(until) => Some(until),
            Next::Idle => None,
        };
        let due = async {
            match wait {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = context.mail.arrived() => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn send(server: &Server, sender: &Address, parcel: &Parcel) -> Result<(), Failure> {
    let message = parcel.letter.message(sender).map_err(Failure::Letter)?;
    let sent = server.send(&message, sender, &parcel.to).await;
    sent.map_err(Failure::Send)
}

/// Why a mail was not sent.
enum Failure {
    Letter(lettre::error::Error),
    Send(SendError),
}

async fn settle(context: &Context, waiting: Waiting<Parcel>, sent: Result<(), Failure>) {
    let parcel = &waiting.mail;
    let (id, recipients) = (parcel.letter.id.as_str(), parcel.to.len());
    let error = match sent {
        Ok(()) => {
            tracing::info!(id, recipients, "a mail was sent");
            context.metrics.mail_ended("sent");
            return context.mail.sent();
        }
        Err(Failure::Letter(error)) => {
            tracing::error!(id, error = %Chain(&error), "a mail could not be written");
            context.mail.sent();
            return context.give_up(parcel, "it could not be written").await;
        }
        Err(Failure::Send(error)) => error,
    };
    context.metrics.mail_ended("failed");
    tracing::warn!(id, recipients, error = %Chain(&error), "a mail was not sent");
    match error {
        SendError::Refused(_) if recipients > 1 => {
            // One address that the server does not take must not keep the mail from the others.
            context.mail.sent();
            for address in &parcel.to {
                let alone = Parcel {
                    to: vec![address.clone()],
                    ..parcel.clone()
                };
                if let Err(parcel) = context.mail.queue(alone) {
                    context.give_up(&parcel, QUEUE_FULL).await;
                }
            }
        }
        SendError::Refused(_) => {
            context.mail.sent();
            let to: Vec<String> = parcel.to.iter().map(Address::to_string).collect();
            let why = format!("the mail server refused {}", to.join(", "));
            context.give_up(parcel, &why).await;
        }
        error => {
            let all = error.is_of_server();
            context.mail.put_back(waiting, all);
        }
    }
}
