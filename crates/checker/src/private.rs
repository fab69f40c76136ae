//! The whole system on private processes, for the time that another program uses it: for general HTTP tools.
//!
//! The services require a token for their operations routes, as they do whenever they can be reached from another
//! machine.

use anyhow::{Context, Result, ensure};
use clap::Args;
use tempfile::NamedTempFile;
use testkit::private_system::{PrivateSystem, Service};
use tokio::process::Command;

/// The options of `checker private`.
#[derive(Debug, Args)]
pub struct Options {
    /// Products in the catalogue
    #[arg(long, default_value_t = 130)]
    pub products: u32,
    /// The program and its arguments, behind `--`. It finds the services' addresses in `PRODUCT_API_URL`, `CART_URL`,
    /// `SEARCH_URL` and `RECOMMENDATION_URL`, and the token of their operations routes in `OPERATIONS_TOKEN`
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

/// Starts the system, runs the program, and ends the system.
///
/// # Errors
/// Returns an error if the system does not start, if the program fails, or if a service has logged an error.
pub async fn run(options: &Options) -> Result<()> {
    let token = format!("{:032x}", rand::random::<u128>());
    let token_file = NamedTempFile::new().context("the file for the operators' token cannot be made")?;
    std::fs::write(&token_file, &token)?;
    let token_path = token_file.path().to_str().context("the temporary path is not UTF-8")?;
    let settings = [("OPERATIONS__TOKEN_FILE", token_path)];
    let system = PrivateSystem::start(options.products, &settings).await?;
    let (program, arguments) = options.command.split_first().context("the command is empty")?;
    let mut command = Command::new(program);
    command.args(arguments).env("OPERATIONS_TOKEN", token);
    for service in Service::ALL {
        let name = service.name().replace('-', "_").to_uppercase();
        command.env(format!("{name}_URL"), system.url(service));
    }
    let status = command.status().await.with_context(|| format!("{program} does not start"))?;
    let mut errors = 0;
    for service in Service::ALL {
        let output = system.output(service).await;
        for line in output.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")) {
            eprintln!("{}: {line}", service.name());
            errors += 1;
        }
    }
    ensure!(status.success(), "{program} failed: {status}");
    ensure!(errors == 0, "the services logged {errors} errors");
    Ok(())
}
