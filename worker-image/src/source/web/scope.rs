//! Which URLs belong to a site, and what makes two of them the same. Pure.

use reqwest::Url;

/// The part of the web that a crawl stays in: folders of servers.
pub(super) struct Scope {
    roots: Vec<Url>,
}

impl Scope {
    /// Whatever stands in the folders of these URLs, or below.
    pub(super) fn folders_of(urls: &[Url]) -> Self {
        let folder = |url: &Url| {
            let mut root = url.clone();
            root.set_query(None);
            let folder = url.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            root.set_path(&format!("{folder}/"));
            root
        };
        Self { roots: urls.iter().map(folder).collect() }
    }

    /// Whatever the servers of these URLs have.
    pub(super) fn sites_of(urls: &[Url]) -> Self {
        let site = |url: &Url| {
            let mut root = url.clone();
            root.set_query(None);
            root.set_path("/");
            root
        };
        Self { roots: urls.iter().map(site).collect() }
    }

    /// Whether it is the same scheme, host and port, and below the folder.
    pub(super) fn contains(&self, url: &Url) -> bool {
        self.roots.iter().any(|root| root.origin() == url.origin() && url.path().starts_with(root.path()))
    }
}

/// The same URL in its one spelling (RFC 3986, section 6.2.2): without fragment, without user, without an empty query,
/// with no escape that it can do without, and the others in capitals. None where it is no page of the web.
pub(super) fn normalised(mut url: Url) -> Option<Url> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return None;
    }
    url.set_fragment(None);
    url.set_username("").and_then(|()| url.set_password(None)).ok()?;
    let path = unescaped(url.path());
    url.set_path(&path);
    let query = url.query().filter(|query| !query.is_empty()).map(unescaped);
    url.set_query(query.as_deref());
    Some(url)
}

fn unescaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        result.push_str(&rest[..at]);
        rest = &rest[at..];
        match rest.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(|byte| (byte, char::from(byte)))
        {
            Some((_, letter)) if letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_' | '~') => {
                result.push(letter);
                rest = &rest[3..];
            }
            Some((byte, _)) => {
                result.push_str(&format!("%{byte:02X}"));
                rest = &rest[3..];
            }
            None => {
                result.push('%');
                rest = &rest[1..];
            }
        }
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::host_and_port("HTTP://Docs.Example:80/A", "http://docs.example/A")]
    #[case::dots("https://x.example/a/../b/./c", "https://x.example/b/c")]
    #[case::escaped_dots("https://x.example/a/%2e%2e/b", "https://x.example/b")]
    #[case::fragment("https://x.example/a#part", "https://x.example/a")]
    #[case::user("https://u:p@x.example/a", "https://x.example/a")]
    #[case::empty_query("https://x.example/a?", "https://x.example/a")]
    #[case::query("https://x.example/a?b=%7e%2f", "https://x.example/a?b=~%2F")]
    #[case::escapes("https://x.example/%61%c3%a4", "https://x.example/a%C3%A4")]
    #[case::no_escape("https://x.example/100%", "https://x.example/100%")]
    #[case::cut_escape("https://x.example/100%4", "https://x.example/100%4")]
    fn one_spelling(#[case] url: &str, #[case] expected: &str) {
        let once = normalised(url.parse().unwrap()).unwrap();
        assert_eq!(once.as_str(), expected);
        assert_eq!(normalised(once.clone()), Some(once));
    }

    #[rstest]
    #[case("mailto:a@x.example")]
    #[case("javascript:void(0)")]
    #[case("data:text/plain,x")]
    fn not_of_the_web(#[case] url: &str) {
        assert_eq!(normalised(url.parse().unwrap()), None);
    }

    #[rstest]
    #[case::itself("https://x.example/docs/index.html", true)]
    #[case::below("https://x.example/docs/a/b", true)]
    #[case::beside("https://x.example/blog/", false)]
    #[case::same_beginning("https://x.example/docs2/", false)]
    #[case::other_host("https://y.example/docs/", false)]
    #[case::other_scheme("http://x.example/docs/", false)]
    #[case::other_port("https://x.example:8443/docs/", false)]
    fn folders(#[case] url: &str, #[case] inside: bool) {
        let scope = Scope::folders_of(&["https://x.example/docs/index.html?x=/".parse().unwrap()]);
        assert_eq!(scope.contains(&url.parse().unwrap()), inside);
    }

    #[test]
    fn a_site_is_all_of_its_server() {
        let scope = Scope::sites_of(&["https://x.example/maps/sitemap.xml".parse().unwrap()]);
        assert!(scope.contains(&"https://x.example/a".parse().unwrap()));
        assert!(!scope.contains(&"https://www.x.example/a".parse().unwrap()));
    }
}
