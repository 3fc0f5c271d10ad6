//! Which addresses a source's servers may have: none of the worker's own machine or link, where cloud providers hand
//! out credentials. Resolves names, and looks at what they resolve to, so that no name can lead there.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use lexigram_api::contract::NetworkAccess;
use reqwest::{
    Client, ClientBuilder, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use thiserror::Error;
use url::Host;

use super::SourceError;
use crate::http::{USER_AGENT, cause, read_certificates};

/// How long connecting may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Metadata services at addresses that are not link-local: AWS and GCP over IPv6, Alibaba, Oracle, Azure.
const METADATA: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// The rule for one source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Egress {
    /// The source in the spec, for instance `spec.source.http`.
    pub(super) field: &'static str,
    allow_local: bool,
}

impl Egress {
    pub(super) fn new(field: &'static str, access: &NetworkAccess) -> Self {
        Self { field, allow_local: access.allow_local_addresses }
    }

    /// What a client of that source begins with. It follows no redirect by itself, and asks no proxy, which would
    /// resolve names out of sight.
    pub(super) fn client(self, access: &NetworkAccess) -> Result<ClientBuilder, SourceError> {
        let mut client = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(Resolver { allow_local: self.allow_local });
        if let Some(file) = &access.ca_file {
            let certificates = read_certificates(Path::new(file)).map_err(|problem| SourceError::Setting {
                field: format!("{}.caBundleConfigMapRef", self.field),
                problem,
            })?;
            client = client.tls_certs_merge(certificates);
        }
        Ok(client)
    }

    /// Checks a URL before it is requested: a host that is an address never comes to the resolver. `configured` says
    /// whether the spec itself has the URL; others were found on the way.
    pub(super) fn check(self, url: &Url, configured: bool) -> Result<(), SourceError> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        match self.allow_local || !is_local(address) {
            true => Ok(()),
            false => Err(self.refused(url, address, configured)),
        }
    }

    /// The refusal of the resolver, if that is what a failed request comes from.
    pub(super) fn refusal(self, error: &reqwest::Error, url: &Url, configured: bool) -> Option<SourceError> {
        let mut cause: Option<&dyn Error> = Some(error);
        while let Some(error) = cause {
            if let Some(OnlyLocal(address)) = error.downcast_ref() {
                return Some(self.refused(url, *address, configured));
            }
            cause = error.source();
        }
        None
    }

    fn refused(self, url: &Url, address: IpAddr, configured: bool) -> SourceError {
        let host = url.host_str().unwrap_or_default().to_owned();
        SourceError::LocalAddress { host, address, field: self.field, configured }
    }
}

/// The error of a client that cannot be built.
pub(super) fn unusable(error: &reqwest::Error) -> SourceError {
    SourceError::Connection(cause(error))
}

/// A name whose addresses are all local.
#[derive(Debug, Error)]
#[error("the name resolves to the local address {0}")]
struct OnlyLocal(IpAddr);

/// Resolves names as the system does, and leaves local addresses out.
struct Resolver {
    allow_local: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_local = self.allow_local;
        Box::pin(async move {
            let all: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let local = all.iter().map(SocketAddr::ip).find(|address| is_local(*address));
            let mut allowed: Vec<SocketAddr> = all;
            allowed.retain(|address| allow_local || !is_local(address.ip()));
            match (allowed.is_empty(), local) {
                (true, Some(address)) => Err(OnlyLocal(address).into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether an address belongs to this machine or its link, or to a cloud's metadata service.
fn is_local(address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V6(address) => embedded(address).map_or(IpAddr::V6(address), IpAddr::V4),
        address @ IpAddr::V4(_) => address,
    };
    let special = match address {
        // all of 0.0.0.0/8 is "this host"
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local() || address.octets()[0] == 0,
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local() || address.is_unspecified(),
    };
    special || METADATA.contains(&address)
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, NAT64 (RFC 6052) or 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let two = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // `::` and `::1` are addresses of their own
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => two(high, low),
        [0x2002, high, low, ..] => two(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::failure::Classified;

    #[rstest]
    #[case::loopback("127.0.0.1", true)]
    #[case::all_of_loopback("127.8.8.8", true)]
    #[case::metadata("169.254.169.254", true)]
    #[case::unspecified("0.0.0.0", true)]
    #[case::this_host("0.1.2.3", true)]
    #[case::alibaba("100.100.100.200", true)]
    #[case::loopback6("::1", true)]
    #[case::unspecified6("::", true)]
    #[case::link_local6("fe80::1", true)]
    #[case::aws6("fd00:ec2::254", true)]
    #[case::mapped("::ffff:169.254.169.254", true)]
    #[case::compatible("::127.0.0.1", true)]
    #[case::nat64("64:ff9b::169.254.169.254", true)]
    #[case::six_to_four("2002:7f00:1::", true)]
    #[case::private("10.96.0.1", false)]
    #[case::private_too("192.168.1.1", false)]
    #[case::unique_local("fd12::1", false)]
    #[case::public("93.184.216.34", false)]
    #[case::mapped_public("::ffff:93.184.216.34", false)]
    fn addresses(#[case] address: &str, #[case] local: bool) {
        assert_eq!(is_local(address.parse().unwrap()), local);
    }

    #[rstest]
    #[case::address("http://169.254.169.254/latest/meta-data/")]
    #[case::one_number("http://2852039166/")]
    #[case::hexadecimal("http://0x7f.1/")]
    #[case::ipv6("http://[::1]/")]
    #[case::name("http://localhost:1/")]
    #[tokio::test]
    async fn a_local_server_is_refused_and_the_field_named(#[case] url: &str) {
        crate::install_tls_provider();
        let access = NetworkAccess::default();
        let egress = Egress::new("spec.source.http", &access);
        let client = egress.client(&access).unwrap().build().unwrap();
        let url = Url::parse(url).unwrap();
        let error = match egress.check(&url, true) {
            Err(error) => error,
            Ok(()) => {
                let error = client.get(url.clone()).send().await.unwrap_err();
                egress.refusal(&error, &url, true).unwrap_or_else(|| panic!("{error:?}"))
            }
        };
        assert_eq!(error.reason(), "LocalAddress");
        assert!(error.to_string().contains("set spec.source.http.allowLocalAddresses"), "{error}");
    }
}
