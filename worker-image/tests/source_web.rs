//! Web sites whose documents are found by sitemaps or links, against a real server.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::Write;

use common::{
    arrivals::{self, mirror, run},
    job::Job,
    web::WebServer,
};
use flate2::{Compression, write::GzEncoder};
use futures::StreamExt;
use lexigram_api::{
    contract::{ExitCode, Mode, SourceLocation},
    source::{Crawl, Follow},
};
use lexigram_worker::source;

fn sitemap() -> Option<Crawl> {
    Some(Crawl { follow: Follow::Sitemap, link_depth: 1, max_documents: 100 })
}

fn links(link_depth: i32) -> Option<Crawl> {
    Some(Crawl { follow: Follow::Links, link_depth, max_documents: 100 })
}

/// Paths of documents that have chunks.
fn searchable(job: &Job, server: &WebServer) -> Vec<String> {
    server.paths(arrivals::searchable(job))
}

/// Paths in the order in which they are listed.
async fn listed(job: &Job, server: &WebServer) -> Vec<String> {
    let source = source::open(&job.task).unwrap();
    let names: Vec<String> = source.list().map(|listed| listed.unwrap().name).collect().await;
    server.paths(names)
}

fn downloads(log: &[String]) -> Vec<&str> {
    log.iter().filter_map(|line| line.strip_prefix("GET ")).collect()
}

/// A site with an index of two sitemaps, one of them gzipped, and a page that robots must not read.
async fn site_with_sitemaps() -> WebServer {
    let server = WebServer::start().await;
    server.file("/robots.txt", "User-agent: *\nDisallow: /private\n");
    server.file(
        "/sitemap.xml",
        "<sitemapindex><sitemap><loc>{origin}/maps/1.xml</loc></sitemap>
            <sitemap><loc>{origin}/maps/2.xml.gz</loc></sitemap>
            <sitemap><loc>{origin}/sitemap.xml</loc></sitemap></sitemapindex>",
    );
    server.file(
        "/maps/1.xml",
        "<urlset><url><loc>{origin}/a.html</loc></url><url><loc>{origin}/a.html#again</loc></url>
            <url><loc>{origin}/private/secret.html</loc></url><url><loc>http://other.example/x.html</loc></url></urlset>",
    );
    let mut gzipped = GzEncoder::new(Vec::new(), Compression::default());
    let map =
        format!("<urlset><url><loc>{0}/b.html</loc></url><url><loc>{0}/c.txt</loc></url></urlset>", server.origin);
    gzipped.write_all(map.as_bytes()).unwrap();
    server.bytes("/maps/2.xml.gz", gzipped.finish().unwrap());
    for path in ["/a.html", "/b.html", "/private/secret.html", "/unlisted.html"] {
        server.file(path, &format!("<p>text of {path}</p><a href=/unlisted.html>more</a>"));
    }
    server.file("/c.txt", "plain text");
    server
}

#[tokio::test]
async fn what_sitemaps_list_arrives_and_nothing_else() {
    let server = site_with_sitemaps().await;
    let job = mirror(server.source(&["/sitemap.xml"], sitemap()));
    assert_eq!(run(&job, "r1").await.items.done, 3);
    assert_eq!(searchable(&job, &server), ["/a.html", "/b.html", "/c.txt"]);
    let log = server.take_log();
    assert!(log.iter().all(|line| !line.contains("private") && !line.contains("unlisted")), "{log:?}");
}

#[tokio::test]
async fn pages_of_a_sitemap_that_did_not_change_are_not_downloaded_again() {
    let server = site_with_sitemaps().await;
    let job = mirror(server.source(&["/sitemap.xml"], sitemap()));
    run(&job, "r1").await;
    server.take_log();
    assert_eq!(run(&job, "r2").await.items.skipped, 3);
    let maps = ["/maps/1.xml", "/maps/2.xml.gz", "/robots.txt", "/sitemap.xml"];
    assert_eq!(downloads(&server.take_log()), maps);
    server.file("/b.html", "<p>another text</p>");
    server.file("/maps/1.xml", "<urlset></urlset>");
    let items = run(&job, "r3").await.items;
    assert_eq!((items.done, items.skipped, items.deleted), (1, 1, 1));
    assert_eq!(searchable(&job, &server), ["/b.html", "/c.txt"]);
    assert!(downloads(&server.take_log()).contains(&"/b.html"));
}

#[tokio::test]
async fn a_sitemap_that_is_not_there_or_none_removes_nothing_and_says_so() {
    let server = site_with_sitemaps().await;
    let job = mirror(server.source(&["/sitemap.xml"], sitemap()));
    run(&job, "r1").await;
    server.file("/maps/2.xml.gz", "<html>moved</html>");
    let ended = job.run_of_task("r2", Mode::Full).await;
    let error = ended.report.error.unwrap();
    assert_eq!(error.reason, "ListingPartial");
    assert!(error.message.contains("no sitemap at /maps/2.xml.gz"), "{}", error.message);
    assert_eq!(searchable(&job, &server).len(), 3);
}

/// Pages that link to each other, some of them in other folders.
async fn site_with_links() -> WebServer {
    let server = WebServer::start().await;
    server.file("/robots.txt", "User-agent: *\nDisallow: /docs/drafts/\n");
    server.file(
        "/docs/index.html",
        "<p>start</p><a href=two.html>2</a><a href='one.html#part'>1</a><a href=./one.html>1</a><a href=/blog/>out</a>
            <a href=drafts/d.html>draft</a><a href=moved>moved</a><a href=gone.html>gone</a><a href=away>away</a>
            <a href=http://169.254.169.254/latest/meta-data/>metadata</a><a href=mailto:a@x.example>mail</a>
            <a rel=nofollow href=hidden.html>hidden</a><a href=log/noise.html>noise</a>",
    );
    server.file(
        "/docs/one.html",
        "<p>one</p><a href=index.html>back</a><a href=sub/three.html>3</a><a href=paper.txt>4</a>",
    );
    server.file("/docs/two.html", "<meta name=robots content=noindex><a href=five.html>5</a>");
    server.file("/docs/sub/three.html", "<p>three</p><a href=six.html>6</a>");
    server.redirect("/docs/moved", "/docs/one.html");
    server.redirect("/docs/away", "/blog/");
    for path in [
        "/docs/five.html",
        "/docs/sub/six.html",
        "/docs/drafts/d.html",
        "/docs/hidden.html",
        "/docs/log/noise.html",
        "/blog/",
    ] {
        server.file(path, &format!("<p>text of {path}</p>"));
    }
    server.file("/docs/paper.txt", "plain text");
    server
}

#[tokio::test]
async fn links_are_followed_within_the_folder_level_by_level_each_page_once() {
    let server = site_with_links().await;
    let mut job = mirror(server.source(&["/docs/index.html"], links(2)));
    job.task.exclude = vec!["**/log/**".to_owned()];
    let expected = ["/docs/index.html", "/docs/one.html", "/docs/five.html", "/docs/sub/three.html", "/docs/paper.txt"];
    assert_eq!(listed(&job, &server).await, expected);
    let log = server.take_log();
    let pages = log.iter().filter(|line| *line == "GET /docs/one.html").count();
    // by its link, and by the redirect that leads there
    assert_eq!(pages, 2, "{log:?}");
    for left_out in ["drafts", "hidden", "noise"] {
        assert!(log.iter().all(|line| !line.contains(left_out)), "{log:?}");
    }
    assert_eq!(listed(&job, &server).await, expected, "the order is another one the second time");
    assert_eq!(run(&job, "r1").await.items.done, 5);
    assert_eq!(run(&job, "r2").await.items.skipped, 5);
}

#[tokio::test]
async fn the_depth_ends_the_way() {
    let server = site_with_links().await;
    let shallow = mirror(server.source(&["/docs/index.html"], links(1)));
    let pages = listed(&shallow, &server).await;
    assert_eq!(pages, ["/docs/index.html", "/docs/one.html", "/docs/log/noise.html"]);
    let deep = mirror(server.source(&["/docs/index.html"], links(3)));
    assert!(listed(&deep, &server).await.contains(&"/docs/sub/six.html".to_owned()));
}

#[tokio::test]
async fn include_takes_documents_and_not_the_way_to_them() {
    let server = site_with_links().await;
    let mut job = mirror(server.source(&["/docs/index.html"], links(2)));
    job.task.include = vec!["**/*.txt".to_owned()];
    assert_eq!(listed(&job, &server).await, ["/docs/paper.txt"]);
}

#[tokio::test]
async fn a_site_with_more_pages_than_asked_for_is_ingested_so_far_and_the_run_says_so() {
    let server = site_with_links().await;
    let mut job = mirror(server.source(&["/docs/index.html"], links(3)));
    run(&job, "r1").await;
    let before = searchable(&job, &server);
    let SourceLocation::Http { crawl: Some(crawl), .. } = &mut job.task.source else { unreachable!() };
    crawl.max_documents = 6;
    let ended = job.run_of_task("r2", Mode::Full).await;
    let error = ended.report.error.unwrap();
    assert_eq!(ended.exit, ExitCode::Configuration);
    assert!(
        error.message.contains("spec.source.http.crawl.maxDocuments: the site has more than 6"),
        "{}",
        error.message
    );
    assert_eq!(searchable(&job, &server), before);
}

#[tokio::test]
async fn a_page_that_fails_removes_nothing_and_a_page_that_is_gone_goes() {
    let server = site_with_links().await;
    let job = mirror(server.source(&["/docs/index.html"], links(3)));
    run(&job, "r1").await;
    let before = searchable(&job, &server);
    // what it leads to cannot be found any more
    server.fail("/docs/one.html", 500);
    let ended = job.run_of_task("r2", Mode::Full).await;
    assert_eq!((ended.exit, ended.report.error.unwrap().reason.as_str()), (ExitCode::Retryable, "ListingPartial"));
    assert_eq!(searchable(&job, &server), before);
    server.remove("/docs/one.html");
    assert_eq!(run(&job, "r3").await.items.deleted, 4);
}

#[tokio::test]
async fn a_site_whose_robots_file_cannot_be_read_is_not_crawled() {
    let server = site_with_links().await;
    server.fail("/robots.txt", 503);
    let ended = mirror(server.source(&["/docs/index.html"], links(1))).run_of_task("r1", Mode::Full).await;
    assert_eq!((ended.exit, ended.report.error.unwrap().reason.as_str()), (ExitCode::Retryable, "SourceServerError"));
    assert!(server.take_log().iter().all(|line| line == "GET /robots.txt"));
}

#[tokio::test]
async fn single_documents_that_did_not_change_are_not_downloaded_again() {
    let server = WebServer::start().await;
    server.file("/a.txt", "one");
    server.file("/b.txt", "two");
    let job = mirror(server.source(&["/a.txt", "/b.txt"], None));
    assert_eq!(run(&job, "r1").await.items.done, 2);
    server.take_log();
    server.file("/b.txt", "changed");
    let items = run(&job, "r2").await.items;
    assert_eq!((items.done, items.skipped), (1, 1));
    assert_eq!(downloads(&server.take_log()), ["/b.txt"]);
}
