//! SOAP envelopes: reads them within limits and escapes text that is written into them.

use std::borrow::Cow;

use quick_xml::NsReader;
use quick_xml::escape::escape;
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};

const MAX_DEPTH: usize = 32;
const MAX_NODES: usize = 10_000;

/// An XML element: its namespace, local name, text and children.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Node {
    /// Empty if it is in none.
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Self>,
}

impl Node {
    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first element of this name, at any depth.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// The text of the first child of this name.
    pub(super) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }
}

/// Parses a document; `Err` describes what is wrong with it.
pub(super) fn read(text: &str) -> Result<Node, String> {
    let mut reader = NsReader::from_str(text);
    let mut open = vec![Node::default()];
    let mut count = 0;
    loop {
        let (space, event) = reader
            .read_resolved_event()
            .map_err(|error| error.to_string())?;
        let namespace = match space {
            ResolveResult::Bound(Namespace(namespace)) => namespace.to_owned(),
            ResolveResult::Unbound => String::new(),
            ResolveResult::Unknown(prefix) => {
                return Err(format!("The prefix \"{prefix}\" is not bound"));
            }
        };
        match event {
            Event::Start(start) => {
                count += 1;
                if open.len() > MAX_DEPTH || count > MAX_NODES {
                    return Err("document is too large".to_owned());
                }
                open.push(Node {
                    namespace,
                    name: start.local_name().as_ref().to_owned(),
                    ..Node::default()
                });
            }
            Event::Empty(empty) => {
                count += 1;
                let node = Node {
                    namespace,
                    name: empty.local_name().as_ref().to_owned(),
                    ..Node::default()
                };
                if let Some(parent) = open.last_mut() {
                    parent.children.push(node);
                }
            }
            Event::End(_) => {
                let done = open.pop().unwrap_or_default();
                let parent = open.last_mut().ok_or("unexpected end of element")?;
                parent.children.push(done);
            }
            Event::Text(text) => append(&mut open, &text.xml10_content()),
            Event::CData(data) => append(&mut open, &data.xml10_content()),
            Event::GeneralRef(reference) => {
                let resolved = match reference
                    .resolve_char_ref()
                    .map_err(|error| error.to_string())?
                {
                    Some(c) => c.to_string(),
                    None => entity(&reference.xml10_content())?.to_owned(),
                };
                append(&mut open, &resolved);
            }
            Event::DocType(_) => return Err("DOCTYPE is not allowed".to_owned()),
            Event::Eof => break,
            _ => {}
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some(mut root), true) if root.children.len() == 1 => Ok(root.children.remove(0)),
        _ => Err("document is not complete".to_owned()),
    }
}

fn append(open: &mut [Node], text: &str) {
    if let Some(node) = open.last_mut() {
        node.text.push_str(text);
    }
}

fn entity(name: &str) -> Result<&'static str, String> {
    match name {
        "amp" => Ok("&"),
        "lt" => Ok("<"),
        "gt" => Ok(">"),
        "quot" => Ok("\""),
        "apos" => Ok("'"),
        _ => Err(format!("unknown entity &{name};")),
    }
}

/// Escapes text for XML.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read() {
        let root = read(
            "<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"x\"><e:Header/><e:Body><n:login xmlns:n=\"u\">\
             <n:username>a@b</n:username><n:password>p&amp;&#60;<![CDATA[<&]]> q</n:password></n:login></e:Body></e:Envelope>",
        )
        .unwrap();
        let login = root.find("login").unwrap();
        assert_eq!(
            (root.namespace.as_str(), login.namespace.as_str()),
            ("x", "u")
        );
        assert_eq!(login.child_text("username"), Some("a@b"));
        assert_eq!(login.child_text("password"), Some("p&<<& q"));
    }

    #[test]
    fn what_is_broken_or_hostile_is_refused() {
        assert!(read("<a><b></a>").is_err());
        assert!(read("").is_err());
        assert!(read("<a>").is_err());
        assert!(read("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>").is_err());
        assert!(read("<a>&x;</a>").is_err());
        assert!(read("<n:a/>").is_err());
        assert!(read(&format!("{}{}", "<a>".repeat(100), "</a>".repeat(100))).is_err());
    }
}
