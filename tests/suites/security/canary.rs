//! A random word in every secret of a test, and a search for it in everything that a cluster shows.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::ListParams};
use lexigram_tests::{OPERATORS, Sandbox, kubectl};
use serde_json::Value;
use uuid::Uuid;

/// The word.
pub struct Canary(String);

impl Canary {
    pub fn new() -> Self {
        Self(format!("canary{}", Uuid::new_v4().simple()))
    }

    /// A secret value that begins with the word, so that one that is cut off is found too.
    pub fn value(&self, what: &str) -> String {
        format!("{}-{what}", self.0)
    }

    /// The word as it may stand in a text: plain, and in base64 wherever it begins within what was encoded.
    fn spellings(&self) -> Vec<String> {
        let whole = self.0.len() * 8;
        let encoded = [(0, 0), (1, 2), (2, 3)].map(|(before, affected)| {
            let bytes = [vec![0; before], self.0.clone().into_bytes()].concat();
            let text = STANDARD_NO_PAD.encode(bytes);
            // only the digits that depend on nothing else
            text[affected..(before * 8 + whole) / 6].to_owned()
        });
        [vec![self.0.clone()], encoded.to_vec()].concat()
    }

    /// The lines of a text that have the word.
    pub fn lines<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let spellings = self.spellings();
        text.lines().filter(|line| spellings.iter().any(|spelling| line.contains(spelling))).collect()
    }
}

/// Creates a Secret, and checks that the search would find each of its values.
pub async fn plant(it: &Sandbox, canary: &Canary, name: &str, values: Value) {
    it.secret(name, &values).await;
    let shown = kubectl(&["--namespace", &it.namespace, "get", "secret", name, "--output", "json"]).unwrap();
    assert_eq!(
        canary.lines(&shown).len(),
        values.as_object().unwrap().len(),
        "values of the Secret {name} with the word"
    );
}

/// Everything that the cluster shows, but Secrets: by the place, a text.
pub async fn everything(it: &Sandbox) -> BTreeMap<String, String> {
    let namespace = ["--namespace", it.namespace.as_str()];
    let kinds = kubectl(&["api-resources", "--verbs", "list", "--output", "name"]).unwrap();
    let kinds: Vec<&str> = kinds.lines().filter(|kind| *kind != "secrets").collect();
    let objects = ["get", &kinds.join(","), "--all-namespaces", "--show-managed-fields", "--output", "json"];
    let mut seen = BTreeMap::from([("objects".to_owned(), kubectl(&objects).unwrap())]);
    let described = ["describe", "ingestionjobs,embeddingbatches,maintenanceschedules,pods,jobs,configmaps"];
    seen.insert("descriptions".to_owned(), kubectl(&[&namespace[..], &described].concat()).unwrap());
    for pod in it.api::<Pod>().list(&ListParams::default()).await.unwrap() {
        let name = pod.name_any();
        let logs = ["logs", &name, "--all-containers"];
        // one that has just been made has none yet
        let logs = kubectl(&[&namespace[..], &logs].concat()).unwrap_or_else(|error| error.to_string());
        seen.insert(format!("logs of {name}"), logs);
    }
    for pod in it.api::<Pod>().list(&ListParams::default().labels(OPERATORS)).await.unwrap() {
        seen.insert("metrics of the operator".to_owned(), port(it, &pod, "metrics"));
    }
    seen
}

/// What a pod's port for machines answers.
pub fn port(it: &Sandbox, pod: &Pod, path: &str) -> String {
    let path = format!("/api/v1/namespaces/{}/pods/{}:8080/proxy/{path}", it.namespace, pod.name_any());
    kubectl(&["get", "--raw", &path]).unwrap()
}

#[test]
fn the_word_is_found_plain_and_encoded_wherever_it_begins() {
    let (canary, other) = (Canary::new(), Canary::new());
    let value = canary.value("password");
    assert_eq!(canary.lines(&format!("first\nsays {value}.\nlast")), [format!("says {value}.")]);
    for before in 0..6 {
        let encoded = STANDARD_NO_PAD.encode("x".repeat(before) + &value);
        assert_eq!(canary.lines(&encoded), [encoded.as_str()]);
        assert_eq!(other.lines(&encoded), [""; 0]);
    }
}
