//! The test bed: a real Kubernetes control plane, a stand-in for the kubelet, and handles to both.
//!
//! - [`ControlPlane`] starts etcd, API server, controller manager and scheduler (or joins a running
//!   cluster) and provides clients, a real `kubectl`, and the audit log.
//! - [`Namespace`] is a namespace of one test, deleted when the test ends.
//! - [`PodRunner`] runs the pods of Jobs as local processes and reports on them as a kubelet does.
//! - [`Helm`] is the real helm with its tools.
//! - [`Authority`] issues certificates, and [`MountedFiles`] swaps files as a kubelet does.
//! - [`MailServer`] is a real mail server with TLS and log-in.
//! - [`bounded_to`] bounds the memory of a program, and [`MemoryWatch`] watches it.
//! - [`Postgres`] is a PostgreSQL server on its own socket.
//! - [`Prometheus`] is a Prometheus server; [`promtool`] runs its tool, and [`argo_health`] a
//!   script of Argo CD in a real Lua.
//! - [`browser`] is a real browser without a screen, with axe-core.
//! - [`pages`] reads the blocks of the documents, which tests run.
//! - [`proxy`] is what may happen between a program and the API server: lost requests, kills, old
//!   lists.
//! - [`sequences`] makes values for the fields of a definition, out of its schema.
//! - [`Process`] is a program under test: its output, signals, exit code, memory and processor
//!   time.
//! - [`wait_for`], [`wait_for_object`] and [`wait_for_condition`] wait for a condition, and report
//!   the last observation on failure.
//!
//! All started programs end with the test program, even if that is killed: see
//! `tests/cluster/README.md`.

mod audit;
mod authority;
pub mod browser;
mod control_plane;
mod error;
mod helm;
mod lua;
mod mail_server;
mod memory;
mod namespace;
pub mod pages;
mod phone;
mod pods;
mod postgres;
mod process;
mod program;
mod prometheus;
pub mod proxy;
pub mod sequences;
mod supervise;
mod supervisor;
mod wait;

pub use audit::{AuditEvent, AuditMark};
pub use authority::{Authority, Issued, MountedFiles};
pub use control_plane::{CommandOutput, ControlPlane};
pub use error::{Error, Result};
pub use helm::Helm;
pub use lua::argo_health;
pub use mail_server::{MailServer, MailTls};
pub use memory::{MemoryWatch, bounded_to};
pub use namespace::Namespace;
pub use phone::incoming_call;
pub use pods::{PodCommand, PodRun, PodRunner, PodRunnerBuilder, Rule, RunState, Select, Signal};
pub use postgres::{Postgres, Replication};
pub use process::{Line, Process, ProcessBuilder, Stream, Usage};
pub use program::{cron_calendar, repository, stand_in_for_cluster_binary, target_dir};
pub use prometheus::{Prometheus, metric_sum, promtool};
pub use supervise::supervise;
pub use wait::{
    Observation, TimedOut, try_wait_for, wait_for, wait_for_condition, wait_for_object,
};
