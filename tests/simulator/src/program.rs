//! The simulator as a program: it loads orgs from a file and prints its address and authority.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::config::Config;
use crate::simulator::Simulator;

/// Plays Salesforce over HTTPS, with the orgs of a YAML file.
#[derive(Debug, Parser)]
#[command(name = "salesforce-simulator")]
pub struct Args {
    /// The YAML file with orgs, users and records.
    #[arg(long, value_name = "FILE")]
    pub orgs: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Where to write the authority's certificate (PEM) that clients must trust.
    #[arg(long, value_name = "FILE")]
    pub ca_out: Option<PathBuf>,
    /// Another name for the certificate; may be given several times.
    #[arg(long = "name", value_name = "HOST")]
    pub names: Vec<String>,
    /// Do not print the authority's certificate.
    #[arg(long)]
    pub quiet: bool,
}

/// Runs until Ctrl-C.
///
/// # Errors Fails when the file cannot be read or is invalid, or when the address is in use.
pub async fn run(args: Args) -> Result<(), String> {
    let file = args.orgs.display().to_string();
    let text = std::fs::read_to_string(&args.orgs).map_err(|error| format!("{file}: {error}"))?;
    let mut config = Config::from_yaml(&text).map_err(|error| format!("{file}: {error}"))?;
    config.world.certificate_names.extend(args.names);
    let simulator =
        Simulator::listen(config.world, args.listen).map_err(|error| error.to_string())?;
    for fault in config.faults {
        simulator.fault(fault);
    }
    if let Some(path) = &args.ca_out {
        std::fs::write(path, simulator.ca_pem())
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    // The authority's file exists before this line is printed, for programs that wait for the line.
    println!("listening: {}", simulator.url());
    println!("admin: {}/__admin/", simulator.url());
    if let Some(path) = &args.ca_out {
        println!("ca: {}", path.display());
    }
    if !args.quiet {
        println!("{}", simulator.ca_pem().trim_end());
    }
    tokio::signal::ctrl_c()
        .await
        .map_err(|error| error.to_string())?;
    simulator.shutdown().await;
    Ok(())
}
