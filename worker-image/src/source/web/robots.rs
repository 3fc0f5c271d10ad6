//! What a site lets robots read: `robots.txt` by RFC 9309. Pure.

use reqwest::Url;

use super::scope::normalised;

/// The name that rules for this program are given under.
const PRODUCT: &str = "lexigram-worker";
/// Most bytes that are read of a file; RFC 9309 asks for 500 KiB at least.
pub(super) const MOST_BYTES: usize = 512 * 1024;

/// The rules of one site for this program.
#[derive(Debug, Default)]
pub(super) struct Robots {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    pattern: String,
    allow: bool,
}

impl Robots {
    /// The rules of a file: those of every group with our name, or else those of every group for all.
    pub(super) fn parse(file: &str) -> Self {
        let (mut ours, mut everybodys) = (None::<Vec<Rule>>, Vec::new());
        // a group is one or more lines with names, then its rules
        let (mut names, mut in_rules): (Vec<String>, bool) = (Vec::new(), true);
        for line in file.trim_start_matches('\u{feff}').lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "user-agent" => {
                    if in_rules {
                        names.clear();
                        in_rules = false;
                    }
                    names.push(value.to_ascii_lowercase());
                    if names.iter().any(|name| name == PRODUCT) {
                        ours.get_or_insert_default();
                    }
                }
                key @ ("allow" | "disallow") => {
                    in_rules = true;
                    let rule = || Rule { pattern: spelled(value), allow: key == "allow" };
                    if value.is_empty() {
                        continue; // it forbids nothing
                    }
                    if names.iter().any(|name| name == PRODUCT) {
                        ours.get_or_insert_default().push(rule());
                    }
                    if names.iter().any(|name| name == "*") {
                        everybodys.push(rule());
                    }
                }
                _ => {}
            }
        }
        Self { rules: ours.unwrap_or(everybodys) }
    }

    /// Whether a page may be read: the longest rule that matches decides, and of two the one that allows.
    pub(super) fn allow(&self, url: &Url) -> bool {
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let matching = self.rules.iter().filter(|rule| matches(&rule.pattern, &target));
        matching.max_by_key(|rule| (rule.pattern.len(), rule.allow)).is_none_or(|rule| rule.allow)
    }
}

/// A pattern in the spelling that URLs have here.
fn spelled(pattern: &str) -> String {
    let base = Url::parse("http://x").ok();
    let (body, end) = pattern.strip_suffix('$').map_or((pattern, ""), |body| (body, "$"));
    // the query of a pattern need not be one of a URL, and a star is no letter of it
    let url = base.and_then(|base| base.join(body).ok()).and_then(normalised);
    match url {
        Some(url) if body.starts_with('/') && !body.starts_with("//") => {
            let query = url.query().map_or_else(String::new, |query| format!("?{query}"));
            let empty = if body.ends_with('?') { "?" } else { "" };
            format!("{}{query}{empty}{end}", url.path())
        }
        _ => pattern.to_owned(),
    }
}

/// Whether `target` begins with the pattern, in which `*` stands for anything and `$` at its end for the end.
fn matches(pattern: &str, target: &str) -> bool {
    let (pattern, whole) = pattern.strip_suffix('$').map_or((pattern, false), |pattern| (pattern, true));
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| target.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return !whole || rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if whole && parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("", "/a", true)]
    #[case::all("User-agent: *\nDisallow: /", "/a", false)]
    #[case::empty_forbids_nothing("User-agent: *\nDisallow:", "/a", true)]
    #[case::prefix("User-agent: *\nDisallow: /pri", "/private", false)]
    #[case::case_matters("User-agent: *\nDisallow: /Private", "/private", true)]
    #[case::longest_wins("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", true)]
    #[case::longest_wins_whatever_the_order("User-agent: *\nAllow: /a/b\nDisallow: /a", "/a/c", false)]
    #[case::allow_wins_a_tie("User-agent: *\nDisallow: /a\nAllow: /a", "/a", true)]
    #[case::star("User-agent: *\nDisallow: /*.gif$", "/x/y.gif", false)]
    #[case::star_and_end("User-agent: *\nDisallow: /*.gif$", "/x/y.gif?z", true)]
    #[case::star_in_the_middle("User-agent: *\nDisallow: /a*c", "/abbc-and-more", false)]
    #[case::query("User-agent: *\nDisallow: /*?print=", "/a?print=1", false)]
    #[case::ours_beats_all("User-agent: *\nDisallow: /\n\nUser-agent: Lexigram-Worker\nDisallow: /x", "/a", true)]
    #[case::ours_is_obeyed("User-agent: *\nAllow: /\n\nUser-agent: lexigram-worker\nDisallow: /x", "/x", false)]
    #[case::ours_with_nothing_forbidden(
        "User-agent: lexigram-worker\nDisallow:\n\nUser-agent: *\nDisallow: /",
        "/a",
        true
    )]
    #[case::groups_of_one_name_are_one("User-agent: *\nDisallow: /a\nUser-agent: *\nDisallow: /b", "/b", false)]
    #[case::two_names_of_one_group("User-agent: x\nUser-agent: *\nDisallow: /a", "/a", false)]
    #[case::another_robot("User-agent: x\nDisallow: /", "/a", true)]
    #[case::other_lines("User-agent: *\nCrawl-delay: 1\nSitemap: /s\nDisallow: /a # why", "/a", false)]
    #[case::windows("\u{feff}user-agent : *\r\ndisallow : /a\r\n", "/a", false)]
    #[case::spelling("User-agent: *\nDisallow: /%61%c3%a4", "/aä", false)]
    #[case::spelling_of_others("User-agent: *\nDisallow: /ä", "/%C3%A4", false)]
    fn rules(#[case] file: &str, #[case] path: &str, #[case] allowed: bool) {
        let url = Url::parse("https://x.example").unwrap().join(path).unwrap();
        assert_eq!(Robots::parse(file).allow(&normalised(url).unwrap()), allowed);
    }
}
