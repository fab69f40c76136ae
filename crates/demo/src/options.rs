//! The command line of the demos.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::demos::Demo;
use crate::other_services::Addresses;

/// The options of `demo show`.
#[derive(Debug, Args)]
pub struct Options {
    /// all, or one of: ttl, explicit, writethrough, events, swr, tags, production
    #[arg(default_value = "all")]
    pub(crate) demos: Selection,
    /// Where the product API answers
    #[arg(long, env = "PRODUCT_API_URL", default_value = "http://127.0.0.1:8004")]
    pub(crate) product_api: String,
    #[command(flatten)]
    pub(crate) other_services: Addresses,
    /// The script that runs the stack, with `stop redis`, `start redis`, `redis-cli` and `psql`
    #[arg(long, env = "STACK_SCRIPT", default_value = "deploy/stack")]
    pub(crate) stack: PathBuf,
    /// Any value: no colours
    #[arg(long, env = "NO_COLOR", hide = true)]
    pub(crate) no_color: Option<OsString>,
    /// Any value: no progress bars and no colours, even on a terminal
    #[arg(long, env = "CI", hide = true)]
    pub(crate) ci: Option<OsString>,
}

/// The chosen demos.
#[derive(Clone, Debug)]
pub(crate) struct Selection(pub(crate) Vec<Demo>);

impl FromStr for Selection {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "all" {
            return Ok(Self(Demo::ALL.to_vec()));
        }
        let names = || Demo::ALL.map(Demo::name).join(", ");
        let demo = Demo::ALL.into_iter().find(|demo| demo.name() == name);
        demo.map(|demo| Self(vec![demo])).ok_or_else(|| format!("there are: all, {}", names()))
    }
}
