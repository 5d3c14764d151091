//! Tests of worker and directory as programs, on real databases and with the simulator. Kills,
//! stops and failures of other parts lose nothing and duplicate nothing.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

mod bed;
mod disks;
mod endings;
mod fills;
mod followers;
mod kills;
mod memory;
mod outages;
mod replica;
mod replicas;
mod tenants;
#[path = "../../src/worker/tests/truth.rs"]
mod truth;

use switchboard::directory::Client;
use switchboard::directory::model::follow::KnownRequest;
use switchboard::directory::model::{Contact, RecordObject};
