//! The connection URI of a store in Postgres, as libpq understands it. Reads its file, and `PGPASSWORD`.

use std::{fs, str::FromStr, time::Duration};

use lexigram_api::{contract::PostgresServer, postgres::TlsMode};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::super::StoreError;
use crate::http::cause;

/// How long reaching a host may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a silent connection is believed in.
const SILENCE: Duration = Duration::from_secs(30);

/// What a connection is made with.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: TlsMode,
    pub(super) ca_file: Option<String>,
}

impl Target {
    /// Reads the URI that a server is named by.
    pub(super) fn of(server: &PostgresServer) -> Result<Self, StoreError> {
        let uri = match server.uri.strip_prefix("file:") {
            None => server.uri.clone(),
            Some(path) => {
                let problem = |error| setting(format!("{path} cannot be read ({error})"));
                fs::read_to_string(path).map_err(problem)?.trim().to_owned()
            }
        };
        let mut target = Self::parse(&uri)?;
        target.tls = server.settings.tls_mode.unwrap_or(target.tls);
        target.ca_file = server.ca_file.clone().or(target.ca_file);
        if target.config.get_password().is_none()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            target.config.password(password);
        }
        target.config.ssl_mode(if target.tls == TlsMode::Disable { SslMode::Disable } else { SslMode::Require });
        Ok(target)
    }

    /// A URI; what it says of TLS is taken out, since the driver knows only some of the modes.
    fn parse(uri: &str) -> Result<Self, StoreError> {
        if !is_uri(uri) {
            return Err(setting(
                "is no URI of Postgres; give one such as postgresql://user:password@host:5432/database".to_owned(),
            ));
        }
        let (base, query) = uri.split_once('?').unwrap_or((uri, ""));
        let (mut tls, mut ca_file, mut rest) = (TlsMode::VerifyFull, None, Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", "disable")) => tls = TlsMode::Disable,
                Some(("sslmode", "require")) => tls = TlsMode::Require,
                Some(("sslmode", "verify-ca" | "verify-full")) => tls = TlsMode::VerifyFull,
                Some(("sslmode", other)) => {
                    let problem = format!("has sslmode={other}; use disable, require or verify-full");
                    return Err(setting(problem));
                }
                Some(("sslrootcert", path)) => ca_file = Some(path.replace("%2F", "/")),
                _ => rest.push(parameter),
            }
        }
        // the driver's messages do not repeat the URI, which may hold a password
        let mut config = Config::from_str(&format!("{base}?{}", rest.join("&")))
            .map_err(|error| setting(format!("cannot be understood ({})", cause(&error))))?;
        if config.get_hosts().is_empty() {
            return Err(setting("names no host".to_owned()));
        }
        if config.get_application_name().is_none() {
            config.application_name("lexigram-worker");
        }
        config.connect_timeout(CONNECT_TIMEOUT).keepalives_idle(SILENCE).tcp_user_timeout(SILENCE);
        Ok(Self { config, tls, ca_file })
    }

    /// Host and database, for messages.
    pub(super) fn name(&self) -> String {
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => format!("{host}:{port}"),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        let database = self.config.get_dbname().or_else(|| self.config.get_user()).unwrap_or("postgres");
        format!("{database} at {host}")
    }
}

fn setting(problem: String) -> StoreError {
    StoreError::Setting { field: "the connection URI", problem }
}

/// Whether that is the URI of a Postgres database.
pub(crate) fn is_uri(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing_said("postgresql://u:p@db.example:6432/rag", TlsMode::VerifyFull, None, "rag at db.example:6432")]
    #[case::no_tls("postgres://u@db/rag?sslmode=disable", TlsMode::Disable, None, "rag at db:5432")]
    #[case::unchecked(
        "postgres://u@db/rag?connect_timeout=3&sslmode=require",
        TlsMode::Require,
        None,
        "rag at db:5432"
    )]
    #[case::a_ca(
        "postgres://u@db?sslmode=verify-full&sslrootcert=%2Fca.crt",
        TlsMode::VerifyFull,
        Some("/ca.crt"),
        "u at db:5432"
    )]
    fn a_uri_is_understood(#[case] uri: &str, #[case] tls: TlsMode, #[case] ca: Option<&str>, #[case] name: &str) {
        let target = Target::parse(uri).unwrap();
        assert_eq!((target.tls, target.ca_file.as_deref(), target.name().as_str()), (tls, ca, name));
    }

    #[rstest]
    #[case::another_scheme("mysql://u:secret@db/rag", "is no URI of Postgres")]
    #[case::no_protection("postgres://u:secret@db/rag?sslmode=prefer", "use disable, require or verify-full")]
    #[case::an_unknown_parameter("postgres://u:secret@db/rag?color=red", "cannot be understood")]
    #[case::no_host("postgres://?dbname=rag", "names no host")]
    fn a_bad_uri_is_refused_and_not_repeated(#[case] uri: &str, #[case] problem: &str) {
        let message = Target::parse(uri).unwrap_err().to_string();
        assert!(message.contains(problem) && !message.contains("secret"), "{message}");
    }
}
