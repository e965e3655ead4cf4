//! The demo: an application that signs people in with tokenkeep, keeps their tokens, and shows what happens to them.
//!
//! `cargo run --example demo` starts it with a provider of its own; `-- --help` tells of the rest.

mod answer;
mod api;
mod app;
mod events;
mod headless;
mod options;
mod pages;
mod provider;
mod row;
mod serve;
mod setup;
mod store;
mod web;

use std::{
    env,
    io::{self, IsTerminal, Write},
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use tokenkeep::KeyRing;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::{
    options::{Options, Provider},
    setup::{Failure, Setup},
    store::StoreUrl,
};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "demo: {}", failure.message);
            ExitCode::from(failure.exit_code)
        }
    }
}

async fn run(options: Options) -> Result<(), Failure> {
    log(options.headless)?;
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(certificate), Some(key)) => Some(serve::tls(certificate, key).await?),
        _ => None,
    };
    let listener = serve::bind(options.listen)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let here = format!("{scheme}://{}", serve::address(&listener)?);
    let base_url = setup::base_url_of_environment()?.unwrap_or_else(|| here.clone());

    let mut clients = setup::clients_of_environment();
    let embedded = match options.provider {
        Some(provider) => provider == Provider::Embedded,
        None => options.headless || clients.is_empty(),
    };
    if options.headless && !embedded {
        return Err(Failure::configuration(
            "--headless walks at the embedded provider: leave --provider none out",
        ));
    }
    let provider = if embedded {
        let (provider, known) = provider::start(&base_url, access_token_lifetime(&options)).await?;
        setup::check_names(&clients, &known)?;
        clients.extend(known);
        Some(provider)
    } else {
        None
    };

    // Dropped at the end, and removed with it.
    let folder = tempfile::tempdir().map_err(|error| Failure::other(error.to_string()))?;
    let keys = setup::keys_of_environment()?;
    let (store, keys) = match options.store {
        Some(store) => (store, keys),
        None => {
            let store = StoreUrl::file(&folder.path().join("tokens.sqlite"));
            (store, Some(keys.unwrap_or_else(KeyRing::ephemeral)))
        }
    };
    let roots = match &options.ca {
        Some(file) => setup::certificates(file)?,
        None => Vec::new(),
    };
    let setup = Setup {
        store,
        keys,
        base_url,
        clients,
        roots,
        web: options.web,
    };
    let server = serve::start(options.web, listener, tls)?;
    let work = async {
        // Whoever reads that it listens may come at once; a store that is slow to answer holds that back for a moment only.
        let mut registry = pin!(setup.registry());
        match tokio::time::timeout(A_MOMENT, &mut registry).await {
            Ok(registry) => {
                server.open(&registry?).await?;
                say(&format!("listening on {here}"));
            }
            Err(_) => {
                say(&format!("listening on {here}"));
                server.open(&registry.await?).await?;
            }
        }
        match &provider {
            Some(provider) if options.headless => headless::walk(&setup, provider).await,
            _ => {
                tell(&setup, provider.as_ref());
                std::future::pending().await
            }
        }
    };
    let done = tokio::select! {
        done = work => done,
        told = until_told_to_end() => match told {
            Ok(()) if options.headless => Err(Failure::other("interrupted")),
            told => told,
        },
    };
    server.stop().await?;
    done
}

/// How long a store may take before the demo says that it listens all the same.
const A_MOMENT: Duration = Duration::from_secs(1);

/// How long access tokens of the embedded provider last, so that people can watch them being renewed.
const SHORT: Duration = Duration::from_secs(60);

/// A walk without people counts refreshes: none may happen by itself meanwhile.
fn access_token_lifetime(options: &Options) -> Duration {
    if options.headless { 10 * SHORT } else { SHORT }
}

/// Where to look.
fn tell(setup: &Setup, provider: Option<&tokenkeep_testing::Provider>) {
    say(&format!("open {}/ in a browser", setup.base_url));
    if let Some(provider) = provider {
        say(&format!(
            "the embedded provider is {}: log in with any name, such as alice or bob; there are no passwords",
            provider.issuer()
        ));
        say(&format!(
            "access tokens last {} s, so that you can watch them being renewed",
            SHORT.as_secs()
        ));
    }
    say(&format!("tokens are kept in {}", setup.store));
}

/// A line for whoever started the demo. That nobody reads it is no reason to end.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn log(headless: bool) -> Result<(), Failure> {
    let filter = match env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => filter,
        _ if headless => "warn".to_owned(),
        _ => "warn,tokenkeep=info,demo=info".to_owned(),
    };
    let filter = EnvFilter::try_new(&filter)
        .map_err(|error| Failure::configuration(format!("RUST_LOG: {error}")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    Ok(())
}

async fn until_told_to_end() -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|error| Failure::other(format!("SIGTERM cannot be waited for: {error}")))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    tracing::info!("ending");
    Ok(())
}
