//! How the servers of a source or input are reached, as the worker finds it. Pure builders, no I/O.

use lexigram_api::{
    contract::{NetworkAccess, SOURCE_CA_PATH},
    resource::SourceAccess,
};

use super::references::Reference;
use crate::controller::worker_pod::Mount;

/// What the worker is told.
#[must_use]
pub fn access(access: &SourceAccess) -> NetworkAccess {
    let ca = access.ca_bundle_config_map_ref.as_ref();
    NetworkAccess {
        allow_local_addresses: access.allow_local_addresses,
        ca_file: ca.map(|map| format!("{SOURCE_CA_PATH}/{}", map.key)),
    }
}

/// The volume with certificates.
#[must_use]
pub fn mount(access: &SourceAccess) -> Option<Mount> {
    let ca = access.ca_bundle_config_map_ref.as_ref();
    ca.map(|map| Mount::config_map("source-ca", &map.name, SOURCE_CA_PATH))
}

/// The ConfigMap with certificates, which `field` names.
#[must_use]
pub fn reference(access: &SourceAccess, field: &'static str) -> Option<Reference> {
    access.ca_bundle_config_map_ref.as_ref().map(|map| Reference::config_map(&map.name, field))
}
