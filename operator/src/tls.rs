//! The cryptography of this process's HTTP clients. No I/O.

/// Chooses ring, as the Kubernetes client does: reqwest comes with none of its own.
pub(crate) fn choose_cryptography() {
    // an error says that it was chosen before
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
}
