//! What the tests of the provider share: the stand-in, and a provider that asks it.

// each test binary uses a part of this
#![allow(dead_code)]

use std::{net::Ipv4Addr, time::Duration};

use lexigram_api::contract::{Embedding, EmbeddingProvider};
use lexigram_fault_provider::{FaultProvider, Script};
use lexigram_worker::{
    embed::{EmbedError, OpenAI, Patience},
    report::Tracker,
};
use serde_json::{Value, json};

/// Waits that no test notices.
pub const QUICK: Patience = Patience {
    tries: 3,
    retry: Duration::from_millis(1),
    longest_retry: Duration::from_millis(2),
    pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(2),
    rate_limited_at_most: Duration::from_secs(3600),
};

/// The stand-in on the loopback device.
pub async fn start(script: Script) -> FaultProvider {
    FaultProvider::start((Ipv4Addr::LOCALHOST, 0).into(), script).await.unwrap()
}

/// The stand-in by TLS, and the certificate that makes it trusted.
pub async fn start_tls(script: Script) -> (FaultProvider, String) {
    FaultProvider::start_tls((Ipv4Addr::LOCALHOST, 0).into(), script).await.unwrap()
}

/// Where a provider is.
pub trait Base {
    fn base(&self) -> String;
}

impl Base for FaultProvider {
    fn base(&self) -> String {
        self.url()
    }
}

impl Base for str {
    fn base(&self) -> String {
        self.to_owned()
    }
}

/// The embedding of a work spec, with these settings beside a dimension of 8.
pub fn embedding(base: &(impl Base + ?Sized), settings: Value) -> Embedding {
    let mut provider = json!({ "type": "OpenAI", "url": base.base(), "model": "test-model", "dimensions": 8 });
    let mut truncate = json!(false);
    for (name, value) in settings.as_object().unwrap() {
        match name.as_str() {
            "truncate" => truncate = value.clone(),
            _ => provider[name] = value.clone(),
        }
    }
    serde_json::from_value(json!({ "provider": provider, "truncate": truncate })).unwrap()
}

/// A provider with these settings.
pub async fn open(base: &(impl Base + ?Sized), settings: Value, patience: Patience) -> Result<OpenAI, EmbedError> {
    lexigram_worker::install_tls_provider();
    let embedding = embedding(base, settings);
    let EmbeddingProvider::OpenAI { settings, .. } = &embedding.provider else { panic!("another provider") };
    OpenAI::open(&embedding, settings, patience, &Tracker::new("r1")).await
}
