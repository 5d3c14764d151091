//! E-mail: addresses, the text of a letter, the queue, and the way to the mail server. It knows no
//! Kubernetes. When a letter is due is decided in `decide::notify`.

mod address;
mod backlog;
mod letter;
mod page;
mod smtp;
mod words;

pub(crate) use self::address::{Address, Domain, Domains};
pub(crate) use self::backlog::{Backlog, Next, Waiting};
pub(crate) use self::letter::{Letter, News, Place};
pub(crate) use self::smtp::{Encryption, LoginFiles, SendError, Server, ServerError};
