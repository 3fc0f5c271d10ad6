//! What can go wrong with an OpenAI-compatible provider. No I/O. No message holds a key, a header or a URL beyond its host.

use lexigram_api::failure::FailureCategory;
use thiserror::Error;

use crate::failure::Classified;

/// Why the provider gave no vector.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProviderError {
    /// A setting that cannot be used.
    #[error("spec.embedding.openAI.{field}: {problem}")]
    Setting {
        /// The field, for instance `url`.
        field: &'static str,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The server's certificate is not trusted.
    #[error(
        "the certificate of {host} is not trusted ({problem}); put the certificate of its authority into the ConfigMap of spec.embedding.openAI.caBundleConfigMapRef"
    )]
    Certificate {
        /// The server.
        host: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The provider refused the credentials.
    #[error(
        "the embedding provider refuses access (HTTP {status}{detail}); check the Secrets of spec.embedding.openAI.apiKeySecretRef and headersSecretRef"
    )]
    AccessDenied {
        /// 401 or 403.
        status: u16,
        /// What the provider says, with a separator before it.
        detail: String,
    },
    /// The account behind the key has used up what it has paid for.
    #[error(
        "the quota of the embedding provider's account is exhausted ({0}); add credit with the provider, or give another key in spec.embedding.openAI.apiKeySecretRef"
    )]
    QuotaExhausted(String),
    /// There is no such model, or nothing under the URL.
    #[error(
        "the embedding provider at {host} knows no model '{model}', or has no /embeddings there ({detail}); check spec.embedding.openAI.url and model"
    )]
    NotFound {
        /// The server.
        host: String,
        /// The model that was asked for.
        model: String,
        /// What the provider says.
        detail: String,
    },
    /// The request can never work, whatever its texts.
    #[error(
        "the embedding provider does not take these settings ({0}); check spec.embedding.openAI: url, model, dimensions and encodingFormat"
    )]
    RequestRefused(String),
    /// Vectors of another length than they should have.
    #[error(
        "the embedding provider gives vectors of {found} numbers where {expected} were expected; set spec.embedding.openAI.dimensions to what the model gives"
    )]
    WrongDimension {
        /// Numbers that a vector should have.
        expected: usize,
        /// Numbers that it has.
        found: usize,
    },
    /// A text without anything in it.
    #[error("the text is empty, and the embedding provider takes none of these; remove it")]
    EmptyText,
    /// The provider counts more tokens than it takes.
    #[error(
        "the embedding provider says that the text is too long ({0}); shorten it, lower spec.embedding.openAI.maxTokensPerText, or set spec.embedding.truncate to true"
    )]
    TextTooLong(String),
    /// The provider refuses this one text.
    #[error("the embedding provider refuses the text ({0})")]
    TextRefused(String),
    /// The provider cannot answer now.
    #[error("the embedding provider cannot answer at the moment ({0})")]
    Unavailable(String),
    /// The connection failed.
    #[error("the embedding provider at {host} cannot be reached, or broke off: {problem}")]
    Unreachable {
        /// The server.
        host: String,
        /// What happened.
        problem: String,
    },
    /// The provider took too long.
    #[error(
        "the embedding provider did not answer within {seconds} s; raise spec.embedding.openAI.requestTimeoutSeconds, or lower maxItemsPerRequest"
    )]
    Timeout {
        /// The limit in seconds.
        seconds: u64,
    },
    /// An answer that is none.
    #[error("the embedding provider's answer cannot be used: {0}")]
    AnswerInvalid(String),
    /// The provider has asked to slow down for so long that waiting is no use.
    #[error("the embedding provider has taken no request for {minutes} minutes, and asks to slow down still")]
    RateLimited {
        /// How long.
        minutes: u64,
    },
}

impl Classified for ProviderError {
    fn category(&self) -> FailureCategory {
        match self {
            Self::Setting { .. }
            | Self::Certificate { .. }
            | Self::NotFound { .. }
            | Self::RequestRefused(_)
            | Self::WrongDimension { .. } => FailureCategory::Configuration,
            // an account without credit is an account that may not, whatever its key is worth
            Self::AccessDenied { .. } | Self::QuotaExhausted(_) => FailureCategory::Authentication,
            Self::EmptyText | Self::TextTooLong(_) | Self::TextRefused(_) => FailureCategory::InvalidInput,
            Self::Unavailable(_) | Self::Unreachable { .. } | Self::AnswerInvalid(_) => FailureCategory::Transient,
            Self::Timeout { .. } => FailureCategory::Timeout,
            Self::RateLimited { .. } => FailureCategory::RateLimited,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "ProviderSettingInvalid",
            Self::Certificate { .. } => "ProviderCertificateUntrusted",
            Self::AccessDenied { .. } => "ProviderAccessDenied",
            Self::QuotaExhausted(_) => "ProviderQuotaExhausted",
            Self::NotFound { .. } => "ProviderModelNotFound",
            Self::RequestRefused(_) => "ProviderRequestRefused",
            Self::WrongDimension { .. } => "WrongDimension",
            Self::EmptyText => "TextEmpty",
            Self::TextTooLong(_) => "TextTooLong",
            Self::TextRefused(_) => "TextRefused",
            Self::Unavailable(_) => "ProviderUnavailable",
            Self::Unreachable { .. } => "ProviderUnreachable",
            Self::Timeout { .. } => "ProviderTimeout",
            Self::AnswerInvalid(_) => "ProviderAnswerInvalid",
            Self::RateLimited { .. } => "ProviderRateLimited",
        }
    }
}
