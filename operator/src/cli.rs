//! The command line. Prints CRDs, or hands over to `run.rs`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use k8s_openapi::api::core::v1::ResourceRequirements;

use crate::{crd, notify::webhook::WebhookSettings, run, settings::Settings};

/// Operator of Lexigram Workers.
#[derive(Debug, Parser)]
#[command(name = "lexigram-operator", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the cluster and run workers.
    Run(Box<RunArguments>),
    /// Print the custom resource definitions.
    Crd {
        /// Write one file a kind into this folder instead.
        #[arg(long, value_name = "FOLDER")]
        output: Option<PathBuf>,
    },
}

/// What a run of the operator can be told.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// File with the `ai_workers` keys; read again when it changes.
    #[arg(long, env = "LEXIGRAM_CONFIG", value_name = "FILE", default_value = "/etc/lexigram/config.yaml")]
    pub config: PathBuf,
    /// Address of metrics, liveness and readiness.
    #[arg(long, env = "LEXIGRAM_ADMIN_ADDRESS", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub admin_address: SocketAddr,
    /// What is logged: a level, or a list of target=level.
    #[arg(long, env = "LEXIGRAM_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// What tells this process from its rivals for the lease: the name of its pod.
    #[arg(long, env = "LEXIGRAM_IDENTITY", value_name = "NAME")]
    pub identity: String,
    /// Name of the lease.
    #[arg(long, env = "LEXIGRAM_LEASE_NAME", value_name = "NAME", default_value = "lexigram-operator")]
    pub lease_name: String,
    /// Namespace of the lease; that of the pod or of the kubeconfig's context where absent.
    #[arg(long, env = "LEXIGRAM_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Namespaces to watch, separated by commas; every one where absent.
    #[arg(long, env = "LEXIGRAM_NAMESPACES", value_name = "LIST", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Image of the worker.
    #[arg(long, env = "LEXIGRAM_WORKER_IMAGE", value_name = "IMAGE")]
    worker_image: String,
    /// Pull policy of the worker's image.
    #[arg(long, env = "LEXIGRAM_WORKER_IMAGE_PULL_POLICY", value_name = "POLICY", default_value = "IfNotPresent",
        value_parser = ["Always", "IfNotPresent", "Never"])]
    worker_image_pull_policy: String,
    /// Secrets in the job's namespace with which the worker's image is pulled, separated by commas.
    #[arg(long, env = "LEXIGRAM_WORKER_IMAGE_PULL_SECRETS", value_name = "LIST", value_delimiter = ',')]
    worker_image_pull_secrets: Vec<String>,
    /// Requests and limits of workers whose job names none, as JSON.
    #[arg(long, env = "LEXIGRAM_WORKER_RESOURCES", value_name = "JSON", value_parser = resources,
        default_value = r#"{"requests": {"cpu": "500m", "memory": "768Mi"}, "limits": {"memory": "2Gi"}}"#)]
    worker_resources: ResourceRequirements,
    /// Size of the store claim that is made in a job's namespace.
    #[arg(long, env = "LEXIGRAM_STORE_SIZE", value_name = "QUANTITY", default_value = "10Gi")]
    store_size: String,
    /// StorageClass of that claim; the cluster's default where absent.
    #[arg(long, env = "LEXIGRAM_STORE_CLASS", value_name = "NAME")]
    store_class: Option<String>,
    /// Folder with the webhook for notifications: the file `url` and, if need be, `authorization`; no webhook where absent.
    #[arg(long, env = "LEXIGRAM_WEBHOOK", value_name = "FOLDER")]
    webhook: Option<PathBuf>,
    /// Seconds that the webhook may take to answer.
    #[arg(long, env = "LEXIGRAM_WEBHOOK_TIMEOUT", value_name = "SECONDS", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=60))]
    webhook_timeout: u64,
    /// Base URL of a collector that takes traces by OTLP over HTTP; workers are told of it too. No traces where absent.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
}

impl RunArguments {
    /// What the controllers need of it.
    pub fn settings(&self) -> Settings {
        // an environment variable that is set to nothing is an empty entry
        let given = |list: &[String]| list.iter().filter(|entry| !entry.is_empty()).cloned().collect();
        Settings {
            worker_image: self.worker_image.clone(),
            worker_image_pull_policy: self.worker_image_pull_policy.clone(),
            worker_image_pull_secrets: given(&self.worker_image_pull_secrets),
            worker_resources: self.worker_resources.clone(),
            store_size: self.store_size.clone(),
            store_class: self.store_class.clone().filter(|class| !class.is_empty()),
            namespaces: given(&self.namespaces),
            otlp_endpoint: self.otlp_endpoint().map(str::to_owned),
        }
    }

    /// Where traces go, if anywhere.
    pub fn otlp_endpoint(&self) -> Option<&str> {
        self.otlp_endpoint.as_deref().filter(|url| !url.is_empty())
    }

    /// Where notifications go, if anywhere.
    pub fn webhook(&self) -> Option<WebhookSettings> {
        let folder = self.webhook.clone().filter(|folder| !folder.as_os_str().is_empty())?;
        Some(WebhookSettings { folder, timeout: Duration::from_secs(self.webhook_timeout) })
    }
}

fn resources(json: &str) -> Result<ResourceRequirements, serde_json::Error> {
    serde_json::from_str(json)
}

/// Does what the command line says.
pub async fn main() -> ExitCode {
    let result = match CommandLine::parse().command {
        Command::Run(arguments) => run::run(&arguments).await.map_err(|error| error.to_string()),
        Command::Crd { output } => crd::write(output.as_deref()).map_err(|error| error.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("lexigram-operator: {message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn settings(arguments: &[&str]) -> Settings {
        let required = ["lexigram-operator", "run", "--identity", "me", "--worker-image", "worker:dev"];
        match CommandLine::try_parse_from(required.iter().chain(arguments)).unwrap().command {
            Command::Run(arguments) => arguments.settings(),
            Command::Crd { .. } => panic!("not a run"),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn empty_lists_are_empty() {
        let settings = settings(&["--namespaces", "", "--worker-image-pull-secrets", "", "--store-class", ""]);
        assert!(settings.namespaces.is_empty() && settings.worker_image_pull_secrets.is_empty());
        assert_eq!(settings.store_class, None);
    }

    #[test]
    fn traces_are_off_unless_a_collector_is_named() {
        assert_eq!(settings(&["--otlp-endpoint", ""]).otlp_endpoint, None);
        let named = settings(&["--otlp-endpoint", "http://collector:4318"]).otlp_endpoint;
        assert_eq!(named.as_deref(), Some("http://collector:4318"));
    }

    #[test]
    fn lists_are_split_and_resources_are_read() {
        let settings = settings(&["--namespaces", "a,b", "--worker-resources", r#"{"limits": {"memory": "3Gi"}}"#]);
        assert_eq!(settings.namespaces, ["a", "b"]);
        assert_eq!(settings.worker_resources.limits.unwrap()["memory"].0, "3Gi");
        assert_eq!(settings.worker_resources.requests, None);
    }

    #[test]
    fn resources_have_a_default() {
        assert_eq!(settings(&[]).worker_resources.requests.unwrap()["cpu"].0, "500m");
    }
}
