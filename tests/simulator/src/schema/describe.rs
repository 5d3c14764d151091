//! `describe`: objects and fields as a user sees them.

use serde_json::{Value as Json, json};

use super::{Field, Kind, ObjectType};
use crate::org::Org;
use crate::org::access::Access;

/// The short form, as `GET /sobjects` returns it.
pub(crate) fn brief(object: &ObjectType, access: &Access, version: &str) -> Json {
    let rights = access.on(object.name);
    let base = format!("/services/data/v{version}/sobjects/{}", object.name);
    json!({
        "activateable": false,
        "createable": object.stored && rights.create,
        "custom": false,
        "customSetting": false,
        "deletable": object.stored && rights.delete,
        "deprecatedAndHidden": false,
        "feedEnabled": false,
        "hasSubtypes": false,
        "isSubtype": false,
        "keyPrefix": object.prefix,
        "label": object.label,
        "labelPlural": object.plural,
        "layoutable": object.stored,
        "mergeable": false,
        "mruEnabled": object.stored,
        "name": object.name,
        "queryable": true,
        "replicateable": true,
        "retrieveable": true,
        "searchable": object.stored,
        "triggerable": object.stored,
        "undeletable": object.stored && rights.delete,
        "updateable": object.stored && rights.edit,
        "urls": {
            "sobject": base,
            "describe": format!("{base}/describe"),
            "rowTemplate": format!("{base}/{{ID}}"),
        },
    })
}

/// The long form, as `GET /sobjects/Contact/describe` returns it.
pub(crate) fn full(org: &Org, object: &ObjectType, access: &Access, version: &str) -> Json {
    let mut out = brief(object, access, version);
    let visible = object
        .fields
        .iter()
        .filter(|field| access.sees_field(org, object, field));
    let fields: Vec<Json> = visible
        .map(|field| describe_field(object, field, access))
        .collect();
    if let Some(map) = out.as_object_mut() {
        map.insert("fields".into(), Json::from(fields));
        map.insert(
            "childRelationships".into(),
            Json::from(child_relationships(org, object)),
        );
        map.insert("recordTypeInfos".into(), json!([]));
        map.insert(
            "supportedScopes".into(),
            json!([{"label": "All", "name": "everything"}]),
        );
    }
    out
}

fn describe_field(object: &ObjectType, field: &Field, access: &Access) -> Json {
    let rights = access.on(object.name);
    let composed = matches!(object.name, "Contact" | "Lead") && field.name == "Name";
    let writable = object.stored && !composed && access.writes_field(object, field);
    let filterable = field.kind != Kind::TextArea;
    let mut out = json!({
        "aggregatable": filterable,
        "autoNumber": false,
        "byteLength": field.length * 3,
        "calculated": false,
        "caseSensitive": false,
        "createable": writable && field.createable && rights.create,
        "custom": field.name.ends_with("__c"),
        "defaultedOnCreate": field.kind == Kind::Boolean || field.name == "OwnerId",
        "deprecatedAndHidden": false,
        "digits": 0,
        "filterable": filterable,
        "groupable": filterable,
        "idLookup": field.kind == Kind::Id,
        "label": field.label,
        "length": field.length,
        "name": field.name,
        "nameField": field.name == "Name" || (object.name == "Task" && field.name == "Subject"),
        "nillable": !field.required && !matches!(field.kind, Kind::Boolean | Kind::Id),
        "permissionable": !field.required && field.createable,
        "picklistValues": [],
        "polymorphicForeignKey": field.targets.len() > 1,
        "precision": 0,
        "referenceTo": field.targets,
        "relationshipName": field.relationship,
        "scale": 0,
        "soapType": field.kind.soap_type(),
        "sortable": filterable,
        "type": field.kind.describe_name(),
        "unique": false,
        "updateable": writable && field.updateable && rights.edit,
    });
    // Members that clients read and nothing here depends on.
    let further = json!({
        "cascadeDelete": false,
        "compoundFieldName": null,
        "controllerName": null,
        "defaultValue": (field.kind == Kind::Boolean).then_some(false),
        "defaultValueFormula": null,
        "dependentPicklist": false,
        "externalId": false,
        "htmlFormatted": false,
        "namePointing": field.targets.len() > 1,
        "queryByDistance": false,
        "relationshipOrder": null,
        "restrictedDelete": false,
        "restrictedPicklist": false,
        "writeRequiresMasterRead": false,
    });
    if let (Some(out), Json::Object(further)) = (out.as_object_mut(), further) {
        out.extend(further);
    }
    out
}

fn child_relationships(org: &Org, object: &ObjectType) -> Vec<Json> {
    let mut out = Vec::new();
    for child in org.schema.objects().filter(|child| child.stored) {
        for field in child
            .fields
            .iter()
            .filter(|field| field.targets.contains(&object.name))
        {
            out.push(json!({
                "cascadeDelete": false,
                "childSObject": child.name,
                "deprecatedAndHidden": false,
                "field": field.name,
                "relationshipName": (field.createable && field.name != "OwnerId").then_some(child.plural),
            }));
        }
    }
    out
}
