//! `shacached token`: by the server that has the data folder open, else right here. The output is
//! the same: data on standard output, and what is to be known about it beside.

use std::error::Error;
use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;

use shacache_server::access::{Listed, Tokens};
use shacache_server::admin::client;
use shacache_server::admin::token::{TokenAnswer, TokenCommand};
use shacache_server::config::{self, Overrides};
use shacache_server::log;
use shacache_store::error::StoreError;
use shacache_store::{Store, StoreOptions};
use tokio::runtime::Runtime;

/// Runs one command on the configured data folder.
pub(crate) fn run(
    overrides: &Overrides,
    command: TokenCommand,
    json: bool,
) -> Result<ExitCode, Box<dyn Error>> {
    let config = config::load(overrides)?;
    log::start(&config);
    let data = config.data().to_owned();
    let answer = Runtime::new()?.block_on(async {
        match Store::open(&StoreOptions::of(data.clone())) {
            Ok(store) => {
                let done = Tokens::open(&data).and_then(|tokens| command.run(&tokens));
                store.close().await?;
                Ok::<_, Box<dyn Error>>(done?)
            }
            Err(StoreError::Locked(_)) => Ok(client::token(&data, &command).await?),
            Err(error) => Err(error.into()),
        }
    })?;
    let text = if json { serde_json::to_string_pretty(&answer)? + "\n" } else { told(&answer)? };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The password on the first line of standard input: a command line is seen by everybody on the
/// machine.
pub(crate) fn read_password() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn told(answer: &TokenAnswer) -> io::Result<String> {
    Ok(match answer {
        TokenAnswer::Added(added) => {
            let shown = if added.token.is_some() { "; it is not shown again" } else { "" };
            writeln!(io::stderr(), "{} is made{shown}", added.id)?;
            added.token.iter().map(|token| format!("{token}\n")).collect()
        }
        TokenAnswer::Listed(all) => all.iter().map(line).collect(),
        TokenAnswer::Revoked(ids) => ids.iter().map(|id| format!("{id} is revoked\n")).collect(),
    })
}

fn line(listed: &Listed) -> String {
    let Listed { id, name, kind, rights, created, expires, revoked } = listed;
    let roles: Vec<String> = rights.roles.iter().map(ToString::to_string).collect();
    let keys: Vec<String> = rights.keys.iter().map(ToString::to_string).collect();
    let mut line = format!("{id}  {name}  {kind}  {}  keys {}", roles.join(","), keys.join(" "));
    line += &format!("  made {created:.0}");
    if let Some(expires) = expires {
        line += &format!("  expires {expires:.0}");
    }
    if let Some(revoked) = revoked {
        line += &format!("  revoked {revoked:.0}");
    }
    line + "\n"
}
