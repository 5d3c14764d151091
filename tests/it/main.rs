//! The promises of the product, held against a real control plane. One program, so that the control
//! plane starts once; one module for each promise; a namespace, a simulator, a directory and a
//! controller of its own for each test that needs them.

#![allow(clippy::unwrap_used, reason = "this is how a test fails")]

mod access;
mod bed;
mod budget;
mod calls;
mod chart;
mod check;
mod connection;
mod credentials;
mod crowd;
mod deletion;
mod disturbed;
mod examples;
mod gateway;
mod interrupted;
mod kstatus;
mod kubectl;
mod leaders;
mod markers;
mod methods;
mod outage;
mod refusals;
mod refused;
mod rights;
mod runs;
mod schema;
mod stage;
mod tenant;
mod tenants;
mod throttled;
mod unanswered;
mod world;
