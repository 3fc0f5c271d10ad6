//! Progress in Prometheus' words. No I/O.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use super::Tracker;

/// Reads the tracker whenever somebody asks.
#[derive(Debug)]
struct RunCollector(Arc<Tracker>);

impl Collector for RunCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let progress = self.0.progress();
        let (counts, documents) = (&progress.counts, &progress.counts.items);
        let listed = ConstGauge::new(i64::from(documents.total));
        let help = "Documents that the source listed for this run";
        listed.encode(encoder.encode_descriptor("documents_listed", help, None, MetricType::Gauge)?)?;

        let mut results = encoder.encode_descriptor("documents", "Documents by result", None, MetricType::Counter)?;
        for (result, count) in [
            ("done", documents.done),
            ("failed", documents.failed),
            ("skipped", documents.skipped),
            ("deleted", documents.deleted),
        ] {
            ConstCounter::new(unsigned(count.into())).encode(results.encode_family(&[("result", result)])?)?;
        }
        for (name, help, unit, count) in [
            ("chunks", "Chunks written", None, counts.chunks),
            ("cached_vectors", "Vectors that the cache held", None, counts.cached),
            ("embedded_tokens", "Tokens embedded", None, counts.tokens),
            ("fetched", "Bytes of the documents that were ingested", Some(&Unit::Bytes), counts.bytes),
        ] {
            let counter = ConstCounter::new(unsigned(count));
            counter.encode(encoder.encode_descriptor(name, help, unit, MetricType::Counter)?)?;
        }
        if let Some(provider) = &progress.provider {
            let help = "Requests to the embedding server by outcome";
            let mut requests = encoder.encode_descriptor("provider_requests", help, None, MetricType::Counter)?;
            for (outcome, count) in
                [("answered", provider.answered), ("rate_limited", provider.rate_limited), ("failed", provider.failed)]
            {
                let labels = [("outcome", outcome)];
                ConstCounter::new(unsigned(count)).encode(requests.encode_family(&labels)?)?;
            }
            let help = "Time from sending requests to the ends of their answers";
            let unit = Some(&Unit::Seconds);
            let seconds = Duration::from_millis(unsigned(provider.milliseconds)).as_secs_f64();
            let duration = encoder.encode_descriptor("provider_request", help, unit, MetricType::Counter)?;
            ConstCounter::new(seconds).encode(duration)?;
        }
        let help = "Time in which a stage of the pipeline was at work on one item at least";
        let unit = Some(&Unit::Seconds);
        let mut stages = encoder.encode_descriptor("stage_busy", help, unit, MetricType::Counter)?;
        for (stage, time) in self.0.busy_times() {
            let labels = [("stage", stage.as_str())];
            ConstCounter::new(time.as_secs_f64()).encode(stages.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A registry that holds the metrics of one run.
pub(super) fn registry(tracker: Arc<Tracker>) -> Registry {
    let mut registry = Registry::with_prefix("lexigram_worker");
    registry.register_collector(Box::new(RunCollector(tracker)));
    registry
}

/// The metrics as text.
pub(super) fn text(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;
    use lexigram_api::contract::{Counts, ItemCounts, ProviderRequests, StageName};

    use super::*;
    use crate::embed::{Embedder, Outcomes, TokenCounter};

    /// A mock of a provider that has been asked, and cannot be asked again.
    struct AskedMock;

    impl Embedder for AskedMock {
        fn embed(&self, _texts: Vec<String>) -> BoxFuture<'_, Outcomes> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn batch_texts(&self) -> usize {
            1
        }

        fn dimension(&self) -> usize {
            1
        }

        fn max_tokens(&self) -> usize {
            1
        }

        fn tokens(&self) -> Arc<dyn TokenCounter> {
            unimplemented!("no text is counted")
        }

        fn fingerprint(&self) -> &str {
            "asked"
        }

        fn requests(&self) -> Option<ProviderRequests> {
            Some(ProviderRequests { answered: 4, rate_limited: 1, failed: 0, milliseconds: 2500 })
        }
    }

    #[tokio::test]
    async fn stages_that_were_at_work_are_told() {
        let tracker = Arc::new(Tracker::new("handbook-r1"));
        tracker.busy(StageName::Parse, tokio::task::yield_now()).await;
        let text = text(&registry(tracker)).unwrap();
        assert!(text.contains("lexigram_worker_stage_busy_seconds_total{stage=\"parse\"} "), "{text}");
        assert!(!text.contains("stage=\"embed\""), "{text}");
    }

    #[tokio::test]
    async fn requests_to_a_server_are_told_and_a_model_of_its_own_has_none() {
        let tracker = Arc::new(Tracker::new("handbook-r1"));
        assert!(!text(&registry(Arc::clone(&tracker))).unwrap().contains("provider"));
        tracker.watch(|| AskedMock.asked(), async {}).await;
        let text = text(&registry(tracker)).unwrap();
        for line in [
            "lexigram_worker_provider_requests_total{outcome=\"answered\"} 4",
            "lexigram_worker_provider_requests_total{outcome=\"rate_limited\"} 1",
            "lexigram_worker_provider_request_seconds_total 2.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_run_is_told_in_a_few_lines() {
        let tracker = Arc::new(Tracker::new("handbook-r1"));
        let items = ItemCounts { done: 1, skipped: 1, ..Default::default() };
        tracker.done(&Counts { items, chunks: 4, tokens: 900, bytes: 10_000, cached: 3, ..Default::default() });
        let text = text(&registry(tracker)).unwrap();
        for line in [
            "lexigram_worker_documents_listed 0",
            "lexigram_worker_documents_total{result=\"done\"} 1",
            "lexigram_worker_documents_total{result=\"skipped\"} 1",
            "lexigram_worker_documents_total{result=\"failed\"} 0",
            "lexigram_worker_chunks_total 4",
            "lexigram_worker_cached_vectors_total 3",
            "lexigram_worker_embedded_tokens_total 900",
            "lexigram_worker_fetched_bytes_total 10000",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
