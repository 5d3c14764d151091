//! Stand-in for the room `phone`, until it is merged.
#![allow(missing_docs)]
use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Region(String);
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct E164(String);
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotLookedUp(&'static str);

impl FromStr for Region {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 2 {
            Ok(Self(text.to_owned()))
        } else {
            Err("not a region")
        }
    }
}
impl FromStr for E164 {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('+') {
            Ok(Self(text.to_owned()))
        } else {
            Err("not E.164")
        }
    }
}
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Display for NotLookedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
pub fn parse(text: &str, _region: &Region) -> Result<E164, NotLookedUp> {
    let digits: String = text
        .chars()
        .filter(|c| c.is_ascii_digit() || *c == '+')
        .collect();
    match digits.as_str() {
        d if d.starts_with('+') && d.len() > 8 => Ok(E164(d.to_owned())),
        d if d.starts_with('0') && d.len() > 8 => Ok(E164(format!("+81{}", &d[1..]))),
        _ => Err(NotLookedUp("it is not a phone number")),
    }
}
