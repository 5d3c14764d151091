//! The Salesforce simulator as a program: `cargo run --example salesforce-simulator -- --orgs
//! examples/salesforce-simulator.yaml`.

use std::process::ExitCode;

use clap::Parser;
use salesforce_simulator::program::{Args, run};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("salesforce-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}
