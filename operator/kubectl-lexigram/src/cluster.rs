//! The cluster and namespace that a command is about, chosen as kubectl does it. Reads the kubeconfig.

use std::path::PathBuf;

use clap::Args;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::error::PluginError;

/// The options by which kubectl chooses a cluster and a namespace.
#[derive(Clone, Debug, Default, Args)]
pub struct ClusterArguments {
    /// Namespace; that of the kubeconfig's context where absent
    #[arg(short, long, global = true, value_name = "NAMESPACE", help_heading = "Cluster")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", help_heading = "Cluster")]
    pub context: Option<String>,
    /// The kubeconfig; KUBECONFIG or ~/.kube/config where absent
    #[arg(long, global = true, value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,
}

/// A cluster and a namespace.
pub struct Cluster {
    /// Its client.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
}

impl ClusterArguments {
    /// The cluster that they choose. Nothing is asked of it yet.
    pub async fn connect(&self) -> Result<Cluster, PluginError> {
        let options = KubeConfigOptions { context: self.context.clone(), ..Default::default() };
        let config = match &self.kubeconfig {
            Some(file) => Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await?,
            None => Config::from_kubeconfig(&options).await?,
        };
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        Ok(Cluster { client: Client::try_from(config)?, namespace })
    }
}
