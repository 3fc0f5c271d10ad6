//! Sitemaps by the protocol of sitemaps.org: lists of pages, and indexes of such lists, plain or gzipped. Pure.

use std::io::Read;

use flate2::read::GzDecoder;
use quick_xml::{Reader, events::Event};
use reqwest::Url;

use super::scope::normalised;

/// Most bytes of a sitemap, as the protocol has it; the same again for what a gzipped one expands to.
pub(super) const MOST_BYTES: u64 = 50 * 1024 * 1024;
/// Most URLs of a sitemap, as the protocol has it.
const MOST_URLS: usize = 50_000;

/// What a sitemap holds, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sitemap {
    /// Pages.
    pub(super) pages: Vec<Url>,
    /// Further sitemaps.
    pub(super) sitemaps: Vec<Url>,
}

/// Reads a sitemap.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(content: &[u8]) -> Result<Sitemap, String> {
    if !content.starts_with(&[0x1f, 0x8b]) {
        return parse(&String::from_utf8_lossy(content));
    }
    let mut expanded = Vec::new();
    let mut decoder = GzDecoder::new(content).take(MOST_BYTES + 1);
    decoder.read_to_end(&mut expanded).map_err(|error| format!("it cannot be unpacked: {error}"))?;
    if u64::try_from(expanded.len()).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err(format!("it unpacks to more than {MOST_BYTES} bytes"));
    }
    parse(&String::from_utf8_lossy(&expanded))
}

fn parse(xml: &str) -> Result<Sitemap, String> {
    let mut reader = Reader::from_str(xml.trim_start_matches('\u{feff}'));
    let (mut sitemap, mut path, mut known) = (Sitemap::default(), Vec::<Vec<u8>>::new(), false);
    loop {
        match reader.read_event().map_err(|error| format!("it is no XML: {error}"))? {
            Event::Start(start) => {
                let name = start.name().as_ref().to_vec();
                let parents: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
                known |= parents.is_empty() && matches!(name.as_slice(), b"urlset" | b"sitemapindex");
                // `image:loc` and the like have another name
                let list = match (parents.as_slice(), name.as_slice()) {
                    ([b"urlset", b"url"], b"loc") => Some(&mut sitemap.pages),
                    ([b"sitemapindex", b"sitemap"], b"loc") => Some(&mut sitemap.sitemaps),
                    _ => None,
                };
                match list {
                    Some(list) => {
                        let text = reader.read_text(start.name()).map_err(|error| format!("it is no XML: {error}"))?;
                        let text = text.decode().map_err(|error| error.to_string())?;
                        list.extend(Url::parse(&plain(text.trim())?).ok().and_then(normalised));
                        if list.len() > MOST_URLS {
                            return Err(format!("it has more than {MOST_URLS} entries"));
                        }
                    }
                    // deeper ones are of no interest, and must not make the path endless
                    None if path.len() > 8 => return Err("it nests too deep".to_owned()),
                    None => path.push(name),
                }
            }
            Event::End(_) => {
                path.pop();
            }
            Event::Eof if known => return Ok(sitemap),
            Event::Eof => return Err("it has neither <urlset> nor <sitemapindex>".to_owned()),
            _ => {}
        }
    }
}

/// The text that XML stands for.
fn plain(xml: &str) -> Result<String, String> {
    match xml.strip_prefix("<![CDATA[").and_then(|text| text.strip_suffix("]]>")) {
        Some(text) => Ok(text.trim().to_owned()),
        None => quick_xml::escape::unescape(xml).map(String::from).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use rstest::rstest;

    use super::*;

    const URLSET: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
        <urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://x">
        <url><loc> https://x.example/a?b=1&amp;c=2#d </loc><lastmod>2026-01-01</lastmod>
            <image:image><image:loc>https://x.example/i.png</image:loc></image:image></url>
        <url><loc><![CDATA[https://x.example/b]]></loc></url><url><loc>no URL</loc></url></urlset>"#;

    fn pages() -> Vec<Url> {
        ["https://x.example/a?b=1&c=2", "https://x.example/b"].map(|url| url.parse().unwrap()).to_vec()
    }

    #[test]
    fn pages_are_listed() {
        assert_eq!(read(URLSET.as_bytes()).unwrap(), Sitemap { pages: pages(), sitemaps: Vec::new() });
    }

    #[test]
    fn a_gzipped_one_is_unpacked() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(URLSET.as_bytes()).unwrap();
        assert_eq!(read(&encoder.finish().unwrap()).unwrap().pages, pages());
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&vec![b' '; 51 * 1024 * 1024]).unwrap();
        assert_eq!(read(&encoder.finish().unwrap()), Err("it unpacks to more than 52428800 bytes".to_owned()));
    }

    #[test]
    fn an_index_names_others() {
        let index = "<sitemapindex><sitemap><loc>https://x.example/1.xml.gz</loc></sitemap></sitemapindex>";
        assert_eq!(read(index.as_bytes()).unwrap().sitemaps, ["https://x.example/1.xml.gz".parse().unwrap()]);
    }

    #[rstest]
    #[case("<html><body>Not found</body></html>", "neither <urlset> nor")]
    #[case("<urlset><url></urlset>", "no XML")]
    #[case("", "neither <urlset> nor")]
    fn what_is_no_sitemap_is_told(#[case] content: &str, #[case] problem: &str) {
        let error = read(content.as_bytes()).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
}
