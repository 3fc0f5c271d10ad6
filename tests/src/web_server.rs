//! A real web server in a namespace, as users have one: lighttpd over HTTP, and over HTTPS with a certificate of a CA of
//! its own. It serves pages, sends clients elsewhere, and has a git repository. Creates objects.

use std::collections::BTreeSet;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;

use crate::{Sandbox, cluster::kubectl, repository::Repository, server_pod::ServerPod};

/// A running server; it goes with its namespace.
pub struct WebServer<'a> {
    sandbox: &'a Sandbox,
}

impl<'a> WebServer<'a> {
    /// The ConfigMap with the CA's certificate, under the key that is taken by default.
    pub const CA: &'static str = "web-ca";

    /// Starts a server with these pages at its root, and waits until it takes connections.
    pub async fn start(sandbox: &'a Sandbox, pages: &[(&str, String)]) -> Self {
        let pages = pages.iter().map(|(name, content)| ((*name).to_owned(), content.clone().into_bytes()));
        sandbox.config_map("web-pages", pages).await;
        certify(sandbox).await;
        let server = ServerPod {
            name: "web",
            image: "LEXIGRAM_WEB_IMAGE",
            ready: 8443,
            volumes: vec![
                (json!({"name": "pages", "configMap": {"name": "web-pages"}}), "/web/site"),
                (json!({"name": "certificate", "secret": {"secretName": "web-certificate"}}), "/web/certificate"),
            ],
            ports: json!([
                {"name": "http", "port": 80, "targetPort": 8080},
                {"name": "https", "port": 443, "targetPort": 8443},
            ]),
        };
        server.start(sandbox).await;
        Self { sandbox }
    }

    /// The URL of a path, also of one below `/to/`, from which clients are sent to `http://` and the rest of the path. It
    /// is known before the server runs, so that pages can tell it.
    #[must_use]
    pub fn url(sandbox: &Sandbox, path: &str) -> String {
        format!("http://{}{path}", host(sandbox))
    }

    /// The same by HTTPS.
    #[must_use]
    pub fn secure_url(sandbox: &Sandbox, path: &str) -> String {
        format!("https://{}{path}", host(sandbox))
    }

    /// The repository that is served at `/git/docs.git`: empty, and leaving out what clients do not ask for.
    #[must_use]
    pub fn repository(&self) -> Repository {
        let kubectl = format!("kubectl --namespace {} exec --stdin web --", self.sandbox.namespace);
        Repository::new(&format!("{kubectl} /web/git-core/git receive-pack /web/repositories/docs.git"))
    }

    /// The objects that clients have asked the repository for, as the server's log has them.
    ///
    /// # Panics
    /// If there is no log.
    #[must_use]
    pub fn wanted(&self) -> BTreeSet<String> {
        let log = kubectl(&["--namespace", &self.sandbox.namespace, "logs", "web"]).unwrap();
        let wants =
            log.lines().filter_map(|line| line.split_once("upload-pack< want ").map(|(_, object)| object.trim()));
        wants.map(str::to_owned).collect()
    }
}

fn host(sandbox: &Sandbox) -> String {
    format!("web.{}.svc", sandbox.namespace)
}

/// Makes the server's key and certificate, and a CA that vouches for it.
async fn certify(sandbox: &Sandbox) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "CA of a test");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new([host(sandbox)]).unwrap().signed_by(&key, &authority).unwrap();
    sandbox.secret("web-certificate", &json!({"tls.crt": own.pem(), "tls.key": key.serialize_pem()})).await;
    sandbox.config_map(WebServer::CA, [("ca.crt".to_owned(), authority.pem().into_bytes())]).await;
}
