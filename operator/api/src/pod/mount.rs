//! What a worker's pod mounts: the store, and of the user's ConfigMaps, Secrets, claims. Pure builders, no I/O.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, KeyToPath, PersistentVolumeClaimVolumeSource, SecretVolumeSource, Volume,
};

use super::STORE_CLAIM;
use crate::contract::STORE_PATH;

/// A volume and where it is mounted.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    /// The volume.
    pub volume: Volume,
    /// Where it is mounted.
    pub path: &'static str,
    /// Whether the worker writes there.
    pub writable: bool,
}

impl Mount {
    /// A ConfigMap, read-only.
    #[must_use]
    pub fn config_map(volume: &str, name: &str, path: &'static str) -> Self {
        let source = ConfigMapVolumeSource { name: name.to_owned(), ..Default::default() };
        Self::read_only(path, Volume { name: volume.to_owned(), config_map: Some(source), ..Default::default() })
    }

    /// A Secret, read-only.
    #[must_use]
    pub fn secret(volume: &str, name: &str, path: &'static str) -> Self {
        let source = SecretVolumeSource { secret_name: Some(name.to_owned()), ..Default::default() };
        Self::read_only(path, Volume { name: volume.to_owned(), secret: Some(source), ..Default::default() })
    }

    /// One key of a Secret, read-only.
    #[must_use]
    pub fn secret_key(volume: &str, name: &str, key: &str, path: &'static str) -> Self {
        let item = KeyToPath { key: key.to_owned(), path: key.to_owned(), mode: None };
        let source =
            SecretVolumeSource { secret_name: Some(name.to_owned()), items: Some(vec![item]), ..Default::default() };
        Self::read_only(path, Volume { name: volume.to_owned(), secret: Some(source), ..Default::default() })
    }

    /// A claim, mounted read-only. It is read-only by its mount: a claim that is read-only in the volume could not be
    /// mounted writable by another pod.
    #[must_use]
    pub fn claim(volume: &str, claim: &str, path: &'static str) -> Self {
        let source = PersistentVolumeClaimVolumeSource { claim_name: claim.to_owned(), read_only: None };
        let volume = Volume { name: volume.to_owned(), persistent_volume_claim: Some(source), ..Default::default() };
        Self::read_only(path, volume)
    }

    /// The namespace's store.
    #[must_use]
    pub fn store() -> Self {
        Self { writable: true, ..Self::claim("store", STORE_CLAIM, STORE_PATH) }
    }

    /// Whether it is the namespace's store.
    pub(super) fn is_store(&self) -> bool {
        self.path == STORE_PATH
    }

    fn read_only(path: &'static str, volume: Volume) -> Self {
        Self { volume, path, writable: false }
    }
}
