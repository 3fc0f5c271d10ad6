//! The `ai_workers` keys: read from a mounted file, and again whenever it changes. Reads that file.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::{Map, Value};
use thiserror::Error;
use tokio::sync::watch;

use crate::metrics::Metrics;

/// How often the file is looked at. A mounted ConfigMap changes by swapping links, which file watches miss.
const INTERVAL: Duration = Duration::from_secs(2);

/// The one key of the file's top level.
const SECTION: &str = "ai_workers";

/// The keys below it.
const KEYS: [&str; 6] = [
    "enabled",
    "batch_embedding_concurrency",
    "document_ingestion_concurrency",
    "enable_maintenance",
    "dlq_check_interval",
    "stub",
];

/// The running configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AiWorkers {
    /// Whether new work is started.
    pub enabled: bool,
    /// EmbeddingBatches that run at once, over the whole cluster.
    pub batch_embedding_concurrency: u32,
    /// IngestionJobs that run at once, over the whole cluster.
    pub document_ingestion_concurrency: u32,
    /// Whether maintenance schedules are active.
    pub enable_maintenance: bool,
    /// Seconds between two looks for dead letters that are due.
    pub dlq_check_interval: u32,
    /// Whether workers do nothing and succeed at once, for users' own tests.
    pub stub: bool,
}

impl Default for AiWorkers {
    fn default() -> Self {
        Self {
            enabled: true,
            batch_embedding_concurrency: 3,
            document_ingestion_concurrency: 3,
            enable_maintenance: true,
            dlq_check_interval: 60,
            stub: false,
        }
    }
}

/// Why a configuration was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {problem}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        problem: String,
    },
    /// The file is no YAML.
    #[error("not valid YAML: {0}")]
    Syntax(String),
    /// A key that means nothing.
    #[error("{key} is not a key; the keys are {known}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The keys that there are.
        known: String,
    },
    /// A value of the wrong type, or out of its range.
    #[error("{key}: {value} is not allowed; use {allowed}")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

impl AiWorkers {
    /// Reads a configuration; keys that are not there have their defaults.
    ///
    /// # Errors
    /// Names the key, its value and what is allowed.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let value: Value = serde_saphyr::from_str(text).map_err(|error| ConfigError::Syntax(error.to_string()))?;
        let top = object("the file", value, "a mapping with the key ai_workers")?;
        let mut config = Self::default();
        for (key, value) in top {
            if key != SECTION {
                return Err(ConfigError::UnknownKey { key, known: SECTION.to_owned() });
            }
            for (key, value) in object(SECTION, value, "a mapping")? {
                config.set(&key, &value)?;
            }
        }
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), ConfigError> {
        match key {
            "enabled" => self.enabled = boolean(key, value)?,
            "batch_embedding_concurrency" => self.batch_embedding_concurrency = number(key, value, 1, 1000)?,
            "document_ingestion_concurrency" => self.document_ingestion_concurrency = number(key, value, 1, 1000)?,
            "enable_maintenance" => self.enable_maintenance = boolean(key, value)?,
            "dlq_check_interval" => self.dlq_check_interval = number(key, value, 5, 86_400)?,
            "stub" => self.stub = boolean(key, value)?,
            _ => {
                return Err(ConfigError::UnknownKey { key: format!("{SECTION}.{key}"), known: KEYS.join(", ") });
            }
        }
        Ok(())
    }
}

fn object(key: &str, value: Value, allowed: &str) -> Result<Map<String, Value>, ConfigError> {
    match value {
        Value::Object(object) => Ok(object),
        // an empty file, or a key without a value
        Value::Null => Ok(Map::new()),
        other => Err(ConfigError::Value { key: key.to_owned(), value: other.to_string(), allowed: allowed.to_owned() }),
    }
}

fn boolean(key: &str, value: &Value) -> Result<bool, ConfigError> {
    value.as_bool().ok_or_else(|| refused(key, value, "true or false".to_owned()))
}

fn number(key: &str, value: &Value, least: u32, most: u32) -> Result<u32, ConfigError> {
    value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| refused(key, value, format!("a whole number from {least} to {most}")))
}

fn refused(key: &str, value: &Value, allowed: String) -> ConfigError {
    ConfigError::Value { key: format!("{SECTION}.{key}"), value: value.to_string(), allowed }
}

/// The file, and what it said last.
pub struct ConfigFile {
    path: PathBuf,
    last: Result<String, ConfigError>,
}

impl ConfigFile {
    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read or says something that is not allowed.
    pub fn open(path: &Path) -> Result<(Self, AiWorkers), ConfigError> {
        let text = text(path)?;
        let config = AiWorkers::parse(&text)?;
        Ok((Self { path: path.to_owned(), last: Ok(text) }, config))
    }

    /// Looks at the file from time to time: a valid change becomes the running configuration, an invalid one is
    /// reported and the running one stays. Ends only with the process.
    pub async fn follow(mut self, running: watch::Sender<AiWorkers>, metrics: Arc<Metrics>) {
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            ticks.tick().await;
            match self.changed() {
                None => {}
                Some(Ok(config)) => {
                    metrics.config_valid(true);
                    tracing::info!(?config, "the configuration has changed");
                    running.send_if_modified(|current| std::mem::replace(current, config.clone()) != config);
                }
                Some(Err(error)) => {
                    metrics.config_valid(false);
                    tracing::warn!(%error, "the changed configuration is refused, and the running one stays");
                }
            }
        }
    }

    /// What the file says, if it says something else than before.
    fn changed(&mut self) -> Option<Result<AiWorkers, ConfigError>> {
        let now = text(&self.path);
        if now == self.last {
            return None;
        }
        self.last.clone_from(&now);
        Some(now.and_then(|text| AiWorkers::parse(&text)))
    }
}

fn text(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: path.display().to_string(), problem: error.to_string() })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::empty("")]
    #[case::no_keys("ai_workers:\n")]
    fn defaults(#[case] text: &str) {
        assert_eq!(AiWorkers::parse(text).unwrap(), AiWorkers::default());
    }

    #[test]
    fn every_key_is_read() {
        let text = "ai_workers:\n  enabled: false\n  batch_embedding_concurrency: 4\n  document_ingestion_concurrency: 5\n  \
                    enable_maintenance: false\n  dlq_check_interval: 5\n  stub: true\n";
        let expected = AiWorkers {
            enabled: false,
            batch_embedding_concurrency: 4,
            document_ingestion_concurrency: 5,
            enable_maintenance: false,
            dlq_check_interval: 5,
            stub: true,
        };
        assert_eq!(AiWorkers::parse(text).unwrap(), expected);
    }

    #[rstest]
    #[case(
        "ai_workers: {dlq_check_interval: 4}",
        "ai_workers.dlq_check_interval: 4 is not allowed; use a whole number from 5 to 86400"
    )]
    #[case(
        "ai_workers: {document_ingestion_concurrency: 0}",
        "ai_workers.document_ingestion_concurrency: 0 is not allowed; use a whole number from 1 to 1000"
    )]
    #[case(
        "ai_workers: {batch_embedding_concurrency: many}",
        "ai_workers.batch_embedding_concurrency: \"many\" is not allowed"
    )]
    #[case("ai_workers: {enabled: maybe}", "ai_workers.enabled: \"maybe\" is not allowed; use true or false")]
    #[case(
        "ai_workers: {concurrency: 3}",
        "ai_workers.concurrency is not a key; the keys are enabled, batch_embedding"
    )]
    #[case("workers: {}", "workers is not a key; the keys are ai_workers")]
    #[case("ai_workers: 3", "ai_workers: 3 is not allowed; use a mapping")]
    #[case("ai_workers: [", "not valid YAML")]
    #[case("ai_workers: {stub: true, stub: false}", "not valid YAML")]
    #[case("ai_workers: {enabled: \"true\"}", "ai_workers.enabled: \"true\" is not allowed; use true or false")]
    #[case("ai_workers: {dlq_check_interval: -5}", "ai_workers.dlq_check_interval: -5 is not allowed")]
    #[case("ai_workers: {dlq_check_interval: 7.5}", "ai_workers.dlq_check_interval: 7.5 is not allowed")]
    fn refuses(#[case] text: &str, #[case] message: &str) {
        let error = AiWorkers::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }

    #[test]
    fn only_changes_are_told_and_a_refused_one_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, "ai_workers: {dlq_check_interval: 30}\n").unwrap();
        let (mut file, config) = ConfigFile::open(&path).unwrap();
        assert_eq!(config.dlq_check_interval, 30);
        assert_eq!(file.changed(), None);

        fs::write(&path, "ai_workers: {dlq_check_interval: 3}\n").unwrap();
        assert!(
            matches!(file.changed(), Some(Err(ConfigError::Value { key, .. })) if key == "ai_workers.dlq_check_interval")
        );
        assert_eq!(file.changed(), None);

        fs::write(&path, "ai_workers: {dlq_check_interval: 40}\n").unwrap();
        assert_eq!(file.changed().unwrap().unwrap().dlq_check_interval, 40);

        fs::remove_file(&path).unwrap();
        assert!(matches!(file.changed(), Some(Err(ConfigError::Unreadable { .. }))));
    }

    #[test]
    fn the_charts_defaults_and_ranges_are_these() {
        let values: Value = serde_saphyr::from_str(include_str!("../../charts/lexigram-workers/values.yaml")).unwrap();
        let config = |section: &Value| AiWorkers::parse(&json!({ SECTION: section }).to_string());
        assert_eq!(config(&values[SECTION]).unwrap(), AiWorkers::default());
        assert_eq!(values[SECTION].as_object().unwrap().len(), KEYS.len());

        let schema = include_str!("../../charts/lexigram-workers/values.schema.json");
        let schema: Value = serde_json::from_str(schema).unwrap();
        let keys = schema["properties"][SECTION]["properties"].as_object().unwrap();
        assert_eq!(keys.len(), KEYS.len());
        for (key, bounds) in keys {
            if let (Some(least), Some(most)) = (bounds["minimum"].as_u64(), bounds["maximum"].as_u64()) {
                let accepts = |number: u64| config(&json!({ key: number })).is_ok();
                assert!(accepts(least) && accepts(most), "{key}");
                assert!(!accepts(least - 1) && !accepts(most + 1), "{key}");
            }
        }
    }
}
