//! Asks a provider for the vectors of one request: waits for its turn, tries again what may pass, stops for good what
//! cannot. Sends HTTP requests.

use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use lexigram_api::{
    backoff::{backoff, jittered},
    contract::ProviderRequests,
    embedding::OpenAISettings,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use super::{
    super::{EmbedError, Embedded},
    ProviderError,
    budget::Budget,
    client::{Client, Reply},
    pack::{Item, at_least_one},
    patience::Patience,
    pause::Pause,
    refusal::Fault,
    wire::{Answer, NUMBER_BYTES, Request, read, shared_out},
};

/// Most bytes of an answer.
pub(super) const ANSWER_BYTES: usize = 64 << 20;
/// What an answer holds beside its vectors, at the most.
const ENVELOPE_BYTES: usize = 64 * 1024;
/// The longest vector that settings allow for, expected where the dimension is not known yet.
const LONGEST_VECTOR: usize = 16_384;
/// A text that no model refuses.
const PROBE: &str = "probe";

/// Why a request has no outcomes.
pub(super) enum Refusal {
    /// Its texts, or one of them, are not to the provider's liking.
    Split {
        /// What the provider says.
        message: String,
        /// Whether it says that there is too much text.
        too_long: bool,
    },
    /// No text of it can be embedded.
    Error(ProviderError),
}

/// A provider, and what it has said so far.
pub(super) struct Asker {
    client: Client,
    settings: OpenAISettings,
    patience: Patience,
    /// One permit a request that may be open; closed once the provider has refused for good.
    turns: Semaphore,
    most_turns: u32,
    started: Instant,
    budget: Mutex<Budget>,
    pause: Mutex<Pause>,
    requests: Mutex<ProviderRequests>,
    dimension: OnceLock<usize>,
    /// Whether the provider has taken a request: until then, there is one request at a time, and no text is blamed.
    proven: AtomicBool,
    /// Why no request is sent any more.
    ended: OnceLock<ProviderError>,
    seed: AtomicU64,
}

impl Asker {
    pub(super) fn new(client: Client, settings: OpenAISettings, shards: i32, patience: Patience) -> Self {
        let dimension = settings.dimensions.map_or_else(OnceLock::new, |own| OnceLock::from(at_least_one(own)));
        let most_turns = u32::try_from(at_least_one(settings.max_concurrent_requests)).unwrap_or(1);
        // pods that start together must not wait alike
        let seed = Timestamp::now().as_nanosecond() as u64 ^ u64::from(std::process::id());
        Self {
            turns: Semaphore::new(most_turns as usize),
            most_turns,
            started: Instant::now(),
            budget: Mutex::new(Budget::new(&settings, shards)),
            pause: Mutex::default(),
            requests: Mutex::default(),
            dimension,
            proven: AtomicBool::new(false),
            ended: OnceLock::new(),
            seed: AtomicU64::new(seed),
            client,
            settings,
            patience,
        }
    }

    pub(super) fn host(&self) -> &str {
        self.client.host()
    }

    /// When the provider is asked again, while it has told to slow down.
    pub(super) fn paused_until(&self) -> Option<Timestamp> {
        locked(&self.pause).until(Timestamp::now())
    }

    /// How it has been asked so far.
    pub(super) fn requests(&self) -> ProviderRequests {
        locked(&self.requests).clone()
    }

    /// Numbers in a vector; asks for one where the settings do not say.
    pub(super) async fn dimension(&self) -> Result<usize, ProviderError> {
        if self.dimension.get().is_none() {
            self.probe().await?;
        }
        self.dimension.get().copied().ok_or_else(|| ProviderError::AnswerInvalid("it holds no vector".to_owned()))
    }

    /// Makes sure that the provider takes requests at all, before a text is blamed for a refusal.
    pub(super) async fn prove(&self) -> Result<(), ProviderError> {
        if self.proven.load(Ordering::Acquire) { Ok(()) } else { self.probe().await }
    }

    async fn probe(&self) -> Result<(), ProviderError> {
        let outcomes = self.ask(&[Item { position: 0, text: PROBE.to_owned(), tokens: 1 }]).await;
        match outcomes {
            Ok(outcomes) => outcomes.into_iter().try_for_each(|outcome| outcome.map(drop)),
            Err(Refusal::Error(error)) => Err(error),
            Err(Refusal::Split { message, .. }) => Err(self.end(ProviderError::RequestRefused(message))),
        }
    }

    /// What became of each text, in order.
    pub(super) async fn ask(&self, items: &[Item]) -> Result<Vec<Result<Embedded, ProviderError>>, Refusal> {
        let mut embedded: Vec<Option<Embedded>> = vec![None; items.len()];
        let mut failures = 0;
        loop {
            let open: Vec<(usize, &Item)> =
                items.iter().enumerate().filter(|&(index, _)| embedded.get(index) == Some(&None)).collect();
            let error = match self.patiently(&open).await? {
                Ok(answer) => {
                    let tokens: Vec<usize> = open.iter().map(|(_, item)| item.tokens).collect();
                    let own = tokens.iter().map(|&tokens| i64::try_from(tokens).unwrap_or(i64::MAX)).collect();
                    let costs = answer.tokens.map_or(own, |total| shared_out(total, &tokens));
                    for (((index, _), vector), tokens) in open.into_iter().zip(answer.vectors).zip(costs) {
                        if let Some(place) = embedded.get_mut(index) {
                            *place = vector.map(|vector| Embedded { vector, tokens, cached: false });
                        }
                    }
                    ProviderError::AnswerInvalid("a vector holds numbers that are not finite".to_owned())
                }
                Err(error) => error,
            };
            failures += 1;
            if embedded.iter().all(Option::is_some) || failures >= self.patience.tries {
                return Ok(embedded.into_iter().map(|place| place.ok_or_else(|| error.clone())).collect());
            }
            let wait = backoff(failures, self.patience.retry, self.patience.longest_retry);
            tokio::time::sleep(jittered(wait, self.seed())).await;
        }
    }

    /// The answer, however often the provider tells to slow down before it gives one; or an error that may pass.
    async fn patiently(&self, open: &[(usize, &Item)]) -> Result<Result<Answer, ProviderError>, Refusal> {
        loop {
            let fault = match self.exchange(open).await {
                Ok(answer) => return Ok(Ok(answer)),
                Err(fault) => fault,
            };
            match fault {
                Fault::Passing(error) => return Ok(Err(error)),
                Fault::Split { message, too_long } => return Err(Refusal::Split { message, too_long }),
                Fault::Final(error) => return Err(Refusal::Error(error)),
                Fault::SlowDown(_) => {}
            }
        }
    }

    /// One request, once it may be sent, and what it teaches.
    async fn exchange(&self, open: &[(usize, &Item)]) -> Result<Answer, Fault> {
        let texts: Vec<&str> = open.iter().map(|(_, item)| item.text.as_str()).collect();
        let body = serde_json::to_vec(&Request::new(&self.settings, &texts))
            .map_err(|error| Fault::Passing(ProviderError::AnswerInvalid(error.to_string())))?;
        let dimension = self.dimension.get().copied();
        let numbers = texts.len().saturating_mul(dimension.unwrap_or(LONGEST_VECTOR));
        let limit = numbers.saturating_mul(NUMBER_BYTES).saturating_add(ENVELOPE_BYTES).min(ANSWER_BYTES);

        let _turn = self.turn(open.iter().map(|(_, item)| item.tokens).sum()).await.map_err(Fault::Final)?;
        let sent = Instant::now();
        let reply = self.client.post(body, limit).await;
        self.count(&reply, sent.elapsed());
        let now = Timestamp::now();
        let answer = match reply {
            Ok(reply) => {
                locked(&self.pause).succeeded(now, reply.wait);
                read(&reply.body, texts.len(), dimension).map_err(|error| match error {
                    ProviderError::WrongDimension { .. } => Fault::Final(error),
                    error => Fault::Passing(error),
                })
            }
            Err(Fault::SlowDown(wait)) => {
                let endured = locked(&self.pause).slow_down(now, wait, &self.patience, self.seed());
                // an error here is no verdict on the provider: later texts try anew
                endured.map_err(Fault::Final)?;
                tracing::debug!(until = ?self.paused_until(), "the embedding provider asks to slow down");
                Err(Fault::SlowDown(wait))
            }
            Err(fault) => Err(fault),
        };
        match answer {
            Ok(answer) => {
                if let Some(vector) = answer.vectors.iter().flatten().next() {
                    let _known_before = self.dimension.set(vector.len());
                }
                self.proven.store(true, Ordering::Release);
                Ok(answer)
            }
            Err(Fault::Final(error)) => Err(Fault::Final(self.end(error))),
            Err(fault) => Err(fault),
        }
    }

    /// A request has come to its end.
    fn count(&self, reply: &Result<Reply, Fault>, lasted: Duration) {
        let mut requests = locked(&self.requests);
        *match reply {
            Ok(_) => &mut requests.answered,
            Err(Fault::SlowDown(_)) => &mut requests.rate_limited,
            Err(_) => &mut requests.failed,
        } += 1;
        requests.milliseconds += i64::try_from(lasted.as_millis()).unwrap_or(0);
    }

    /// Waits until a request of so many tokens may be sent.
    async fn turn(&self, tokens: usize) -> Result<SemaphorePermit<'_>, ProviderError> {
        let many = if self.proven.load(Ordering::Acquire) { 1 } else { self.most_turns };
        let mut permit = self.turns.acquire_many(many).await.map_err(|_| self.ending())?;
        if self.proven.load(Ordering::Acquire) {
            drop(permit.split(many as usize - 1));
        }
        self.wait_out_pause().await;
        let planned = locked(&self.budget).plan(self.started.elapsed(), tokens);
        tokio::time::sleep_until(self.started + planned).await;
        self.wait_out_pause().await;
        if self.turns.is_closed() { Err(self.ending()) } else { Ok(permit) }
    }

    async fn wait_out_pause(&self) {
        while let Some(until) = self.paused_until() {
            let wait = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO);
            // never so short that the clock still stands where it stood
            tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
        }
    }

    /// Sends no request any more.
    fn end(&self, error: ProviderError) -> ProviderError {
        if EmbedError::from(error.clone()).ends_run() {
            let _ended_before = self.ended.set(error.clone());
            self.turns.close();
        }
        error
    }

    fn ending(&self) -> ProviderError {
        let unknown = || ProviderError::Unavailable("it has refused a request for good".to_owned());
        self.ended.get().cloned().unwrap_or_else(unknown)
    }

    fn seed(&self) -> u64 {
        self.seed.fetch_add(1, Ordering::Relaxed)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
