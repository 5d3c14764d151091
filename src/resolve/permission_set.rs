//! The least permission set for the integration's user, as metadata to deploy. It follows from the
//! queries of a look-up: what they read, and nothing else.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Object;
use super::query::Shape;

/// The name of the permission set in Salesforce, and of its file.
pub const PERMISSION_SET: &str = "SwitchboardIntegration";

/// Fields that have no field-level security: system fields, and those that every record has
/// (facts: Salesforce 4.6). A deployment that names one is refused.
const ALWAYS_READABLE: [&str; 10] = [
    "Id",
    "Name",
    "Company",
    "IsConverted",
    "IsDeleted",
    "IsPersonAccount",
    "LastModifiedDate",
    "MasterRecordId",
    "OwnerId",
    "SystemModstamp",
];

/// The fields of a person account follow the field-level security of its contact
/// (facts: Salesforce 5.4).
const OF_PERSONS: &str = "Person";

/// The permission set as the file of a deployment.
pub fn permission_set() -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <PermissionSet xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n\
         \x20   <description>What Switchboard needs to look up who is behind a phone number, and nothing else.</description>\n",
    );
    for field in field_permissions() {
        let _ = write!(
            xml,
            "    <fieldPermissions>\n        <editable>false</editable>\n        <field>{field}</field>\n        \
             <readable>true</readable>\n    </fieldPermissions>\n"
        );
    }
    xml.push_str(
        "    <hasActivationRequired>false</hasActivationRequired>\n    <label>Switchboard Integration</label>\n",
    );
    // In the order of the names, as Salesforce writes the file.
    for object in [Object::Account, Object::Contact, Object::Lead] {
        if object == Object::Lead {
            xml.push_str("    <!-- A user with a Platform licence has no Lead: leave this block and the fields of Lead out. -->\n");
        }
        let _ = write!(
            xml,
            "    <objectPermissions>\n        <allowCreate>false</allowCreate>\n        <allowDelete>false</allowDelete>\n        \
             <allowEdit>false</allowEdit>\n        <allowRead>true</allowRead>\n        <modifyAllRecords>false</modifyAllRecords>\n        \
             <object>{object}</object>\n        <viewAllRecords>true</viewAllRecords>\n    </objectPermissions>\n"
        );
    }
    for (permission, why) in [
        ("ApiEnabled", None),
        (
            "EditTask",
            Some(
                "Only where calls are to be registered as activities; without it the status has the warning CannotCreateTask.",
            ),
        ),
    ] {
        if let Some(why) = why {
            let _ = writeln!(xml, "    <!-- {why} -->");
        }
        let _ = write!(
            xml,
            "    <userPermissions>\n        <enabled>true</enabled>\n        <name>{permission}</name>\n    </userPermissions>\n"
        );
    }
    xml.push_str("</PermissionSet>\n");
    xml
}

/// The fields that are read and that field-level security may hide, in the form `Contact.Phone`.
fn field_permissions() -> BTreeSet<String> {
    let shape = Shape::new(Some(true));
    let of_object = |object: Object| {
        let shape = &shape;
        let fields = shape.fields(object).filter_map(move |field| {
            // What is read over a lookup is read by its object's own right; the lookup has one,
            // too.
            let (own, through) = match field.split_once('.') {
                Some((lookup, through)) => (format!("{lookup}Id"), Some((lookup, through))),
                None => (field.to_owned(), None),
            };
            debug_assert!(through.is_none_or(|(lookup, field)| {
                lookup == "Owner" || ALWAYS_READABLE.contains(&field)
            }));
            Some(own).filter(|own| {
                !ALWAYS_READABLE.contains(&own.as_str()) && !own.starts_with(OF_PERSONS)
            })
        });
        fields.map(move |field| format!("{object}.{field}"))
    };
    Object::ALL.into_iter().flat_map(of_object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "docs/salesforce/SwitchboardIntegration.permissionset-meta.xml";

    #[test]
    fn the_file_is_what_the_code_says() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(&path, permission_set()).unwrap();
        }
        let file = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            file,
            permission_set(),
            "{FILE} has drifted: run 'make permission-set'"
        );
    }

    /// Each name in the SELECT lists and conditions of every query is granted, or always readable.
    #[test]
    fn every_field_of_every_query_is_readable_with_the_set() {
        let granted = field_permissions();
        let mut missing = BTreeSet::new();
        let mut asked = BTreeSet::new();
        let no_mobiles = {
            let mut shape = Shape::new(Some(true));
            shape.drop_object(Object::Contact);
            shape
        };
        for shape in [Shape::new(Some(true)), Shape::new(Some(false)), no_mobiles] {
            for query in shape.every_query() {
                let words = |text: &str| -> Vec<String> {
                    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '.';
                    let words = text.split(|c: char| !is_word(c));
                    words
                        .filter(|word| !word.is_empty())
                        .map(str::to_owned)
                        .collect()
                };
                let (select, rest) = query["SELECT ".len()..].split_once(" FROM ").unwrap();
                let (object, rest) = rest.split_once(' ').unwrap();
                let named = words(rest).into_iter().filter(|word| {
                    let keywords = [
                        "WHERE", "AND", "OR", "IN", "ORDER", "BY", "DESC", "LIMIT", "COUNT",
                        "false", "null", "x",
                    ];
                    !keywords.contains(&word.as_str())
                        && !word.starts_with(|c: char| c.is_ascii_digit())
                });
                let selected = words(select).into_iter().filter(|word| word != "COUNT");
                for field in selected.chain(named) {
                    let own = match field.split_once('.') {
                        Some((lookup, _)) => format!("{lookup}Id"),
                        None => field.clone(),
                    };
                    let full = format!("{object}.{own}");
                    asked.insert(full.clone());
                    let free =
                        ALWAYS_READABLE.contains(&own.as_str()) || own.starts_with(OF_PERSONS);
                    if !free && !granted.contains(&full) {
                        missing.insert(full);
                    }
                }
            }
        }
        assert!(missing.is_empty(), "not readable with the set: {missing:?}");
        let unused: Vec<_> = granted.difference(&asked).collect();
        assert!(unused.is_empty(), "granted and never read: {unused:?}");
    }

    #[test]
    fn nothing_but_reading_is_granted() {
        let xml = permission_set();
        for never in [
            "allowCreate",
            "allowDelete",
            "allowEdit",
            "modifyAllRecords",
            "editable",
        ] {
            assert!(
                xml.contains(&format!("<{never}>false</{never}>")),
                "{never}"
            );
            assert!(!xml.contains(&format!("<{never}>true")), "{never}");
        }
        assert_eq!(xml.matches("<userPermissions>").count(), 2);
    }
}
