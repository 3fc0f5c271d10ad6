//! `kubectl lexigram search`: the worker's own search, in a pod beside the store. Creates that pod, reads what it says,
//! removes it.

mod collection;
mod hits;
mod pod;

use std::time::Duration;

use clap::{Args, ValueEnum};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, LogParams, PostParams},
    core::NamespaceResourceScope,
    runtime::wait::await_condition,
};
use lexigram_api::resource::{EmbeddingBatch, IngestionJob};
use serde::de::DeserializeOwned;
use tokio::{signal::ctrl_c, time::timeout};

use self::{collection::Collection, hits::Hit};
use crate::{
    cluster::Cluster,
    error::{ERROR, FINE, PluginError},
    operator::{Operator, OperatorArguments, WorkerImage, find, serving},
    output::{Format, show},
};

/// Find the chunks of a collection that fit a question best
#[derive(Debug, Args)]
pub struct Arguments {
    /// The collection: the name of the IngestionJob or EmbeddingBatch that fills it, unless its spec names another
    collection: String,
    /// The question
    query: String,
    /// What makes a chunk fit
    #[arg(long, value_enum, default_value_t = Mode::Vector, value_name = "MODE")]
    mode: Mode,
    /// How many chunks to show
    #[arg(long, default_value_t = 3, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
    /// Image of the worker; that of the operator where absent
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// How long the pod may take
    #[arg(long = "timeout", default_value_t = 180, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout_seconds: u64,
    #[command(flatten)]
    operator: OperatorArguments,
    /// How it is written
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Its meaning
    Vector,
    /// Its words, rare ones most
    Text,
    /// Both: the two lists are joined by rank
    Hybrid,
}

impl Mode {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Vector => "vector",
            Self::Text => "text",
            Self::Hybrid => "hybrid",
        }
    }
}

pub async fn main(cluster: &Cluster, arguments: &Arguments) -> Result<u8, PluginError> {
    let worker = worker(cluster, arguments).await?;
    let (jobs, batches) = tokio::try_join!(all::<IngestionJob>(cluster), all::<EmbeddingBatch>(cluster))?;
    let collection = Collection::find(&arguments.collection, &jobs, &batches);
    let question = pod::Question {
        text: &arguments.query,
        mode: arguments.mode.as_str(),
        limit: arguments.limit,
        timeout_seconds: arguments.timeout_seconds,
    };
    let pod = pod::pod(&collection, &question, &worker)?;
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let name = pods.create(&PostParams::default(), &pod).await?.name_any();
    let answer = tokio::select! {
        answer = answer(&pods, &name, arguments.timeout_seconds) => Some(answer),
        _interrupted = ctrl_c() => None,
    };
    // whatever came of it, the pod does not stay
    pods.delete(&name, &DeleteParams::default().grace_period(0)).await?;
    let Some(answer) = answer else { return Ok(ERROR) };
    let said = answer?;
    let hits: Vec<Hit> = serde_json::from_str(&said).map_err(|_| PluginError::SearchFailed(said))?;
    show(arguments.output, &hits, || hits::table(&hits, console::Term::stdout().size_checked()))?;
    Ok(FINE)
}

/// How the pod is run: as the operator's workers are, but with the image that is given.
async fn worker(cluster: &Cluster, arguments: &Arguments) -> Result<WorkerImage, PluginError> {
    let worker = match find(cluster, &arguments.operator).await {
        Ok(operators) => serving(&operators, &cluster.namespace).and_then(Operator::worker),
        Err(_) if arguments.image.is_some() => None,
        Err(error) => return Err(PluginError::NoImage(format!("the operator cannot be looked for: {error}"))),
    };
    match (&arguments.image, worker) {
        (Some(image), worker) => Ok(WorkerImage { image: image.clone(), ..worker.unwrap_or_default() }),
        (None, Some(worker)) => Ok(worker),
        (None, None) => Err(PluginError::NoImage(format!("no operator watches the namespace {}", cluster.namespace))),
    }
}

async fn all<K>(cluster: &Cluster) -> Result<Vec<K>, PluginError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    Ok(api.list(&ListParams::default()).await?.items)
}

/// What the pod says once it has ended.
async fn answer(pods: &Api<Pod>, name: &str, seconds: u64) -> Result<String, PluginError> {
    let ended = |pod: Option<&Pod>| pod.is_none_or(|pod| pod::result(pod).is_some());
    let ended = timeout(Duration::from_secs(seconds), await_condition(pods.clone(), name, ended)).await;
    let pod = match ended {
        Ok(Ok(pod)) => pod,
        Ok(Err(kube::runtime::wait::Error::ProbeFailed(error))) => return Err(error.into()),
        Err(_elapsed) => {
            let why = pods.get(name).await.map(|pod| pod::waits_for(&pod))?;
            return Err(PluginError::SearchTimeout { seconds, why });
        }
    };
    let said = pods.logs(name, &LogParams::default()).await?;
    match pod.as_ref().and_then(pod::result) {
        Some(true) => Ok(said),
        Some(false) | None => Err(PluginError::SearchFailed(said.trim().trim_start_matches("error: ").to_owned())),
    }
}
