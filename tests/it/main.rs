//! Tests of the product's promises on a real control plane. They are one program, so that the
//! control plane starts once, with one module for each promise. Each test that needs them has its
//! own namespace, simulator, directory and controller.

#![allow(clippy::unwrap_used, reason = "this is how a test fails")]

mod access;
mod address_book;
mod again;
mod bed;
mod budget;
mod calendar;
mod call_centers;
mod calls;
mod chart;
mod check;
mod connection;
mod credentials;
mod crowd;
mod definition;
mod deletion;
mod disturbed;
mod documents;
mod encrypted;
mod examples;
mod follow;
mod gateway;
mod guessing;
mod health;
mod injector;
mod interrupted;
mod kstatus;
mod kubectl;
mod leaders;
mod mail;
mod markers;
mod memory;
mod methods;
mod metrics;
mod objects;
mod operate;
mod outage;
mod pods;
mod refusals;
mod refused;
mod resident;
mod revoked;
mod rights;
mod runbooks;
mod runs;
mod schema;
mod shards;
mod stage;
mod status;
mod story;
mod sweep;
mod taken_away;
mod tenant;
mod tenants;
mod throttled;
mod told;
mod unanswered;
mod whose;
mod words;
mod world;
