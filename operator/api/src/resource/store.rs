//! Where vectors and the ledger are kept. No I/O.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Where vectors and the ledger are kept: exactly one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.embedded)].filter(x, x).size() == 1")
    .message("spec.store: set exactly one store; the one available is 'embedded'"))]
pub struct Store {
    /// One SQLite file a collection, on the claim `lexigram-store` in the job's namespace. The operator makes the claim and never deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedStore>,
}

impl Default for Store {
    fn default() -> Self {
        Self { embedded: Some(EmbeddedStore {}) }
    }
}

/// The store inside the worker. It has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct EmbeddedStore {}
