//! Writes and reads XML: an escaping writer, and a reader that builds a small tree. The reader
//! refuses what a SOAP response never contains: document types, entities, deep nesting, too many
//! elements.

use quick_xml::events::Event;
use quick_xml::reader::Reader;

const MAX_DEPTH: usize = 32;
const MAX_ELEMENTS: usize = 10_000;
const MAX_ATTRIBUTES: usize = 32;

/// An element: its name without the prefix, its text, its children.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    text: String,
    nil: bool,
    children: Vec<Self>,
}

/// The reason why a text is refused as XML.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("it is not well-formed XML")]
    Malformed,
    #[error("it carries a document type or an entity")]
    DocumentType,
    #[error("it is nested too deeply or has too many elements or attributes")]
    TooBig,
}

/// Escapes a text for element content and attribute values. Characters that XML 1.0 cannot carry
/// become U+FFFD. Line breaks and tabs are written as references, so that no parser normalises
/// them.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    push_escaped(&mut escaped, text);
    escaped
}

/// Like [`escape`], but appends to the caller's buffer.
pub(crate) fn push_escaped(target: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '&' => target.push_str("&amp;"),
            '<' => target.push_str("&lt;"),
            '>' => target.push_str("&gt;"),
            '"' => target.push_str("&quot;"),
            '\'' => target.push_str("&apos;"),
            '\t' => target.push_str("&#9;"),
            '\n' => target.push_str("&#10;"),
            '\r' => target.push_str("&#13;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => target.push('\u{fffd}'),
            other => target.push(other),
        }
    }
}

impl Element {
    /// Reads a document and returns its root element.
    pub(crate) fn parse(text: &str) -> Result<Self, XmlError> {
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Self> = Vec::new();
        let mut count = 0;
        let mut root = None;
        loop {
            match reader.read_event().map_err(|_| XmlError::Malformed)? {
                Event::Start(start) => {
                    count += 1;
                    if open.len() >= MAX_DEPTH || count > MAX_ELEMENTS {
                        return Err(XmlError::TooBig);
                    }
                    if root.is_some() {
                        return Err(XmlError::Malformed);
                    }
                    open.push(Self::named(&start)?);
                }
                Event::Empty(start) => {
                    count += 1;
                    if count > MAX_ELEMENTS {
                        return Err(XmlError::TooBig);
                    }
                    close(Self::named(&start)?, &mut open, &mut root)?;
                }
                Event::End(_) => {
                    let element = open.pop().ok_or(XmlError::Malformed)?;
                    close(element, &mut open, &mut root)?;
                }
                Event::Text(text) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text.xml10_content());
                    } else if !text
                        .trim_matches(['\u{feff}', ' ', '\t', '\r', '\n'])
                        .is_empty()
                    {
                        return Err(XmlError::Malformed);
                    }
                }
                Event::CData(text) => {
                    open.last_mut()
                        .ok_or(XmlError::Malformed)?
                        .text
                        .push_str(&text.xml10_content());
                }
                Event::GeneralRef(reference) => {
                    let char = match &*reference {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        name if name.starts_with('#') => reference
                            .resolve_char_ref()
                            .ok()
                            .flatten()
                            .ok_or(XmlError::Malformed)?,
                        _ => return Err(XmlError::DocumentType),
                    };
                    open.last_mut().ok_or(XmlError::Malformed)?.text.push(char);
                }
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof if open.is_empty() => return root.ok_or(XmlError::Malformed),
                Event::Eof => return Err(XmlError::Malformed),
            }
        }
    }

    fn named(start: &quick_xml::events::BytesStart<'_>) -> Result<Self, XmlError> {
        let mut nil = false;
        // Whether a name comes twice is not checked: that compares each with all others.
        for (count, attribute) in start.attributes().with_checks(false).enumerate() {
            if count == MAX_ATTRIBUTES {
                return Err(XmlError::TooBig);
            }
            let attribute = attribute.map_err(|_| XmlError::Malformed)?;
            if attribute.key.local_name().as_ref() == "nil" {
                nil = matches!(&*attribute.value, "true" | "1");
            }
        }
        Ok(Self {
            name: start.local_name().as_ref().to_owned(),
            nil,
            ..Self::default()
        })
    }

    /// The name without its prefix.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The first child with this name, in any namespace.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The trimmed text of the child with this name; `None` if it is absent, nil or empty.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        let child = self.child(name)?;
        let text = child.text.trim();
        (!child.nil && !text.is_empty()).then_some(text)
    }

    /// The first element with this name in the whole tree, including this element.
    pub(crate) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// The trimmed text of this element.
    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }
}

fn close(
    element: Element,
    open: &mut [Element],
    root: &mut Option<Element>,
) -> Result<(), XmlError> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return Err(XmlError::Malformed),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]{0,40}") {
            let document = format!("<a><b>|{}|</b></a>", escape(&text));
            let element = Element::parse(&document).unwrap();
            prop_assert_eq!(element.text_of("b").unwrap(), format!("|{text}|"));
        }

        #[test]
        fn no_text_breaks_the_reader(text in "[<>&;/!?\\[\\]a-c='\" -]{0,60}") {
            let _ = Element::parse(&text);
        }
    }

    #[test]
    fn prefixes_do_not_matter_and_nil_is_nothing() {
        let document = "\u{feff}<?xml version=\"1.0\"?><S:Envelope xmlns:S='x'><S:Body><r:a xmlns:r='y'> 1 </r:a>\
            <b xsi:nil=\"true\"/><c/><d><![CDATA[<&]]></d></S:Body></S:Envelope>";
        let body = Element::parse(document).unwrap();
        let body = body.child("Body").unwrap();
        assert_eq!(body.text_of("a"), Some("1"));
        assert_eq!(body.text_of("b"), None);
        assert_eq!(body.text_of("c"), None);
        assert_eq!(body.text_of("d"), Some("<&"));
    }

    #[test]
    fn bombs_are_refused() {
        let entities = "<!DOCTYPE a [<!ENTITY x \"xx\">]><a>&x;</a>";
        assert_eq!(Element::parse(entities), Err(XmlError::DocumentType));
        assert_eq!(Element::parse("<a>&x;</a>"), Err(XmlError::DocumentType));
        assert_eq!(Element::parse(&"<a>".repeat(100)), Err(XmlError::TooBig));
        let many: String = (0..=MAX_ATTRIBUTES)
            .map(|at| format!(" x{at}=''"))
            .collect();
        for element in [format!("<a{many}/>"), format!("<a{many}></a>")] {
            assert_eq!(Element::parse(&element), Err(XmlError::TooBig));
        }
        let wide = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        assert_eq!(Element::parse(&wide), Err(XmlError::TooBig));
        for broken in ["", "<a>", "<a></b>", "text", "<a/><b/>", "<a/>text", "</a>"] {
            assert_eq!(Element::parse(broken), Err(XmlError::Malformed), "{broken}");
        }
    }
}
