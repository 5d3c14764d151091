//! The objects and fields, with their types.
//!
//! The catalogue ([`catalogue`]) is fixed; an org copies it and adds its custom fields
//! ([`Schema`]). Module `org::access` decides whether a user can *see* a field or an object (person
//! accounts off, field-level security, no access).

mod catalogue;
pub(crate) mod describe;
mod value;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

pub(crate) use catalogue::USER_PERMISSIONS;
use serde::{Deserialize, Serialize};
pub use value::Value;
pub(crate) use value::{fold, parse_datetime};

/// Position of a field in its object; rows use it as key.
pub(crate) type FieldIx = u16;

/// The type of a field, as `describe` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// The record's own id.
    Id,
    /// The id of another record.
    Reference,
    /// Text of a single line.
    String,
    /// Long text, which can be read but not used in a filter.
    TextArea,
    /// A phone number, stored exactly as entered.
    Phone,
    /// An e-mail address.
    Email,
    /// A URL.
    Url,
    /// One value of a fixed list.
    Picklist,
    /// True or false; never null.
    Boolean,
    /// A whole number.
    Int,
    /// A number with a fraction.
    Double,
    /// A date without a time.
    Date,
    /// A date with a time.
    DateTime,
}

impl Kind {
    /// Whether values are text, so that literals need quotes.
    pub(crate) fn is_text(self) -> bool {
        !matches!(
            self,
            Self::Boolean | Self::Int | Self::Double | Self::Date | Self::DateTime
        )
    }

    /// The type's name in `describe`.
    pub(crate) fn describe_name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Reference => "reference",
            Self::String => "string",
            Self::TextArea => "textarea",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Url => "url",
            Self::Picklist => "picklist",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Double => "double",
            Self::Date => "date",
            Self::DateTime => "datetime",
        }
    }

    /// The `soapType` in `describe`.
    pub(crate) fn soap_type(self) -> &'static str {
        match self {
            Self::Id | Self::Reference => "tns:ID",
            Self::Boolean => "xsd:boolean",
            Self::Int => "xsd:int",
            Self::Double => "xsd:double",
            Self::Date => "xsd:date",
            Self::DateTime => "xsd:dateTime",
            _ => "xsd:string",
        }
    }
}

/// One field of an object.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) kind: Kind,
    pub(crate) length: usize,
    pub(crate) createable: bool,
    pub(crate) updateable: bool,
    /// Whether a new record must have a value.
    pub(crate) required: bool,
    /// Whether the field exists only in orgs with person accounts.
    pub(crate) person: bool,
    /// The relationship name in paths (`Account` for `AccountId`).
    pub(crate) relationship: Option<String>,
    /// The objects that the id may refer to.
    pub(crate) targets: Vec<&'static str>,
}

/// One object.
#[derive(Clone, Debug)]
pub(crate) struct ObjectType {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) prefix: &'static str,
    /// Whether rows are stored (`true`) or derived from the org's users and permissions (`false`).
    pub(crate) stored: bool,
    pub(crate) fields: Vec<Field>,
    by_name: HashMap<String, FieldIx>,
    by_relationship: HashMap<String, FieldIx>,
}

impl ObjectType {
    fn new(
        name: &'static str,
        label: &'static str,
        plural: &'static str,
        prefix: &'static str,
        stored: bool,
        fields: Vec<Field>,
    ) -> Self {
        let mut object = Self {
            name,
            label,
            plural,
            prefix,
            stored,
            fields: Vec::new(),
            by_name: HashMap::new(),
            by_relationship: HashMap::new(),
        };
        for field in fields {
            object.push(field);
        }
        object
    }

    fn push(&mut self, field: Field) {
        let ix = self.fields.len() as FieldIx;
        self.by_name.insert(field.name.to_ascii_lowercase(), ix);
        if let Some(relationship) = &field.relationship {
            self.by_relationship
                .insert(relationship.to_ascii_lowercase(), ix);
        }
        self.fields.push(field);
    }

    /// Finds a field by name, without regard to case.
    pub(crate) fn field(&self, name: &str) -> Option<FieldIx> {
        self.by_name.get(&name.to_ascii_lowercase()).copied()
    }

    /// Finds the reference field of a relationship name.
    pub(crate) fn relationship(&self, name: &str) -> Option<FieldIx> {
        self.by_relationship
            .get(&name.to_ascii_lowercase())
            .copied()
    }

    /// The field at this position.
    pub(crate) fn at(&self, ix: FieldIx) -> Option<&Field> {
        self.fields.get(usize::from(ix))
    }
}

/// A custom field that an org adds to an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomField {
    /// The API name; by convention it ends in `__c`.
    pub name: String,
    /// Type of the field; text by default.
    #[serde(default = "text")]
    pub kind: Kind,
}

fn text() -> Kind {
    Kind::String
}

/// The objects of one org.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    objects: Arc<BTreeMap<String, ObjectType>>,
}

impl Default for Schema {
    fn default() -> Self {
        static BASE: OnceLock<Schema> = OnceLock::new();
        BASE.get_or_init(|| {
            let objects = catalogue::objects()
                .into_iter()
                .map(|o| (o.name.to_ascii_lowercase(), o))
                .collect();
            Self {
                objects: Arc::new(objects),
            }
        })
        .clone()
    }
}

impl Schema {
    /// The catalogue plus these custom fields.
    pub(crate) fn with_custom_fields(custom: &BTreeMap<String, Vec<CustomField>>) -> Self {
        let mut schema = Self::default();
        if custom.values().all(Vec::is_empty) {
            return schema;
        }
        let objects = Arc::make_mut(&mut schema.objects);
        for (object, fields) in custom {
            if let Some(object) = objects.get_mut(&object.to_ascii_lowercase()) {
                for field in fields {
                    if object.field(&field.name).is_none() {
                        object.push(catalogue::custom(&field.name, field.kind));
                    }
                }
            }
        }
        schema
    }

    /// Finds an object by name, without regard to case.
    pub(crate) fn object(&self, name: &str) -> Option<&ObjectType> {
        self.objects.get(&name.to_ascii_lowercase())
    }

    /// Finds the object by the key prefix of a record id.
    pub(crate) fn object_of_id(&self, id: &str) -> Option<&ObjectType> {
        let prefix = id.get(..3)?;
        self.objects.values().find(|o| o.prefix == prefix)
    }

    /// The object of the records that a list of children holds, such as `Contacts` of an Account,
    /// and its field that refers to the parent.
    pub(crate) fn children(&self, parent: &str, list: &str) -> Option<(&ObjectType, FieldIx)> {
        let stored = self.objects().filter(|child| child.stored);
        let mut children = stored.filter(|child| child.plural.eq_ignore_ascii_case(list));
        children.find_map(|child| {
            let points_there = |relationship: &str| {
                let ix = child.relationship(relationship)?;
                child.at(ix)?.targets.contains(&parent).then_some(ix)
            };
            let through = points_there(parent)
                .or_else(|| points_there("Who"))
                .or_else(|| points_there("What"))?;
            Some((child, through))
        })
    }

    /// Every object.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &ObjectType> {
        self.objects.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        let schema = Schema::default();
        let contact = schema.object("contact").unwrap();
        assert_eq!(contact.name, "Contact");
        let phone = contact.field("mobilePHONE").unwrap();
        assert_eq!(contact.at(phone).unwrap().kind, Kind::Phone);
        let account = contact.relationship("account").unwrap();
        assert_eq!(contact.at(account).unwrap().targets, ["Account"]);
        assert!(schema.object("Nonsense__c").is_none());
    }

    #[test]
    fn custom_fields_are_added_once() {
        let fields = vec![CustomField {
            name: "Direct__c".into(),
            kind: Kind::Phone,
        }];
        let schema = Schema::with_custom_fields(&BTreeMap::from([("contact".to_owned(), fields)]));
        let ix = schema
            .object("Contact")
            .unwrap()
            .field("direct__C")
            .unwrap();
        assert_eq!(
            schema.object("Contact").unwrap().at(ix).unwrap().name,
            "Direct__c"
        );
        assert!(
            Schema::default()
                .object("Contact")
                .unwrap()
                .field("Direct__c")
                .is_none()
        );
    }

    #[test]
    fn every_relationship_leads_somewhere() {
        let schema = Schema::default();
        for object in schema.objects() {
            for field in &object.fields {
                for target in &field.targets {
                    assert!(
                        schema.object(target).is_some(),
                        "{}.{} -> {target}",
                        object.name,
                        field.name
                    );
                }
            }
        }
    }
}
