//! A bucket of a real S3 server.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
};

use lexigram_api::resource::ConditionType;
use lexigram_tests::{address, kubectl, sandbox};
use serde_json::json;

use crate::counts;

/// A running S3 server in the test's process, over a folder whose folders are its buckets; it ends when this is dropped.
struct S3Server {
    process: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl S3Server {
    async fn start(client: &kube::Client, id: &str, secret: &str) -> Self {
        let program = std::env::var_os("LEXIGRAM_VERSITYGW")
            .expect("LEXIGRAM_VERSITYGW is not set: run the tests with `just test`");
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind(address(client).await).unwrap().local_addr().unwrap();
        for sub in ["data", "meta", "data/docs"] {
            fs::create_dir(folder.path().join(sub)).unwrap();
        }
        let process = Command::new(program)
            .args(["--access", id, "--secret", secret, "--quiet", "--port", &address.to_string()])
            .args(["posix", "--sidecar"])
            .arg(folder.path().join("meta"))
            .arg(folder.path().join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // a worker that comes before the server is up tries again
        Self { process, folder, address }
    }

    fn write(&self, key: &str, text: &str) {
        fs::write(self.folder.path().join("data/docs").join(key), text).unwrap();
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _dead_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[test]
fn a_bucket_is_ingested_with_the_credentials_of_a_secret() {
    sandbox(json!({}), async |it| {
        let server = S3Server::start(&it.client, "test-id", "test-secret").await;
        server.write("owls.txt", "Owls hunt at night without a sound.");
        server.write("bread.txt", "Dough rises in a warm place.");
        let secret = ["create", "secret", "generic", "keys", "--from-literal=accessKeyId=test-id"];
        let rest = ["--from-literal=secretAccessKey=test-secret"];
        kubectl(&[&["--namespace", &it.namespace][..], &secret[..], &rest[..]].concat()).unwrap();
        let source = json!({"s3": {
            "bucket": "docs", "endpoint": format!("http://{}", server.address), "credentialsSecretRef": {"name": "keys"},
        }});
        it.ingest("bucket", json!({"source": source})).await;
        let job = it.until_true("bucket", ConditionType::Complete).await;
        assert_eq!(counts(&job), [2, 0, 0, 0]);
        assert_eq!(it.search("bucket", "birds that fly after dark", 1).await[0].document, "owls.txt");
    });
}
