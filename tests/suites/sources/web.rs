//! Web sites: their pages are found by links and by sitemaps, as far as robots may read them.

use std::collections::BTreeSet;

use lexigram_api::resource::ConditionType;
use lexigram_tests::{Answer, FaultServer, WebServer, sandbox};
use serde_json::json;

use crate::counts;

#[test]
fn a_site_is_ingested_by_its_links_as_far_as_robots_may_read_it() {
    sandbox(json!({}), async |it| {
        let server = FaultServer::start(&it.client).await;
        let html = |text: &str| [Answer::Html(text.to_owned())];
        server.serve("/robots.txt", [Answer::Text("User-agent: *\nDisallow: /site/private".to_owned())]);
        let start = server.serve(
            "/site/",
            html(
                "<p>Welcome.</p><a href=otters.html>otters</a><a href=private.html>private</a><a href=/other>other</a>",
            ),
        );
        let otters = server.serve("/site/otters.html", html("<p>Otters hold hands while they sleep.</p>"));
        server.serve("/site/private.html", html("<p>Nobody reads this.</p>"));
        server.serve("/other", html("<p>Elsewhere.</p>"));
        it.ingest("site", json!({"source": {"http": {"urls": [start], "crawl": {"follow": "Links"}}}})).await;
        let job = it.until_true("site", ConditionType::Complete).await;
        assert_eq!(counts(&job), [2, 0, 0, 0]);
        assert_eq!(it.search("site", "animals at rest in the water", 1).await[0].document, otters);
    });
}

#[test]
fn a_sitemap_is_ingested_but_for_what_robots_may_not_read_and_what_is_elsewhere() {
    sandbox(json!({}), async |it| {
        let page = |name: &str| WebServer::url(it, &format!("/{name}"));
        let listed =
            [page("otters.html"), page("bread.html"), page("private.html"), "http://elsewhere.example/".to_owned()];
        let entries: String = listed.iter().map(|url| format!("<url><loc>{url}</loc></url>")).collect();
        let sitemap = format!("<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">{entries}</urlset>");
        let web = [
            ("robots.txt", "User-agent: *\nDisallow: /private".to_owned()),
            ("sitemap.xml", sitemap),
            ("otters.html", "<p>Otters hold hands while they sleep.</p>".to_owned()),
            ("bread.html", "<p>Dough rises in a warm place.</p>".to_owned()),
            ("private.html", "<p>Otters are watched at night.</p>".to_owned()),
        ];
        WebServer::start(it, &web).await;
        let source = json!({"http": {"urls": [page("sitemap.xml")], "crawl": {"follow": "Sitemap"}}});
        it.ingest("site", json!({"source": source})).await;
        assert_eq!(counts(&it.until_true("site", ConditionType::Complete).await), [2, 0, 0, 0]);
        let names: BTreeSet<String> = it.documents("site").await.into_iter().map(|row| row.document).collect();
        assert_eq!(names, [page("otters.html"), page("bread.html")].into());
        assert_eq!(it.search("site", "animals at rest in the water", 1).await[0].document, page("otters.html"));

        // the server tells that nothing has changed
        let asked = it.jobs().request_run("site").await;
        assert_eq!(counts(&it.jobs().until_run("site", &asked).await), [0, 0, 2, 0]);
    });
}
