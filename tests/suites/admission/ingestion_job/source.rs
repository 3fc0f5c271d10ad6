//! Where documents come from.

use lexigram_api::resource::IngestionJob;
use lexigram_tests::bare;
use serde_json::{Value, json};

use super::{super::asked, spec};

fn source(source: Value) -> Value {
    json!({"source": source})
}

fn inline(names: &[&str]) -> Value {
    source(json!({"inline": names.iter().map(|name| json!({"name": name, "text": "Hello."})).collect::<Vec<_>>()}))
}

#[test]
fn good_sources_are_accepted() {
    let urls = json!(["https://example.com/a", "http://example.com/b"]);
    let cases = [
        ("a ConfigMap", source(json!({"configMap": {"name": "docs"}}))),
        ("a claim", source(json!({"persistentVolumeClaim": {"claimName": "docs"}}))),
        ("a folder of a claim", source(json!({"persistentVolumeClaim": {"claimName": "docs", "path": "a/..b/c"}}))),
        ("URLs", source(json!({"http": {"urls": urls, "headersSecretRef": {"name": "token"}}}))),
        (
            "URLs at local addresses",
            source(json!({"http": {
                "urls": ["http://169.254.169.254/a"], "allowLocalAddresses": true,
                "caBundleConfigMapRef": {"name": "ca", "key": "root.pem"},
            }})),
        ),
        (
            "the sitemaps of a site",
            source(json!({"http": {"urls": ["https://example.com/sitemap.xml"], "crawl": {"follow": "Sitemap"}}})),
        ),
        (
            "as long a way as may be",
            source(json!({"http": {
                "urls": ["https://example.com/"], "crawl": {"follow": "Links", "linkDepth": 20, "maxDocuments": 100_000},
            }})),
        ),
        ("a bucket", source(json!({"s3": {"bucket": "docs"}}))),
        (
            "a bucket elsewhere",
            source(json!({"s3": {
                "bucket": "Team_docs.v2", "prefix": "a b/", "region": "eu-west-1", "endpoint": "https://minio.example.com:9000",
                "pathStyle": false, "credentialsSecretRef": {"name": "keys"}, "allowLocalAddresses": true,
                "caBundleConfigMapRef": {"name": "ca"},
            }})),
        ),
        ("a repository", source(json!({"git": {"url": "https://git.example.com/docs.git"}}))),
        (
            "a folder of a tag",
            source(json!({"git": {
                "url": "http://git.example.com/docs", "ref": "release/v1.0+2", "path": "a/..b/c",
                "credentialsSecretRef": {"name": "login"}, "allowLocalAddresses": true, "caBundleConfigMapRef": {"name": "ca"},
            }})),
        ),
        ("many inline documents", inline(&["a", "b c", "d\ne"])),
        (
            "as many inline characters as may be",
            source(json!({"inline": [
                {"name": "a", "text": "ä".repeat(65_536)}, {"name": "b", "text": "ä".repeat(65_536)},
            ]})),
        ),
        ("globs", source(json!({"configMap": {"name": "docs"}, "include": ["**/*.md"], "exclude": ["draft*"]}))),
    ];
    bare(async |it| asked::accepted::<IngestionJob>(it, cases).await);
}

#[test]
fn bad_sources_are_refused_with_the_field_and_the_fix() {
    let claim = |path: &str| source(json!({"persistentVolumeClaim": {"claimName": "docs", "path": path}}));
    // each with what the message has to say
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("no source", spec(json!({"source": null})), &["spec.source: Required value"]),
        (
            "an empty source",
            source(json!({})),
            &["spec.source: set exactly one of configMap, persistentVolumeClaim, http, s3, git and inline"],
        ),
        ("globs without a source", source(json!({"include": ["*"]})), &["spec.source: set exactly one of"]),
        (
            "two sources",
            source(json!({"configMap": {"name": "docs"}, "http": {"urls": ["https://example.com"]}})),
            &["spec.source: set exactly one of"],
        ),
        (
            "a ConfigMap without a name",
            source(json!({"configMap": {"name": ""}})),
            &["spec.source.configMap.name", "at least 1 chars long"],
        ),
        (
            "a claim without a name",
            source(json!({"persistentVolumeClaim": {}})),
            &["spec.source.persistentVolumeClaim.claimName: Required value"],
        ),
        (
            "an absolute path",
            claim("/docs"),
            &["spec.source.persistentVolumeClaim.path: must be relative and free of '..', for instance 'docs/manuals'"],
        ),
        ("a path that climbs", claim("docs/../.."), &["spec.source.persistentVolumeClaim.path: must be relative"]),
        ("no URL", source(json!({"http": {"urls": []}})), &["spec.source.http.urls", "at least 1 items"]),
        (
            "a URL of another scheme",
            source(json!({"http": {"urls": ["https://example.com", "ftp://example.com/a"]}})),
            &["spec.source.http.urls: every URL must begin with http:// or https://"],
        ),
        (
            "a Secret without a name",
            source(json!({"http": {"urls": ["https://example.com"], "headersSecretRef": {"name": ""}}})),
            &["headersSecretRef.name", "at least 1 chars long"],
        ),
        (
            "a site without a way",
            source(json!({"http": {"urls": ["https://example.com"], "crawl": {}}})),
            &["spec.source.http.crawl.follow: Required value"],
        ),
        (
            "an unknown way",
            source(json!({"http": {"urls": ["https://example.com"], "crawl": {"follow": "Robots"}}})),
            &["spec.source.http.crawl.follow", "\"Sitemap\", \"Links\""],
        ),
        (
            "too long a way",
            source(json!({"http": {"urls": ["https://example.com"], "crawl": {"follow": "Links", "linkDepth": 21}}})),
            &["spec.source.http.crawl.linkDepth", "less than or equal to 20"],
        ),
        (
            "too many pages",
            source(json!({"http": {
                "urls": ["https://example.com"], "crawl": {"follow": "Links", "maxDocuments": 100_001},
            }})),
            &["spec.source.http.crawl.maxDocuments", "less than or equal to 100000"],
        ),
        ("no bucket", source(json!({"s3": {"prefix": "a/"}})), &["spec.source.s3.bucket: Required value"]),
        (
            "a bucket with a path",
            source(json!({"s3": {"bucket": "docs/a"}})),
            &["spec.source.s3.bucket", "should match"],
        ),
        (
            "a region that is a host",
            source(json!({"s3": {"bucket": "docs", "region": "eu.example.com"}})),
            &["spec.source.s3.region", "should match"],
        ),
        (
            "a password in a URL",
            source(json!({"http": {"urls": ["https://docs.example.com/a@b", "https://me:secret@docs.example.com/a"]}})),
            &["spec.source.http.urls: a URL must hold no user or password"],
        ),
        (
            "an endpoint without scheme",
            source(json!({"s3": {"bucket": "docs", "endpoint": "minio.example.com"}})),
            &["spec.source.s3.endpoint: must begin with http:// or https://, for instance"],
        ),
        (
            "a password in the endpoint",
            source(json!({"s3": {"bucket": "docs", "endpoint": "https://me:secret@minio.example.com"}})),
            &["spec.source.s3.endpoint: must hold no user or password"],
        ),
        (
            "a Secret of a bucket without a name",
            source(json!({"s3": {"bucket": "docs", "credentialsSecretRef": {}}})),
            &["spec.source.s3.credentialsSecretRef.name: Required value"],
        ),
        ("no repository", source(json!({"git": {"ref": "main"}})), &["spec.source.git.url: Required value"]),
        (
            "a repository over SSH",
            source(json!({"git": {"url": "ssh://git.example.com/docs.git"}})),
            &["spec.source.git.url: must begin with https:// or http://"],
        ),
        (
            "a token in the URL of a repository",
            source(json!({"git": {"url": "https://token@git.example.com/docs.git"}})),
            &["spec.source.git.url: must hold no user or password"],
        ),
        (
            "a ref that is an option",
            source(json!({"git": {"url": "https://git.example.com/docs.git", "ref": "--all"}})),
            &["spec.source.git.ref", "should match"],
        ),
        (
            "an absolute path of a repository",
            source(json!({"git": {"url": "https://git.example.com/docs.git", "path": "/docs"}})),
            &["spec.source.git.path: must be relative and free of '..'"],
        ),
        (
            "a path that climbs out of a repository",
            source(json!({"git": {"url": "https://git.example.com/docs.git", "path": "docs/../.."}})),
            &["spec.source.git.path: must be relative and free of '..'"],
        ),
        ("no inline document", inline(&[]), &["spec.source.inline", "at least 1 items"]),
        ("an inline document without a name", inline(&[""]), &["spec.source.inline[0].name", "at least 1 chars long"]),
        (
            "a name twice",
            inline(&["a.md", "b.md", "a.md"]),
            &["spec.source.inline: names must differ; give each document a name of its own"],
        ),
        (
            "a long inline document",
            source(json!({"inline": [{"name": "a", "text": "x".repeat(65_537)}]})),
            &["spec.source.inline[0].text", "65536"],
        ),
        (
            "long inline documents",
            source(json!({"inline": [
                {"name": "a", "text": "x".repeat(65_536)}, {"name": "b", "text": "x".repeat(65_536)}, {"name": "c", "text": "x"},
            ]})),
            &["spec.source.inline: at most 131072 characters in all; put larger documents into a ConfigMap or a claim"],
        ),
        (
            "an empty glob",
            source(json!({"configMap": {"name": "docs"}, "include": [""]})),
            &["spec.source.include[0]", "at least 1 chars long"],
        ),
    ];
    bare(async |it| asked::refused::<IngestionJob>(it, cases).await);
}
