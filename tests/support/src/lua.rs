//! Lua 5.1, the version of Lua that Argo CD embeds, and a script of Argo CD in it.

use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use crate::control_plane::CommandOutput;
use crate::error::{Context as _, Error, Result};

/// Runs the script with the resource as `obj`, and with no more of Lua's libraries than Argo CD
/// opens for such a script: the basic functions and `table`.
const HARNESS: &str = r#"
local env = { obj = obj, table = table }
for _, name in ipairs({ "ipairs", "pairs", "next", "type", "tostring", "tonumber", "error", "pcall" }) do
  env[name] = _G[name]
end
local health = setfenv(assert(loadfile(arg[1])), env)()
io.write(health.status, "\n", health.message)
"#;

/// The health that a script of Argo CD gives to a resource: status and message.
///
/// # Errors
/// When Lua is missing, or with its own words when the script fails.
pub async fn argo_health(script: &Path, resource: &Value) -> Result<(String, String)> {
    let folder = tempfile::tempdir().context(|| "make a folder for Lua")?;
    let file = folder.path().join("health.lua");
    let mut text = String::from("local obj = ");
    literal(resource, &mut text);
    text.push_str(HARNESS);
    std::fs::write(&file, text).context(|| "write a script")?;
    let mut command = Command::new("lua5.1");
    command.arg(&file).arg(script);
    let output = CommandOutput::of(command, "").await.map_err(|error| {
        Error::Unsupported(format!(
            "Lua (tests/support/prometheus.sh installs it): {error}"
        ))
    })?;
    match output.stdout.split_once('\n') {
        Some((status, message)) if output.success() => Ok((status.to_owned(), message.to_owned())),
        _ => Err(Error::Unsupported(format!(
            "{}: {}",
            script.display(),
            output.stderr
        ))),
    }
}

/// Writes a JSON value as Lua does. Null is absent, as in a table.
fn literal(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("nil"),
        Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
        Value::String(string) => quoted(string, text),
        Value::Array(values) => {
            text.push('{');
            for value in values {
                literal(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Object(fields) => {
            text.push('{');
            for (key, value) in fields {
                text.push('[');
                quoted(key, text);
                text.push_str("]=");
                literal(value, text);
                text.push(',');
            }
            text.push('}');
        }
    }
}

fn quoted(string: &str, text: &mut String) {
    text.push('"');
    for byte in string.bytes() {
        text.push_str(&format!("\\{byte:03}"));
    }
    text.push('"');
}
