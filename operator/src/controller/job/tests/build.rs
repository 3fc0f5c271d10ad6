//! What is made in the cluster, as YAML.

use insta::assert_yaml_snapshot;
use lexigram_api::resource::IngestionJob;
use rstest::rstest;
use serde_json::{Value, json};

use super::fixtures::*;
use crate::{
    controller::job::{act::owner, build, kind::JobKind, plan::Take, references},
    settings::Settings,
};

#[test]
fn the_job_of_a_plain_run() {
    let job = from_config_map();
    assert_yaml_snapshot!(build::job(
        &job,
        &owner(&job).unwrap(),
        "handbook-r1",
        &build::Circumstances::default(),
        &settings()
    ));
}

#[test]
fn the_job_with_every_override() {
    let job = job(json!({
        "source": {"http": {"urls": ["https://x.example/a.html"], "headersSecretRef": {"name": "token"}}},
        "activeDeadlineSeconds": 600,
        "queueName": "team",
        "worker": {
            "resources": {"limits": {"memory": "4Gi"}},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "batch", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}}]}},
            "priorityClassName": "low",
            "schedulerName": "volcano",
            "serviceAccountName": "ingest",
            "runtimeClassName": "gvisor",
            "imagePullSecrets": [{"name": "mine"}, {"name": "pull"}],
            "labels": {"team": "docs", "app.kubernetes.io/managed-by": "me"},
            "annotations": {"note": "x"},
        },
    }));
    assert_yaml_snapshot!(build::job(
        &job,
        &owner(&job).unwrap(),
        "handbook-r1",
        &build::Circumstances::default(),
        &settings()
    ));
}

#[test]
fn a_worker_is_told_what_its_logs_and_traces_name() {
    let job = from_config_map();
    let settings = Settings { otlp_endpoint: Some("http://collector:4318".to_owned()), ..settings() };
    let circumstances = build::Circumstances { traceparent: Some("00-1-2-01"), ..Default::default() };
    let built = build::job(&job, &owner(&job).unwrap(), "handbook-r1", &circumstances, &settings);
    let built = serde_json::to_value(built).unwrap();
    let environment = built["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let value = |name: &str| environment.iter().find(|variable| variable["name"] == name).map(|it| &it["value"]);
    assert_eq!(value("LEXIGRAM_OBJECT"), Some(&json!("docs/handbook")));
    assert_eq!(value("LEXIGRAM_UID"), Some(&json!("11111111-2222-3333-4444-555555555555")));
    assert_eq!(value("OTEL_EXPORTER_OTLP_ENDPOINT"), Some(&json!("http://collector:4318")));
    assert_eq!(value("TRACEPARENT"), Some(&json!("00-1-2-01")));
}

#[rstest]
#[case::the_operators(json!({}), "registry.example/lexigram-worker:1.0", Some("IfNotPresent"))]
#[case::a_users_own(json!({"image": "registry.example/mine@sha256:0"}), "registry.example/mine@sha256:0", None)]
fn the_image_is_the_users_where_there_is_one(
    #[case] worker: Value,
    #[case] image: &str,
    #[case] pull_policy: Option<&str>,
) {
    let build = |worker: Value| {
        let job = job(json!({"worker": worker}));
        let built = build::job(&job, &owner(&job).unwrap(), "r1", &build::Circumstances::default(), &settings());
        built.spec.unwrap().template
    };
    let mut pod = build(worker);
    let container = &mut pod.spec.as_mut().unwrap().containers[0];
    assert_eq!((container.image.as_deref(), container.image_pull_policy.as_deref()), (Some(image), pull_policy));
    // and nothing else differs: it is as confined, and is told as much
    container.image = Some(settings().worker_image);
    container.image_pull_policy = Some(settings().worker_image_pull_policy);
    assert_eq!(pod, build(json!({})));
}

fn on_postgres() -> IngestionJob {
    job(json!({
        "source": {"configMap": {"name": "guides"}},
        "parallelism": 4,
        "store": {"postgres": {"connectionSecretRef": {"name": "db"}, "caBundleSecretRef": {"name": "db-ca"}}},
    }))
}

#[test]
fn the_job_of_four_workers_on_postgres() {
    let job = on_postgres();
    let circumstances = build::Circumstances::default();
    assert_yaml_snapshot!(build::job(&job, &owner(&job).unwrap(), "handbook-r1", &circumstances, &settings()));
}

#[test]
fn postgres_is_reached_by_files_of_its_secrets() {
    let job = on_postgres();
    let work_spec = build::work_spec(&job, &owner(&job).unwrap(), "handbook-r1", &Take::Everything);
    let task = serde_json::to_value(work_spec).unwrap()["task"].clone();
    let store = json!({
        "type": "Postgres", "uri": "file:/etc/lexigram/store-uri/uri", "caFile": "/etc/lexigram/store-ca/ca.crt",
        "collection": "handbook", "schemaPrefix": "lexigram_", "maxConnections": 20, "statementTimeoutSeconds": 60,
    });
    assert_eq!((&task["store"], &task["embedding"]["shards"]), (&store, &json!(4)));
    let named: Vec<_> = references::of_options(&job.spec.job).into_iter().map(|named| named.name).collect();
    assert_eq!(named, ["db", "db-ca"]);
}

#[test]
fn the_config_map_of_a_run() {
    let job = from_config_map();
    let owner = owner(&job).unwrap();
    let work_spec = build::work_spec(&job, &owner, "handbook-r1", &Take::Everything);
    assert_yaml_snapshot!(build::config_map(&owner, "handbook-r1", &work_spec).unwrap());
}

#[test]
fn the_store_claim_belongs_to_nobody() {
    assert_yaml_snapshot!(build::store_claim("docs", &settings()));
}

#[rstest]
#[case::config_map(json!({"configMap": {"name": "guides"}}), "configMap/guides", json!({"type": "Directory", "path": "/source"}))]
#[case::claim(json!({"persistentVolumeClaim": {"claimName": "files"}}), "persistentVolumeClaim/files",
    json!({"type": "Directory", "path": "/source"}))]
#[case::folder_of_a_claim(json!({"persistentVolumeClaim": {"claimName": "files", "path": "docs/manuals/"}}),
    "persistentVolumeClaim/files/docs/manuals", json!({"type": "Directory", "path": "/source/docs/manuals"}))]
#[case::http(json!({"http": {"urls": ["https://x.example/a"]}}), "http/handbook", json!({"type": "Http", "urls": ["https://x.example/a"]}))]
#[case::http_with_headers(json!({"http": {"urls": ["https://x.example/a"], "headersSecretRef": {"name": "t"}}}), "http/handbook",
    json!({"type": "Http", "urls": ["https://x.example/a"], "headersDirectory": "/etc/lexigram/http-headers"}))]
#[case::web_site(
    json!({"http": {"urls": ["https://x.example/"], "crawl": {"follow": "Links"}, "allowLocalAddresses": true,
        "caBundleConfigMapRef": {"name": "ca"}}}),
    "http/handbook",
    json!({"type": "Http", "urls": ["https://x.example/"], "allowLocalAddresses": true, "caFile": "/etc/lexigram/source-ca/ca.crt",
        "crawl": {"follow": "Links", "linkDepth": 3, "maxDocuments": 1000}}))]
#[case::bucket(json!({"s3": {"bucket": "docs"}}), "s3/docs", json!({"type": "S3", "bucket": "docs", "region": "us-east-1"}))]
#[case::bucket_elsewhere(
    json!({"s3": {"bucket": "docs", "prefix": "a/", "endpoint": "https://minio.example:9000", "pathStyle": true,
        "credentialsSecretRef": {"name": "keys"}}}),
    "s3/minio.example:9000/docs/a/",
    json!({"type": "S3", "bucket": "docs", "prefix": "a/", "region": "us-east-1", "endpoint": "https://minio.example:9000",
        "pathStyle": true, "credentialsDirectory": "/etc/lexigram/source-credentials"}))]
#[case::repository(json!({"git": {"url": "https://git.example/docs.git"}}), "git/git.example/docs.git",
    json!({"type": "Git", "url": "https://git.example/docs.git", "ref": "HEAD"}))]
#[case::folder_of_a_tag(
    json!({"git": {"url": "https://git.example/docs.git", "ref": "v1", "path": "a/", "credentialsSecretRef": {"name": "login"}}}),
    "git/git.example/docs.git@v1/a",
    json!({"type": "Git", "url": "https://git.example/docs.git", "ref": "v1", "path": "a/",
        "credentialsDirectory": "/etc/lexigram/source-credentials"}))]
#[case::inline(json!({"inline": [{"name": "a.md", "text": "# A"}]}), "inline/handbook",
    json!({"type": "Inline", "documents": [{"name": "a.md", "text": "# A"}]}))]
fn sources(#[case] source: Value, #[case] scope: &str, #[case] location: Value) {
    let job = job(json!({"source": source}));
    let work_spec = build::work_spec(&job, &owner(&job).unwrap(), "handbook-r1", &Take::Everything);
    let task = serde_json::to_value(work_spec).unwrap()["task"].clone();
    assert_eq!(task["scope"], scope);
    assert_eq!(task["source"], location);
}

#[rstest]
#[case::web_site(json!({"http": {"urls": ["https://x.example/"], "headersSecretRef": {"name": "token"},
    "caBundleConfigMapRef": {"name": "ca"}}}), &["http-headers", "source-ca"], &["SecretNotFound", "ConfigMapNotFound"])]
#[case::bucket(json!({"s3": {"bucket": "docs", "credentialsSecretRef": {"name": "keys"}, "caBundleConfigMapRef": {"name": "ca"}}}),
    &["source-credentials", "source-ca"], &["SecretNotFound", "ConfigMapNotFound"])]
#[case::repository(json!({"git": {"url": "https://git.example/docs.git", "credentialsSecretRef": {"name": "login"},
    "caBundleConfigMapRef": {"name": "ca"}}}), &["source-credentials", "source-ca"], &["SecretNotFound", "ConfigMapNotFound"])]
fn a_source_brings_its_volumes_and_names_what_must_be_there(
    #[case] source: Value,
    #[case] volumes: &[&str],
    #[case] missing: &[&str],
) {
    let job = job(json!({"source": source}));
    let mounts = job.mounts();
    assert_eq!(mounts.iter().map(|mount| mount.volume.name.as_str()).collect::<Vec<_>>(), volumes);
    let references = job.references();
    assert_eq!(references.iter().map(|reference| reference.missing_reason()).collect::<Vec<_>>(), missing);
}

#[rstest]
#[case(Take::Everything, json!({"type": "Full"}))]
#[case(Take::Due(at(0)), json!({"type": "Retry", "dueBefore": "2027-01-15T08:00:00Z"}))]
fn modes(#[case] take: Take, #[case] mode: Value) {
    let job = job(json!({}));
    let work_spec = build::work_spec(&job, &owner(&job).unwrap(), "handbook-r1", &take);
    assert_eq!(serde_json::to_value(work_spec).unwrap()["task"]["mode"], mode);
}
