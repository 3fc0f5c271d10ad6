//! A real Postgres server on a port of this machine, one a test program; each test has a database of its own.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use lexigram_api::{
    contract::{PostgresLocation, PostgresServer, StoreLocation},
    postgres::PostgresSettings,
};
use tokio_postgres::{Client, NoTls};

/// The user `nobody`: Postgres refuses to run as root.
const NOBODY: u32 = 65534;
/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the server in its folder, and takes both away once standard input ends: with the test program, however that ends.
const KEEPER: &str = r#"
    "$1/pg/server/pginstall/bin/postgres" -D "$1/data" -p "$2" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c fsync=off -c max_connections=300 -c shared_buffers=64MB > "$1/log" 2>&1 &
    cat > /dev/null
    kill -QUIT $! 2> /dev/null
    wait $!
    rm -rf "$1"
"#;

struct Server {
    port: u16,
    /// The server lives as long as this one's standard input.
    _keeper: Child,
}

/// The server of this test program.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let installed = std::env::var_os("LEXIGRAM_POSTGRES").unwrap_or_else(|| {
            panic!("LEXIGRAM_POSTGRES is not set: run the tests with `just unit`, or set it to what worker-image/postgres.sh prints")
        });
        let folder = tempfile::Builder::new().prefix("lexigram-postgres-").tempdir().unwrap().keep();
        // root's own cache is closed to others
        let copied = Command::new("cp").arg("-r").arg(installed).arg(folder.join("pg")).status().unwrap();
        assert!(copied.success());
        let data = folder.join("data");
        fs::create_dir(&data).unwrap();
        let as_user = |command: &mut Command| {
            if rustix::process::geteuid().is_root() {
                command.uid(NOBODY).gid(NOBODY);
            }
        };
        if rustix::process::geteuid().is_root() {
            let given = Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(&folder).status().unwrap();
            assert!(given.success());
        }
        let mut initdb = Command::new(folder.join("pg/server/pginstall/bin/initdb"));
        initdb.args(["--username=postgres", "--auth=trust", "--no-sync", "--locale=C.UTF-8", "--pgdata"]).arg(&data);
        as_user(&mut initdb);
        let made = initdb.current_dir(&folder).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(&folder).arg(port.to_string()).stdin(Stdio::piped());
        as_user(&mut keeper);
        let keeper = keeper.current_dir(&folder).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "Postgres does not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Server { port, _keeper: keeper }
    })
}

/// A database of one test.
pub struct Database {
    port: u16,
    name: String,
}

impl Database {
    /// An empty one.
    pub async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let port = tokio::task::spawn_blocking(|| server().port).await.unwrap();
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let database = Self { port, name: "postgres".to_owned() };
        let deadline = Instant::now() + PATIENCE;
        // it takes connections a moment before it answers
        while let Err(error) = database.try_connect().await {
            assert!(Instant::now() < deadline, "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        database.connect().await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        Self { port, name }
    }

    /// How it is reached.
    pub fn uri(&self) -> String {
        self.uri_by(self.port)
    }

    /// How it is reached through a port that leads to the server's.
    pub fn uri_by(&self, port: u16) -> String {
        format!("postgresql://postgres@127.0.0.1:{port}/{}?sslmode=disable", self.name)
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The location of a collection.
    pub fn location(&self, collection: &str) -> StoreLocation {
        StoreLocation::Postgres(PostgresLocation {
            server: PostgresServer { uri: self.uri(), settings: PostgresSettings::default(), ca_file: None },
            collection: collection.to_owned(),
        })
    }

    async fn try_connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.uri(), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A connection of the test's own.
    pub async fn connect(&self) -> Client {
        self.try_connect().await.unwrap()
    }

    /// The rows of a query in the schema of a collection, each as its columns' text.
    pub async fn query(&self, collection: &str, sql: &str) -> Vec<Vec<String>> {
        let client = self.connect().await;
        let sql = format!("SET search_path = \"lexigram_{collection}\", public; {sql}");
        let rows = client.simple_query(&sql).await.unwrap();
        let rows = rows.into_iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| (0..row.len()).map(|column| row.get(column).unwrap_or("-").to_owned()).collect()).collect()
    }
}

/// A file that holds the URI, as a mounted Secret does.
pub fn uri_file(folder: &Path, uri: &str) -> String {
    let path: PathBuf = folder.join("uri");
    fs::File::create(&path).unwrap().write_all(uri.as_bytes()).unwrap();
    format!("file:{}", path.display())
}
