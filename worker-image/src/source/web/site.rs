//! A web site whose documents are found on the way: by its sitemaps, or by links. Sends HTTP requests.
//!
//! The order is always the same: sitemaps and their entries as they come; links level by level, each page's in their
//! order. Each page is read once. A page that is not there is left out; where a server fails, the listing has an error,
//! since nobody knows what it would have led to.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry};

use futures::{FutureExt, StreamExt, stream};
use lexigram_api::{
    failure::FailureCategory,
    source::{Crawl, Follow},
};
use reqwest::{Method, Url, header::CONTENT_TYPE};
use tokio::sync::mpsc::Sender;

use super::{
    CONCURRENCY, answer,
    client::{Client, parse, read, read_some},
    links, robots,
    robots::Robots,
    scope::{Scope, normalised},
    sitemap,
};
use crate::{
    failure::Classified,
    source::{Listed, SourceError, names::NameFilter, patience::patiently},
};

/// Most bytes of a page that are looked at for links.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Where found documents go. A receiver that is no longer there has ended the listing.
pub(super) type Found = Sender<Result<Listed, SourceError>>;

/// A site, and how its documents are found.
pub(super) struct Site {
    starts: Vec<Url>,
    scope: Scope,
    crawl: Crawl,
}

/// A page that was looked at.
struct Visit {
    /// Where it stands, redirects followed.
    url: Url,
    version: Option<String>,
    page: links::Page,
}

impl Site {
    pub(super) fn new(urls: &[String], crawl: &Crawl) -> Result<Self, SourceError> {
        let start = |url: &String| {
            normalised(parse(url)?).ok_or_else(|| SourceError::Url { problem: "no address of a web server".to_owned() })
        };
        let starts = urls.iter().map(start).collect::<Result<Vec<_>, _>>()?;
        let scope = match crawl.follow {
            Follow::Sitemap => Scope::sites_of(&starts),
            Follow::Links => Scope::folders_of(&starts),
        };
        Ok(Self { starts, scope, crawl: crawl.clone() })
    }

    /// Whether a document of that URL can be one of the site's.
    pub(super) fn contains(&self, url: &Url) -> bool {
        self.scope.contains(url)
    }

    /// Finds every document.
    pub(super) async fn find(&self, client: &Client, filter: &NameFilter, found: &Found) {
        let result = match self.crawl.follow {
            Follow::Sitemap => self.read_sitemaps(client, filter, found).await,
            Follow::Links => self.follow_links(client, filter, found).await,
        };
        if let Err(error) = result {
            let _nobody_listens = found.send(Err(error)).await;
        }
    }

    async fn read_sitemaps(&self, client: &Client, filter: &NameFilter, found: &Found) -> Result<(), SourceError> {
        let robots = self.robots(client).await?;
        let mut waiting: VecDeque<Url> = self.starts.iter().cloned().collect();
        let (mut maps, mut seen) = (BTreeSet::new(), BTreeSet::new());
        while let Some(map) = waiting.pop_front() {
            if !maps.insert(map.clone()) {
                continue;
            }
            self.bound(maps.len())?;
            let configured = self.starts.contains(&map);
            let fetched = patiently(|| sitemap_at(client, &map, configured).boxed()).await?;
            let listed = sitemap::read(&fetched).map_err(|problem| SourceError::Rejected {
                answer: format!("with no sitemap at {}: {problem}", map.path()),
            })?;
            waiting.extend(listed.sitemaps.into_iter().filter(|map| self.contains(map)));
            let mut pages = Vec::new();
            for page in listed.pages {
                let wanted = self.contains(&page) && filter.accepts(page.as_str()) && allowed(&robots, &page);
                if wanted && seen.insert(page.clone()) {
                    self.bound(seen.len())?;
                    pages.push(page);
                }
            }
            let mut looks = stream::iter(pages).map(|page| super::look(client, page.into())).buffered(CONCURRENCY);
            while let Some(listed) = looks.next().await {
                if found.send(Ok(listed)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn follow_links(&self, client: &Client, filter: &NameFilter, found: &Found) -> Result<(), SourceError> {
        let robots = self.robots(client).await?;
        // URLs that were or will be asked for, and those at which a page stood
        let (mut seen, mut stood) = (BTreeSet::new(), BTreeSet::new());
        let mut level: Vec<Url> = Vec::new();
        for start in &self.starts {
            if allowed(&robots, start) && seen.insert(start.clone()) {
                level.push(start.clone());
            }
        }
        for depth in 0..=self.crawl.link_depth {
            let mut next = Vec::new();
            let visit = |url| self.visit(client, url, depth == 0, depth < self.crawl.link_depth);
            let mut visits = stream::iter(std::mem::take(&mut level)).map(visit).buffered(CONCURRENCY);
            while let Some(visit) = visits.next().await {
                let visit = match visit {
                    Ok(Some(visit)) => visit,
                    Ok(None) => continue,
                    // the rest of the site is found all the same
                    Err(error) => match found.send(Err(error)).await {
                        Ok(()) => continue,
                        Err(_) => return Ok(()),
                    },
                };
                if !self.contains(&visit.url) || !allowed(&robots, &visit.url) || !stood.insert(visit.url.clone()) {
                    continue;
                }
                seen.insert(visit.url.clone());
                for link in visit.page.links {
                    let wanted = self.contains(&link) && !filter.excludes(link.as_str()) && allowed(&robots, &link);
                    if wanted && seen.insert(link.clone()) {
                        self.bound(seen.len())?;
                        next.push(link);
                    }
                }
                let name = String::from(visit.url);
                if !visit.page.no_index && filter.accepts(&name) {
                    let listed = Listed { name, version: visit.version };
                    if found.send(Ok(listed)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            drop(visits);
            level = next;
        }
        Ok(())
    }

    /// Looks at a page, and reads its links if they are to be followed. Nothing where there is no page.
    async fn visit(&self, client: &Client, url: Url, start: bool, follow: bool) -> Result<Option<Visit>, SourceError> {
        match patiently(|| visit_once(client, &url, start, follow).boxed()).await {
            Ok(visit) => Ok(Some(visit)),
            // a link that leads nowhere, and what is not for everybody
            Err(error) if !start && is_no_page(&error) => {
                tracing::debug!(path = url.path(), "left out: {error}");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The rules of every server that the site has. One that does not answer forbids everything (RFC 9309, 2.3.1.4),
    /// which is no statement about documents: the listing fails.
    async fn robots(&self, client: &Client) -> Result<BTreeMap<String, Robots>, SourceError> {
        let mut all = BTreeMap::new();
        for start in &self.starts {
            let origin = start.origin().ascii_serialization();
            if let Entry::Vacant(vacant) = all.entry(origin) {
                vacant.insert(patiently(|| robots_of(client, start).boxed()).await?);
            }
        }
        Ok(all)
    }

    fn bound(&self, pages: usize) -> Result<(), SourceError> {
        match pages > usize::try_from(self.crawl.max_documents).unwrap_or(0) {
            true => Err(SourceError::TooManyDocuments { limit: self.crawl.max_documents }),
            false => Ok(()),
        }
    }
}

fn allowed(robots: &BTreeMap<String, Robots>, url: &Url) -> bool {
    robots.get(&url.origin().ascii_serialization()).is_none_or(|robots| robots.allow(url))
}

/// Whether an error says of a page that there is none to be had.
fn is_no_page(error: &SourceError) -> bool {
    matches!(error.category(), FailureCategory::InvalidInput | FailureCategory::Authentication)
}

async fn sitemap_at(client: &Client, url: &Url, configured: bool) -> Result<Vec<u8>, SourceError> {
    let answer = client.request(&Method::GET, url, configured).await?;
    read(answer.response, sitemap::MOST_BYTES).await
}

async fn visit_once(client: &Client, url: &Url, start: bool, follow: bool) -> Result<Visit, SourceError> {
    let answer = client.request(&Method::GET, url, start).await?;
    let url = normalised(answer.url).unwrap_or_else(|| url.clone());
    let headers = answer.response.headers();
    let version = answer::version(headers);
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let html = matches!(media_type.as_str(), "text/html" | "application/xhtml+xml");
    let mut page = match html {
        true => links::read(&read_some(answer.response, PAGE_BYTES).await?, &url),
        false => links::Page::default(),
    };
    if !follow {
        page.links.clear();
    }
    Ok(Visit { url, version, page })
}

/// The rules of a server: its file, none where it has no such file.
async fn robots_of(client: &Client, start: &Url) -> Result<Robots, SourceError> {
    let url = start.join("/robots.txt").map_err(|error| SourceError::Url { problem: error.to_string() })?;
    match client.request(&Method::GET, &url, true).await {
        Ok(answer) => {
            let file = read_some(answer.response, robots::MOST_BYTES).await?;
            Ok(Robots::parse(&String::from_utf8_lossy(&file)))
        }
        // any 4xx (RFC 9309, 2.3.1.3), and redirects without end
        Err(error) if is_no_page(&error) => Ok(Robots::default()),
        Err(error) => Err(error),
    }
}
