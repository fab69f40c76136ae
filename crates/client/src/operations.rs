//! The token of the operations routes, for systems under test that require one.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

/// The location of the token. A stack whose services listen on loopback only needs none.
#[derive(Clone, Debug, Default, Args)]
pub struct Operations {
    /// The file with the token of the operations routes (/events, /cache/*, /metrics), if they require one
    #[arg(long = "operations-token-file", env = "OPERATIONS_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
}

impl Operations {
    /// Returns the headers that every request carries.
    pub fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        if let Some(file) = &self.token_file {
            let token = std::fs::read_to_string(file).with_context(|| {
                format!("the token of the operations routes cannot be read from {}", file.display())
            })?;
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.trim()))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        Ok(headers)
    }
}
