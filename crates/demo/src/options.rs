//! The command line of the demos.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::demos::Demo;
use crate::other_services::Addresses;

/// The options of `demo show`.
#[derive(Debug, Args)]
pub struct Options {
    /// The demos that are shown, by default all
    pub demos: Vec<Demo>,
    /// Where the product API answers
    #[arg(long, env = "PRODUCT_API_URL", default_value = "http://127.0.0.1:8004")]
    pub product_api: String,
    /// Where the other services answer
    #[command(flatten)]
    pub other_services: Addresses,
    /// The script that runs the stack, with `stop redis`, `start redis`, `redis-cli` and `psql`
    #[arg(long, env = "STACK_SCRIPT", default_value = "deploy/stack")]
    pub stack: PathBuf,
    /// Any value: no colours
    #[arg(long, env = "NO_COLOR", hide = true)]
    pub no_color: Option<OsString>,
    /// Any value: no progress bars and no colours, even on a terminal
    #[arg(long, env = "CI", hide = true)]
    pub ci: Option<OsString>,
}
