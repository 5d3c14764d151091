//! The admin endpoint: JSON under `/__admin/` to read and change all state while the simulator
//! runs.

use http::Method;
use jiff::SignedDuration;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};

use crate::core::Core;
use crate::counters::Counters;
use crate::faults::Fault;
use crate::message::{Answer, Request};
use crate::org::{Org, Record, User, World};

type Outcome = Result<Json, (u16, String)>;

/// Handles a request below `/__admin/`.
pub(crate) fn handle(core: &Core, request: &Request, path: &[&str]) -> Answer {
    let body = if request.body.is_empty() {
        Ok(Json::Null)
    } else {
        serde_json::from_slice(&request.body)
    };
    let outcome = match body {
        Ok(body) => route(core, &request.method, path, body),
        Err(error) => Err((400, format!("body: {error}"))),
    };
    match outcome {
        Ok(json) => Answer::json(200, json),
        Err((status, message)) => Answer::json(status, json!({"error": message})),
    }
}

fn route(core: &Core, method: &Method, path: &[&str], body: Json) -> Outcome {
    match (method.as_str(), path) {
        ("GET", []) => Ok(overview(core)),
        ("GET", ["counters"]) => to_json(&core.runtime().counters),
        ("DELETE", ["counters"]) => {
            let mut runtime = core.runtime();
            runtime.counters = Counters::default();
            runtime.log.clear();
            Ok(json!({}))
        }
        ("GET", ["requests"]) => to_json(&core.runtime().log.all()),
        ("GET", ["clock"]) => Ok(json!({"now": core.clock.now()})),
        ("POST", ["clock"]) => advance(core, &body),
        ("GET", ["switches"]) => to_json(&core.world().switches),
        ("PATCH", ["switches"]) => edit(core, |world| {
            world.switches = patched(&world.switches, body)?;
            to_json(&world.switches)
        }),
        ("GET", ["faults"]) => to_json(&core.runtime().faults.all().to_vec()),
        ("POST", ["faults"]) => {
            let faults: Vec<Fault> = if body.is_array() {
                parse(body)?
            } else {
                vec![parse(body)?]
            };
            let now = core.clock.now();
            let mut runtime = core.runtime();
            faults
                .into_iter()
                .for_each(|fault| runtime.faults.add(fault, now));
            Ok(json!({"faults": runtime.faults.all().len()}))
        }
        ("DELETE", ["faults"]) => {
            core.runtime().faults.clear();
            Ok(json!({}))
        }
        ("POST", ["sessions", "revoke"]) => Ok(revoke(core, &body)),
        ("POST", ["users", username, "unlock"]) => {
            core.runtime().attempts.remove(&username.to_lowercase());
            edit(core, |world| {
                user(world, username).map(|user| user.locked = false)
            })
            .map(|()| json!({}))
        }
        ("PATCH", ["users", username]) => edit(core, |world| {
            let user = user(world, username)?;
            *user = patched(user, body)?;
            redacted(user)
        }),
        (_, ["orgs", rest @ ..]) => orgs(core, method, rest, body),
        _ => Err((404, format!("no {method} /__admin/{}", path.join("/")))),
    }
}

fn orgs(core: &Core, method: &Method, path: &[&str], body: Json) -> Outcome {
    match (method.as_str(), path) {
        ("GET", []) => Ok(json!(
            core.world()
                .orgs
                .iter()
                .map(|org| org.name.clone())
                .collect::<Vec<_>>()
        )),
        ("POST", []) => {
            let org: Org = parse(body)?;
            edit(core, |world| {
                world.orgs.push(org);
                Ok(json!({}))
            })
        }
        ("GET", [name]) => redacted(org_of(&core.world(), name)?),
        ("PATCH", [name]) => edit(core, |world| {
            let org = org(world, name)?;
            let mut changed: Org = patched(org, body)?;
            changed.tables = std::mem::take(&mut org.tables);
            changed.serial = org.serial;
            *org = changed;
            redacted(org)
        }),
        ("DELETE", [name]) => edit(core, |world| {
            let id = org(world, name)?.id.clone();
            world.orgs.retain(|org| org.id != id);
            Ok(json!({}))
        }),
        ("POST", [name, "users"]) => {
            let user: User = parse(body)?;
            edit(core, |world| {
                org(world, name)?.users.push(user);
                Ok(json!({}))
            })
        }
        ("DELETE", [name, "users", username]) => edit(core, |world| {
            org(world, name)?
                .users
                .retain(|user| !user.username.eq_ignore_ascii_case(username));
            Ok(json!({}))
        }),
        ("GET", [name, "usage"]) => {
            let world = core.world();
            let org = org_of(&world, name)?;
            let used = core
                .runtime()
                .quotas
                .entry(org.id.clone())
                .or_default()
                .used(core.clock.now());
            Ok(json!({"used": used, "limit": org.allocation()}))
        }
        ("PUT", [name, "usage"]) => {
            let used = body
                .get("used")
                .and_then(Json::as_u64)
                .ok_or((400, "used: a number".to_owned()))?;
            let id = org_of(&core.world(), name)?.id.clone();
            core.runtime()
                .quotas
                .entry(id)
                .or_default()
                .set(core.clock.now(), used);
            Ok(json!({}))
        }
        (_, [name, "records", rest @ ..]) => records(core, method, name, rest, body),
        _ => Err((404, format!("no {method} /__admin/orgs/{}", path.join("/")))),
    }
}

fn records(core: &Core, method: &Method, name: &str, path: &[&str], body: Json) -> Outcome {
    let bad = |message: String| (400, message);
    match (method.as_str(), path) {
        ("GET", [object]) => Ok(Json::from(org_of(&core.world(), name)?.all(object))),
        ("POST", [object]) => {
            let list: Vec<Record> = if body.is_array() {
                parse(body)?
            } else {
                vec![parse(body)?]
            };
            edit(core, |world| {
                let org = org(world, name)?;
                let ids: Result<Vec<String>, String> = list
                    .into_iter()
                    .map(|record| org.insert(object, record))
                    .collect();
                Ok(json!({"ids": ids.map_err(bad)?}))
            })
        }
        ("PATCH", [_, id]) => edit(core, |world| {
            org(world, name)?.update(id, body).map_err(bad)?;
            Ok(json!({}))
        }),
        ("DELETE", [_, id]) => edit(core, |world| {
            Ok(json!({"deleted": org(world, name)?.delete(id)}))
        }),
        _ => Err((404, format!("no {method} .../records/{}", path.join("/")))),
    }
}

fn overview(core: &Core) -> Json {
    let world = core.world();
    let runtime = core.runtime();
    let orgs: Vec<Json> = world
        .orgs
        .iter()
        .map(|org| json!({"name": org.name, "id": org.id, "edition": org.edition, "sandbox": org.sandbox, "users": org.users.len()}))
        .collect();
    json!({"now": core.clock.now(), "orgs": orgs, "sessions": runtime.sessions.len(), "faults": runtime.faults.all().len()})
}

fn advance(core: &Core, body: &Json) -> Outcome {
    let by = body
        .get("advance")
        .cloned()
        .ok_or((400, "advance: a duration such as \"15m\"".to_owned()))?;
    core.clock.advance(parse::<SignedDuration>(by)?);
    Ok(json!({"now": core.clock.now()}))
}

fn revoke(core: &Core, body: &Json) -> Json {
    let username = body.get("username").and_then(Json::as_str);
    let org = body.get("org").and_then(Json::as_str);
    let world = core.world();
    let org_id = org.map(|name| {
        world
            .org_named(name)
            .map(|org| org.id.clone())
            .unwrap_or_default()
    });
    let revoked = core.runtime().sessions.revoke(|session| {
        username.is_none_or(|name| session.username.eq_ignore_ascii_case(name))
            && org_id.as_ref().is_none_or(|id| *id == session.org_id)
    });
    json!({"revoked": revoked})
}

/// Changes the world. Returns the reason when the change is refused or leaves the world invalid.
fn edit<R>(
    core: &Core,
    change: impl FnOnce(&mut World) -> Result<R, (u16, String)>,
) -> Result<R, (u16, String)> {
    let mut world = core.world_mut();
    let out = change(&mut world);
    world
        .prepare(core.clock.now())
        .map_err(|message| (400, message))?;
    out
}

fn org<'w>(world: &'w mut World, name: &str) -> Result<&'w mut Org, (u16, String)> {
    world
        .org_mut(name)
        .map_err(|error| (404, error.to_string()))
}

fn org_of<'w>(world: &'w World, name: &str) -> Result<&'w Org, (u16, String)> {
    world
        .org_named(name)
        .ok_or_else(|| (404, format!("no org {name:?}")))
}

fn user<'w>(world: &'w mut World, username: &str) -> Result<&'w mut User, (u16, String)> {
    world
        .user_mut(username)
        .map_err(|error| (404, error.to_string()))
}

fn parse<T: DeserializeOwned>(json: Json) -> Result<T, (u16, String)> {
    serde_json::from_value(json).map_err(|error| (400, error.to_string()))
}

fn to_json<T: Serialize>(value: &T) -> Outcome {
    serde_json::to_value(value).map_err(|error| (500, error.to_string()))
}

/// Returns the value after a JSON merge patch (RFC 7396).
fn patched<T: Serialize + DeserializeOwned>(value: &T, patch: Json) -> Result<T, (u16, String)> {
    let mut json = to_json(value)?;
    merge(&mut json, patch);
    parse(json)
}

fn merge(target: &mut Json, patch: Json) {
    match (target, patch) {
        (Json::Object(target), Json::Object(patch)) => {
            for (key, value) in patch {
                // Null is a value here, not an absent member: `maxLoginAttempts: null` means no
                // limit.
                merge(target.entry(key).or_insert(Json::Null), value);
            }
        }
        (target, patch) => *target = patch,
    }
}

/// Converts to JSON without passwords, tokens and secrets.
fn redacted<T: Serialize>(value: &T) -> Outcome {
    let mut json = to_json(value)?;
    redact(&mut json);
    Ok(json)
}

fn redact(json: &mut Json) {
    match json {
        Json::Object(map) => redact_map(map),
        Json::Array(list) => list.iter_mut().for_each(redact),
        _ => {}
    }
}

fn redact_map(map: &mut Map<String, Json>) {
    for (key, value) in map {
        if matches!(key.as_str(), "password" | "securityToken" | "clientSecret") && !value.is_null()
        {
            *value = json!("(redacted)");
        } else {
            redact(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_change_what_they_name() {
        let org = Org::enterprise("A").user(User::integration("i@a").password("p"));
        let changed: Org = patched(&org, json!({"api": false, "maxLoginAttempts": null})).unwrap();
        assert!(!changed.api && changed.max_login_attempts.is_none());
        assert_eq!(changed.users[0].password, "p");
        assert!(
            patched(&org, json!({"aip": false}))
                .unwrap_err()
                .1
                .contains("aip")
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = redacted(
            &Org::enterprise("A").user(User::integration("i@a").password("hunter2").token("t0ken")),
        )
        .unwrap();
        assert!(!shown.to_string().contains("hunter2") && !shown.to_string().contains("t0ken"));
    }
}
