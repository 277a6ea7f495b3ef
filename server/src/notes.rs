//! What the server leaves in its data directory for the programs beside it: tokens, addresses, and the link that sets up
//! the first user.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use canh_collector::Collector;
use canh_messages::Key;
use canh_schema::Timestamp;
use canh_store::state::{ApiToken, Role, SecretHash, StateStore, UserState};
use tracing::warn;

use crate::doors::Doors;
use crate::terminal::say;
use crate::{client, secret};

/// File in the data directory with the token that sets up the first user, while there is none.
const SETUP_FILE: &str = "setup.token";

/// Tokens and addresses for the programs beside the server.
pub(crate) async fn leave(
    data: &Path,
    state: &dyn StateStore,
    collector: &Collector,
    console: SocketAddr,
) -> anyhow::Result<()> {
    let doors = collector.addresses();
    let secured = collector.secured();
    let address = |name: &str| doors.iter().find(|(door, _)| *door == name).map(|(_, address)| *address);
    let notes = Doors {
        otlp_grpc: address("otlp_grpc"),
        http: address("http"),
        syslog_tcp: address("syslog_tcp"),
        syslog_udp: address("syslog_udp"),
        secured: secured.iter().map(|&name| name.to_owned()).collect(),
    };
    notes.save(data)?;
    fs::write(data.join(client::ADDRESS_FILE), format!("{console}\n"))
        .context("cannot write into the data directory")?;
    let token = secret::load_or_make(&data.join(client::TOKEN_FILE))?;
    let now = Timestamp::now();
    state
        .put_api_token(ApiToken {
            token: SecretHash::of(&token),
            name: "canh-cli".into(),
            role: Role::Admin,
            created: now,
            expires: None,
        })
        .await?;
    let setup = secret::random();
    let path = data.join(SETUP_FILE);
    match state.offer_setup_token(SecretHash::of(&setup)).await? {
        UserState::None => {
            secret::write(&path, &setup)?;
            let link = setup_link(console, &setup);
            eprintln!("\n  {}\n", say(Key::SetupLink, &[("link", &link)]));
        }
        // The file of an earlier start is of no use any more.
        UserState::Some => drop(fs::remove_file(&path)),
    }
    for (name, address) in doors.iter().copied().chain([("console", console)]) {
        if !address.ip().is_loopback() && !secured.contains(&name) {
            warn!(name, %address, "reachable from other machines without TLS; use it on a trusted network or behind a proxy");
        }
    }
    Ok(())
}

fn setup_link(console: SocketAddr, token: &str) -> String {
    format!("http://{console}/setup#token={token}")
}

/// `canh setup-link`.
pub(crate) fn print_setup_link(data: &Path) -> anyhow::Result<()> {
    let address = fs::read_to_string(data.join(client::ADDRESS_FILE))
        .context("no server has been started with this data directory")?;
    let session = client::Client::of(data)?.anonymous().get("/api/v1/session", &[])?;
    // A file that is not there means that there is a user.
    if let (Ok(token), "setup_required") =
        (fs::read_to_string(data.join(SETUP_FILE)), session["state"].as_str().unwrap_or("setup_required"))
    {
        println!("{}", setup_link(address.trim().parse()?, token.trim()));
    }
    Ok(())
}
