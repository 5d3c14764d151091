//! `switchboard why`: why a call has the name that it has, or none, as the directory tells it. It
//! prints what the page of the call shows.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::cli::{FlagError, duration, print, read};
use crate::directory::client::Retry;
use crate::directory::model::RecordObject;
use crate::directory::why::Why;
use crate::directory::{Authorities, AuthoritiesError, Client, ClientError};
use crate::error::print_error;
use crate::exit::Exit;
use crate::shutdown::Shutdown;

/// Flags of `switchboard why`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The platform's ID of a call's leg, or a phone number in any spelling.
    #[arg(value_name = "CALL|NUMBER")]
    pub what: String,
    /// Where the directory is, such as https://calls.example.com.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_URL", value_name = "URL")]
    pub directory_url: String,
    /// File with the tenant's token lookup, from the Secret NAME-directory.
    #[arg(long, value_name = "FILE", required_unless_present = "token")]
    pub token_file: Option<PathBuf>,
    /// The token itself, from the environment alone: arguments are seen by everybody on a machine.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_TOKEN",
        hide = true,
        hide_env_values = true,
        conflicts_with = "token_file"
    )]
    pub token: Option<SecretString>,
    /// File with the authorities of the directory's certificate, PEM; those of the system when not
    /// given.
    #[arg(long, value_name = "FILE")]
    pub directory_ca_bundle: Option<PathBuf>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// How long to wait for the directory, such as 30s.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
}

/// How to print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object, as the directory answers it.
    Json,
}

/// Why it could not be found out.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Flag(#[from] FlagError),
    #[error("the authorities in --directory-ca-bundle cannot be used")]
    Authorities(#[from] AuthoritiesError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the directory did not answer within {}s; --timeout sets how long to wait", .0.as_secs())]
    Silent(Duration),
}

/// Asks the directory and prints what it says.
pub async fn run(args: Args, shutdown: Shutdown) -> Exit {
    let end = |error: &(dyn std::error::Error + 'static), exit| {
        print_error("why", error);
        exit
    };
    let why = match shutdown.unless_requested(asked(&args)).await {
        Err(stopped) => return end(&stopped, Exit::Interrupted),
        Ok(Err(error)) => {
            let exit = error.exit();
            return end(&error, exit);
        }
        Ok(Ok(why)) => why,
    };
    let text = match args.output {
        Output::Text => text(&why),
        // Serializing texts and numbers cannot fail.
        Output::Json => serde_json::to_string_pretty(&why).unwrap_or_default() + "\n",
    };
    match print(&text) {
        Ok(()) => Exit::Done,
        Err(error) => end(&error, Exit::Failed),
    }
}

async fn asked(args: &Args) -> Result<Why, Error> {
    let token = match (&args.token_file, &args.token) {
        (Some(file), _) => SecretString::from(read(file, "--token-file")?.trim()),
        (None, Some(token)) => token.clone(),
        (None, None) => SecretString::default(),
    };
    let authorities = match &args.directory_ca_bundle {
        Some(file) => Some(Authorities::parse(&read(file, "--directory-ca-bundle")?)?),
        None => None,
    };
    let client = Client::trusting(authorities.as_ref(), &args.directory_url, token)?;
    let client = client.with_retry(Retry {
        attempts: 2,
        ..Retry::default()
    });
    let asking = async {
        match client.why(&args.what).await {
            // It is no call: is it a number?
            Err(ClientError::Refused { problem, .. }) if problem.code == "no-such-call" => {
                client.why_of_number(&args.what).await
            }
            told => told,
        }
    };
    match tokio::time::timeout(args.timeout, asking).await {
        Ok(told) => Ok(told?),
        Err(_) => Err(Error::Silent(args.timeout)),
    }
}

// === impl Error ===

impl Error {
    fn exit(&self) -> Exit {
        match self {
            Self::Flag(_) | Self::Authorities(_) | Self::Client(ClientError::Address(..)) => {
                Exit::Usage
            }
            Self::Client(_) | Self::Silent(_) => Exit::Unknown,
        }
    }
}

/// The answer for people: the sentence first, then how it came to that.
fn text(why: &Why) -> String {
    let mut text = format!("{}\n", capital(&why.sentence));
    let mut line = |name: &str, value: String| {
        text.push_str(&format!("  {name:<16} {value}\n"));
    };
    if let Some(remedy) = &why.remedy {
        line("what to do", remedy.clone());
    }
    if let Some(link) = &why.link {
        line("since", link.since.to_string());
    }
    if let Some(call) = &why.call {
        line("call", call.clone());
    }
    if let Some(at) = why.received_at {
        line("delivered", at.to_string());
    }
    if let Some(number) = &why.number {
        line("delivered as", number.clone());
    }
    match &why.e164 {
        Some(e164) => line("read as", e164.to_string()),
        None => line("read as", "no number that can be looked up".to_owned()),
    }
    if let Some(asked) = &why.asked {
        line("asked", asked.at.to_string());
        if let Some(run) = &asked.run {
            line("by the run", run.clone());
        }
        if let Some(calls) = asked.api_calls {
            line("API requests", calls.to_string());
        }
        let more = if asked.spellings as usize > asked.likeliest.len() {
            ", …"
        } else {
            ""
        };
        let likeliest = asked.likeliest.join(", ");
        line(
            "spellings",
            format!("{}: {likeliest}{more}", asked.spellings),
        );
    }
    if let Some(answer) = &why.answer {
        let names = [&answer.company_name, &answer.person_name];
        let names: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
        line("answer", names.join(", "));
        let object = answer.object.map(object);
        if let (Some(object), Some(id)) = (object, &answer.record_id) {
            line("record", format!("{object} {id}"));
        }
        if let Some(others) = &answer.others {
            line(
                "others",
                format!("{}, chosen by {:?}", others.count, others.rule),
            );
        }
    }
    if let Some(at) = why.next_at {
        line("next", at.to_string());
    }
    text
}

fn object(object: RecordObject) -> &'static str {
    match object {
        RecordObject::Contact => "Contact",
        RecordObject::Account => "Account",
        RecordObject::Lead => "Lead",
    }
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sentence_comes_first_and_what_is_not_known_is_left_out() {
        let why: Why = serde_json::from_value(json!({
            "cause": "not-in-salesforce", "sentence": "Salesforce was asked and does not know the number",
            "remedy": "Write it down.", "call": "d1", "number": "03-1234-5678", "e164": "+81312345678",
            "receivedAt": "2026-11-30T00:00:00Z",
            "asked": {"at": "2026-11-30T01:00:00Z", "run": "acme-1", "apiCalls": 2, "spellings": 61,
                "likeliest": ["03-1234-5678", "0312345678"], "misses": 1},
            "answer": null, "nextAt": null, "link": null,
        }))
        .unwrap();
        assert_eq!(
            text(&why),
            "Salesforce was asked and does not know the number\n  \
             what to do       Write it down.\n  \
             call             d1\n  \
             delivered        2026-11-30T00:00:00Z\n  \
             delivered as     03-1234-5678\n  \
             read as          +81312345678\n  \
             asked            2026-11-30T01:00:00Z\n  \
             by the run       acme-1\n  \
             API requests     2\n  \
             spellings        61: 03-1234-5678, 0312345678, …\n"
        );
        let bare: Why = serde_json::from_value(json!({
            "cause": "withheld", "sentence": "the caller withheld the number", "remedy": null, "call": "d1",
            "number": "Anonymous", "e164": null, "receivedAt": null, "asked": null, "answer": null,
            "nextAt": null, "link": null,
        }))
        .unwrap();
        assert_eq!(text(&bare).lines().count(), 4, "{}", text(&bare));
    }
}
