//! The command line of the demos.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use contract::{STRATEGIES, STRATEGY_NAMES, StrategyInfo};

use crate::other_services::Addresses;

/// The options of `demo show`.
#[derive(Debug, Args)]
pub struct Options {
    /// The strategies that are shown, by default all
    #[arg(value_parser = PossibleValuesParser::new(STRATEGY_NAMES).map(|name| named(&name)))]
    pub strategies: Vec<&'static StrategyInfo>,
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

fn named(name: &str) -> &'static StrategyInfo {
    STRATEGIES.iter().find(|strategy| strategy.name == name).expect("one of the possible values")
}
