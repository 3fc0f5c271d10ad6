//! A real S3 server on this machine: versitygw, over a folder.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use lexigram_api::contract::{NetworkAccess, SourceLocation};
use rusty_s3::{
    Bucket, Credentials, S3Action, UrlStyle,
    actions::{CreateBucket, DeleteObject, PutObject},
};
use serde_json::json;

use super::wait_until;

const ID: &str = "test-id";
const SECRET: &str = "test-secret";
const LIFETIME: Duration = Duration::from_secs(60);

/// A server with one empty bucket, `docs`.
pub struct S3Server {
    process: Child,
    folder: tempfile::TempDir,
    pub endpoint: String,
    bucket: Bucket,
    credentials: Credentials,
    client: reqwest::Client,
}

impl S3Server {
    pub async fn start() -> Self {
        let Some(program) = std::env::var_os("LEXIGRAM_VERSITYGW") else {
            panic!(
                "LEXIGRAM_VERSITYGW is not set: run the tests with `just unit`, or set it to the program that \
                 `tests/kind/tools.sh versitygw` builds"
            )
        };
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for sub in ["data", "meta", "secret"] {
            fs::create_dir(folder.path().join(sub)).unwrap();
        }
        let process = Command::new(program)
            .args(["--access", ID, "--secret", SECRET, "--quiet", "--port", &address.to_string()])
            .arg("--access-log")
            .arg(folder.path().join("log"))
            .arg("posix")
            .arg("--sidecar")
            .arg(folder.path().join("meta"))
            .arg(folder.path().join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the S3 server answers", || TcpStream::connect(address).is_ok());
        let endpoint = format!("http://{address}");
        let bucket = Bucket::new(endpoint.parse().unwrap(), UrlStyle::Path, "docs", "us-east-1").unwrap();
        lexigram_worker::install_tls_provider();
        let credentials = Credentials::new(ID, SECRET);
        let server = Self { process, folder, endpoint, bucket, credentials, client: reqwest::Client::new() };
        let create = CreateBucket::new(&server.bucket, &server.credentials).sign(LIFETIME);
        server.client.put(create).send().await.unwrap().error_for_status().unwrap();
        server
    }

    pub async fn put(&self, key: &str, text: &str) {
        let put = PutObject::new(&self.bucket, Some(&self.credentials), key).sign(LIFETIME);
        self.client.put(put).body(text.to_owned()).send().await.unwrap().error_for_status().unwrap();
    }

    pub async fn delete(&self, key: &str) {
        let delete = DeleteObject::new(&self.bucket, Some(&self.credentials), key).sign(LIFETIME);
        self.client.delete(delete).send().await.unwrap().error_for_status().unwrap();
    }

    /// A directory as a Secret with these keys is mounted.
    pub fn secret(&self, secret: &str) -> PathBuf {
        let directory = self.folder.path().join("secret");
        fs::write(directory.join("accessKeyId"), ID).unwrap();
        fs::write(directory.join("secretAccessKey"), secret).unwrap();
        directory
    }

    /// The bucket as a source, with the right credentials.
    pub fn source(&self, prefix: &str) -> SourceLocation {
        SourceLocation::S3 {
            settings: serde_json::from_value(json!({"bucket": "docs", "prefix": prefix, "endpoint": self.endpoint}))
                .unwrap(),
            credentials_directory: self.secret(SECRET).to_str().map(str::to_owned),
            access: NetworkAccess { allow_local_addresses: true, ca_file: None },
        }
    }

    /// Objects that were asked for so far.
    pub fn downloads(&self) -> usize {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        log.lines().filter(|line| line.contains(" s3_GetObject ")).count()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _dead_already = self.process.kill();
        let _reaped = self.process.wait();
    }
}
