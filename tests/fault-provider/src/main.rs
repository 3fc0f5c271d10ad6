//! The stand-in as a program, for a pod of its own or a look by hand. Serves HTTP; reads one file.

use std::{fs, io, net::SocketAddr, path::PathBuf};

use clap::Parser;
use lexigram_fault_provider::{FaultProvider, Script};

/// An embedding provider that is none: deterministic vectors, and failures as told
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::from(([127, 0, 0, 1], 8080)))]
    listen: SocketAddr,
    /// A script in JSON to begin with
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let Arguments { listen, script } = Arguments::parse();
    let script = match script {
        Some(file) => serde_json::from_slice(&fs::read(file)?)?,
        None => Script::default(),
    };
    let provider = FaultProvider::start(listen, script).await?;
    println!("embeddings at {}", provider.url());
    provider.run().await
}
