//! A command-line program that logs in without a browser of its own (RFC 8628), and keeps the token in a SQLite file: the
//! second time nobody has to log in.

use std::{error::Error, path::Path, time::Duration};

use tokenkeep::{ErrorCode, KeyRing, OAuth, SqliteStore};
use tokenkeep_testing::{Provider, registration};

/// The only user of this program.
const ME: &str = "me";

async fn run(file: &Path, ring: &str, provider: &Provider) -> Result<bool, Box<dyn Error>> {
    let store = SqliteStore::connect(&file.display().to_string()).await?;
    let oauth = OAuth::builder()
        .store(store)
        .key_ring(KeyRing::parse(ring)?)
        .register(registration("drive", provider))
        .build()?;
    let drive = oauth.client("drive")?;
    let logs_in = match drive.owner(ME).token().await {
        Ok(_) => false,
        Err(error) if error.code() == ErrorCode::LoginRequired => true,
        Err(error) => return Err(error.into()),
    };
    if logs_in {
        let mut device = drive.device_login().await?;
        println!(
            "Open {} and type {}",
            device.verification_uri(),
            device.user_code()
        );
        // Stands in for somebody with a browser.
        let (somebody, code) = (provider.clone(), device.user_code().to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            somebody.approve_device(&code, "alice");
        });
        let login = device.wait().await?;
        println!("hello, {}", login.subject().unwrap_or("whoever you are"));
        oauth.keep_grant(&login, ME).await?;
    }
    let answer = drive.owner(ME).get("me").await?.error_for_status()?;
    println!("the drive answers {}", answer.status());
    oauth.drain(Duration::from_secs(5)).await?;
    Ok(logs_in)
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let provider = Provider::start().await?;
    let folder = tempfile::tempdir()?;
    // In yours it comes from the environment: KeyRing::from_env.
    let ring = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let file = folder.path().join("tokens.sqlite");
    assert!(run(&file, ring, &provider).await?, "the first time");
    assert!(!run(&file, ring, &provider).await?, "the token was kept");
    Ok(())
}
