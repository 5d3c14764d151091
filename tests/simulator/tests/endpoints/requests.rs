//! Tests of requests as foreign clients send them.

use salesforce_simulator::{Fault, HostRole, Record};
use serde_json::{Value as Json, json};

use crate::*;

/// Status and body of a request.
async fn ask(
    sim: &Simulator,
    token: &str,
    method: &str,
    path: &str,
    body: Option<Json>,
) -> (u16, Json) {
    let response = send(sim, token, method, path, body).await;
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

#[tokio::test]
async fn head_is_answered_like_get_without_a_body() {
    let sim = start().await;
    let token = session(&sim).await;
    for path in [
        "/services/data/",
        "/services/data/v60.0/sobjects/Contact/describe",
    ] {
        let head = client(&sim)
            .head(format!("{}{path}", sim.url()))
            .bearer_auth(&token);
        let head = head.send().await.unwrap();
        assert_eq!(head.status(), 200, "{path}");
        assert!(head.text().await.unwrap().is_empty());
        assert_eq!(ask(&sim, &token, "GET", path, None).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn a_version_has_one_spelling() {
    let sim = start().await;
    let token = session(&sim).await;
    for (version, status) in [
        ("v60.0", 200),
        ("v060.0", 404),
        ("v60", 404),
        ("60.0", 404),
        ("v6e1", 404),
        ("v60.00", 404),
        ("v60.5", 404),
        ("v+60.0", 404),
        ("v99.0", 404),
    ] {
        let path = format!("/services/data/{version}/sobjects");
        assert_eq!(
            ask(&sim, &token, "GET", &path, None).await.0,
            status,
            "{version}"
        );
    }
    for (version, status) in [("41.0", 404), ("42.0", 200)] {
        let path = format!("/services/data/v{version}/composite/sobjects");
        let body = Some(json!({"records": []}));
        assert_eq!(
            ask(&sim, &token, "POST", &path, body).await.0,
            status,
            "{version}"
        );
    }
}

#[tokio::test]
async fn a_body_is_json_and_says_so() {
    let sim = start().await;
    let token = login(&sim, "admin@acme.example", "a").await;
    let send = async |kind: Option<&str>| {
        let url = format!("{}/services/data/v60.0/sobjects/Contact", sim.url());
        let request = client(&sim).post(url).bearer_auth(&token);
        let request = match kind {
            Some(kind) => request.header("Content-Type", kind),
            None => request,
        };
        let sent = request
            .body("{\"LastName\": \"Kato\"}")
            .send()
            .await
            .unwrap();
        (sent.status().as_u16(), sent.json::<Json>().await.unwrap())
    };
    for kind in [
        Some("application/json; charset=UTF-8"),
        Some("Application/JSON"),
        None,
    ] {
        assert_eq!(send(kind).await.0, 201, "{kind:?}");
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
    ] {
        let (status, body) = send(Some(kind)).await;
        assert_eq!(
            (status, &body[0]["errorCode"]),
            (415, &json!("UNSUPPORTED_MEDIA_TYPE"))
        );
    }
}

#[tokio::test]
async fn a_locked_row_names_no_fields() {
    let sim = start().await;
    let token = session(&sim).await;
    sim.fault(Fault::error("UNABLE_TO_LOCK_ROW").once());
    let (status, body) = ask(&sim, &token, "GET", "/services/data/v60.0/sobjects", None).await;
    assert_eq!((status, &body[0]["fields"]), (400, &json!([])));
}

#[tokio::test]
async fn a_person_contact_goes_with_its_account_only() {
    let sim = start().await;
    let (account, contact) = sim
        .edit_org("Acme", |org| {
            org.person_accounts = true;
            let account = org
                .insert("Account", Record::person_account("Ken", "Ito"))
                .unwrap();
            let mut contacts = org.all("Contact").into_iter();
            let ken = contacts
                .find(|contact| contact["FirstName"] == "Ken")
                .unwrap();
            (account, ken["Id"].as_str().unwrap().to_owned())
        })
        .unwrap();
    let token = login(&sim, "admin@acme.example", "a").await;
    let path = format!("/services/data/v60.0/sobjects/Contact/{contact}");
    let (status, body) = ask(&sim, &token, "DELETE", &path, None).await;
    assert_eq!(
        (status, &body[0]["errorCode"]),
        (400, &json!("DELETE_FAILED"))
    );
    let path = format!("/services/data/v60.0/sobjects/Account/{account}");
    assert_eq!(ask(&sim, &token, "DELETE", &path, None).await.0, 204);
    assert_eq!(sim.edit_org("Acme", |org| org.count("Contact")).unwrap(), 1);
}

#[tokio::test]
async fn a_task_belongs_to_records_that_there_are() {
    let sim = start().await;
    let id = |object: &'static str, at: usize| {
        let all = sim.edit_org("Acme", |org| org.all(object)).unwrap();
        all[at]["Id"].as_str().unwrap().to_owned()
    };
    let (contact, lead, account) = (id("Contact", 0), id("Lead", 0), id("Account", 0));
    let token = login(&sim, "admin@acme.example", "a").await;
    let gone = format!("{}zzz", &contact[..12]);
    for (who, what, code) in [
        (Some(&contact), Some(&account), None),
        (Some(&lead), None, None),
        (None, Some(&account), None),
        (Some(&account), None, Some("FIELD_INTEGRITY_EXCEPTION")),
        (None, Some(&contact), Some("FIELD_INTEGRITY_EXCEPTION")),
        (
            Some(&lead),
            Some(&account),
            Some("FIELD_INTEGRITY_EXCEPTION"),
        ),
        (Some(&gone), None, Some("INVALID_CROSS_REFERENCE_KEY")),
    ] {
        let body = json!({"Subject": "Call", "WhoId": who, "WhatId": what});
        let path = "/services/data/v60.0/sobjects/Task";
        let (status, answer) = ask(&sim, &token, "POST", path, Some(body.clone())).await;
        match code {
            None => assert_eq!(status, 201, "{body} {answer}"),
            Some(code) => assert_eq!(
                (status, &answer[0]["errorCode"]),
                (400, &json!(code)),
                "{body}"
            ),
        }
    }
}

#[tokio::test]
async fn child_rows_count_towards_a_page() {
    let sim = start().await;
    sim.edit_org("Acme", |org| {
        for number in 0..30 {
            let name = format!("A{number}");
            org.insert("Account", Record::account(&name)).unwrap();
            for _ in 0..99 {
                org.insert("Contact", Record::person("X").of_account(&name))
                    .unwrap();
            }
        }
    })
    .unwrap();
    let token = session(&sim).await;
    let soql = "SELECT Id, (SELECT Id FROM Contacts) FROM Account WHERE Name LIKE 'A%'";
    let soql = format!("{soql} AND Name != 'Acme KK'");
    let (_, mut page) = query(&sim, &token, &soql).await;
    let mut counts = Vec::new();
    loop {
        counts.push(page["records"].as_array().unwrap().len());
        let Some(next) = page["nextRecordsUrl"].as_str() else {
            break;
        };
        page = ask(&sim, &token, "GET", next, None).await.1;
    }
    assert_eq!(counts, [20, 10]);
    let many = |count: usize| {
        let subs = vec!["(SELECT Id FROM Contacts)"; count].join(", ");
        format!("SELECT Id, {subs} FROM Account")
    };
    let (_, refused) = query(&sim, &token, &many(21)).await;
    assert_eq!(refused[0]["errorCode"], "MALFORMED_QUERY");
}

#[tokio::test]
async fn what_salesforce_refuses_is_refused() {
    let sim = start().await;
    let token = login(&sim, "admin@acme.example", "a").await;
    let data = "/services/data/v60.0";
    assert_eq!(
        ask(&sim, &token, "GET", &format!("/{data}/sobjects"), None)
            .await
            .0,
        404
    );
    let graph = format!("{data}/composite/graph");
    let (status, _) = ask(&sim, &token, "POST", &graph, Some(json!({"graphs": []}))).await;
    assert_eq!(status, 400, "a request without graphs");
    let (status, body) = ask(&sim, &token, "DELETE", &format!("{data}/query"), None).await;
    let message = body[0]["message"].as_str().unwrap();
    assert_eq!(
        (status, message.matches("DELETE").count()),
        (405, 1),
        "{message}"
    );
    for resource in ["limits", "jobs/query"] {
        let part =
            json!({"method": "GET", "url": format!("{data}/{resource}"), "referenceId": "a"});
        let body = Some(json!({"compositeRequest": [part]}));
        let (_, body) = ask(&sim, &token, "POST", &format!("{data}/composite"), body).await;
        assert_eq!(
            body["compositeResponse"][0]["httpStatusCode"], 400,
            "{resource}"
        );
    }
    for soql in [
        "SELECT COUNT() FROM Contact ORDER BY Id",
        "SELECT Id FROM Task ORDER BY Description",
    ] {
        let (_, body) = query(&sim, &token, soql).await;
        assert_eq!(body[0]["errorCode"], "MALFORMED_QUERY", "{soql}: {body}");
    }
}

#[tokio::test]
async fn records_of_a_tree_are_made_together_or_not_at_all() {
    let sim = start().await;
    let token = login(&sim, "admin@acme.example", "a").await;
    let tree = "/services/data/v60.0/composite/tree/Contact";
    let record = |reference: &str, name: Option<&str>| json!({"attributes": {"type": "Contact", "referenceId": reference}, "LastName": name});
    let calls = sim.counters().api_calls();
    let both = json!({"records": [record("a", Some("Ito")), record("b", Some("Mori"))]});
    let (status, body) = ask(&sim, &token, "POST", tree, Some(both)).await;
    assert_eq!((status, &body["hasErrors"]), (201, &json!(false)), "{body}");
    assert_eq!(body["results"][1]["referenceId"], "b");
    let contacts = sim.edit_org("Acme", |org| org.all("Contact")).unwrap();
    assert_eq!(contacts[2]["Id"], body["results"][1]["id"]);
    assert_eq!(sim.counters().api_calls() - calls, 1);

    let half = json!({"records": [record("a", Some("Ono")), record("b", None)]});
    let (status, body) = ask(&sim, &token, "POST", tree, Some(half)).await;
    assert_eq!((status, &body["hasErrors"]), (400, &json!(true)), "{body}");
    assert_eq!(body["results"].as_array().unwrap().len(), 1);
    assert_eq!(body["results"][0]["referenceId"], "b");
    let twice = json!({"records": [record("a", Some("Ono")), record("a", Some("Oda"))]});
    let (status, body) = ask(&sim, &token, "POST", tree, Some(twice)).await;
    assert_eq!(
        (status, &body[0]["errorCode"]),
        (400, &json!("INVALID_INPUT"))
    );
    let after = sim.edit_org("Acme", |org| org.all("Contact")).unwrap();
    assert_eq!(after, contacts);
}

#[tokio::test]
async fn a_tree_makes_children_of_what_it_makes() {
    let sim = start().await;
    let token = login(&sim, "admin@acme.example", "a").await;
    let tree = "/services/data/v60.0/composite/tree/Account";
    let attributes = |kind: &str, id: &str| json!({"type": kind, "referenceId": id});
    let account = |id: &str, person: Option<&str>| {
        json!({"records": [
            {"attributes": attributes("Account", id), "Name": "Momo KK", "Contacts": {"records": [
                {"attributes": attributes("Contact", "child"), "LastName": person, "Phone": "03-5555-0001"}
            ]}},
            {"attributes": attributes("Account", "other"), "Name": "Nashi KK"},
        ]})
    };
    let (status, body) = ask(&sim, &token, "POST", tree, Some(account("a", Some("Ono")))).await;
    assert_eq!((status, &body["hasErrors"]), (201, &json!(false)), "{body}");
    let told: Vec<&Json> = body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["referenceId"])
        .collect();
    assert_eq!(told, ["a", "other", "child"]);
    let (_, found) = query(
        &sim,
        &token,
        "SELECT LastName FROM Contact WHERE Account.Name = 'Momo KK'",
    )
    .await;
    assert_eq!(found["records"][0]["LastName"], "Ono");

    let (status, body) = ask(&sim, &token, "POST", tree, Some(account("a", None))).await;
    assert_eq!(
        (status, &body["results"][0]["referenceId"]),
        (400, &json!("child")),
        "{body}"
    );
    let (_, found) = query(
        &sim,
        &token,
        "SELECT COUNT() FROM Account WHERE Name = 'Nashi KK'",
    )
    .await;
    assert_eq!(found["totalSize"], 1, "all or nothing");
    let stranger = json!({"records": [{"attributes": attributes("Account", "a"), "Name": "x", "Pears": {"records": []}}]});
    let (status, body) = ask(&sim, &token, "POST", tree, Some(stranger)).await;
    assert_eq!(
        (status, &body[0]["errorCode"]),
        (400, &json!("INVALID_INPUT"))
    );
}

#[tokio::test]
async fn a_graph_succeeds_whole_or_not_at_all_and_leaves_the_others() {
    let sim = start().await;
    let token = login(&sim, "admin@acme.example", "a").await;
    let post = |id: &str, object: &str, body: Json| json!({"method": "POST", "url": format!("/services/data/v60.0/sobjects/{object}"), "referenceId": id, "body": body});
    let graph = |id: &str, person: Option<&str>| {
        json!({"graphId": id, "compositeRequest": [
            post("company", "Account", json!({"Name": id})),
            post("person", "Contact", json!({"LastName": person, "AccountId": "@{company.id}"})),
        ]})
    };
    let body = json!({"graphs": [graph("good", Some("Ono")), graph("bad", None)]});
    let calls = sim.counters().api_calls();
    let path = "/services/data/v60.0/composite/graph";
    let (status, answer) = ask(&sim, &token, "POST", path, Some(body.clone())).await;
    assert_eq!(status, 200, "{answer}");
    let graphs = answer["graphs"].as_array().unwrap();
    let told: Vec<_> = graphs
        .iter()
        .map(|g| (&g["graphId"], &g["isSuccessful"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("good"), &json!(true)),
            (&json!("bad"), &json!(false))
        ]
    );
    let of_bad = &graphs[1]["graphResponse"]["compositeResponse"];
    assert_eq!(of_bad[0]["body"][0]["errorCode"], "PROCESSING_HALTED");
    let (_, found) = query(
        &sim,
        &token,
        "SELECT Name FROM Account WHERE Name IN ('good', 'bad')",
    )
    .await;
    assert_eq!(
        (&found["totalSize"], &found["records"][0]["Name"]),
        (&json!(1), &json!("good"))
    );
    assert_eq!(sim.counters().api_calls() - calls, 2);
    let old = "/services/data/v49.0/composite/graph";
    assert_eq!(ask(&sim, &token, "POST", old, Some(body)).await.0, 404);
}

#[tokio::test]
async fn a_collection_reads_records_in_the_order_of_their_ids() {
    let sim = start().await;
    let token = login(&sim, "admin@acme.example", "a").await;
    let path = "/services/data/v60.0/composite/sobjects/Contact";
    let ids = sim
        .edit_org("Acme", |org| {
            org.insert("Contact", Record::person("Ito")).unwrap();
            org.ids("Contact", false)
        })
        .unwrap();
    let nobody = "003000000000000AAA";
    let by_get = format!("{path}?ids={},{nobody},{}&fields=LastName", ids[1], ids[0]);
    let body = json!({"ids": [ids[1], nobody, ids[0]], "fields": ["LastName"]});
    for (method, path, body) in [("GET", &*by_get, None), ("POST", path, Some(body))] {
        let (status, body) = ask(&sim, &token, method, path, body).await;
        assert_eq!(status, 200, "{body}");
        let names: Vec<_> = body
            .as_array()
            .unwrap()
            .iter()
            .map(|r| &r["LastName"])
            .collect();
        assert_eq!(
            names,
            [&json!("Ito"), &json!(null), &json!("Sato")],
            "{body}"
        );
        assert_eq!(body[1], json!(null));
        assert_eq!(body[0]["attributes"]["type"], "Contact");
    }
    let (status, body) = ask(&sim, &token, "GET", path, None).await;
    assert_eq!(
        (status, &body[0]["errorCode"]),
        (400, &json!("MISSING_ARGUMENT"))
    );
    let old = by_get.replace("v60.0", "v41.0");
    assert_eq!(ask(&sim, &token, "GET", &old, None).await.0, 404);
}

#[tokio::test]
async fn what_is_used_is_told_to_nobody_and_in_retired_versions_too() {
    let sim = start().await;
    let token = login(&sim, "admin@acme.example", "a").await;
    query(&sim, &token, "SELECT Id FROM Contact").await;
    let path = |version: &str| format!("/services/data/v{version}/query?q=SELECT+Id+FROM+Contact");
    for (token, version, status) in [("nobody", "60.0", 401), (&*token, "30.0", 410)] {
        let answer = send(&sim, token, "GET", &path(version), None).await;
        assert_eq!(answer.status(), status);
        let told = answer.headers().get("sforce-limit-info");
        let told = told.unwrap_or_else(|| panic!("no usage with {status}"));
        assert!(
            told.to_str().unwrap().starts_with("api-usage=1/"),
            "{told:?}"
        );
    }
}

/// Members without which foreign clients read no describe.
#[tokio::test]
async fn a_describe_has_the_members_that_clients_need() {
    let sim = start().await;
    let token = login(&sim, "admin@acme.example", "a").await;
    let path = "/services/data/v60.0/sobjects/Contact/describe";
    let (_, described) = ask(&sim, &token, "GET", path, None).await;
    let fields = described["fields"].as_array().unwrap();
    for field in fields {
        for member in [
            "cascadeDelete",
            "defaultValue",
            "externalId",
            "restrictedPicklist",
        ] {
            assert!(field.get(member).is_some(), "{}: {member}", field["name"]);
        }
    }
    let deleted = fields
        .iter()
        .find(|field| field["name"] == "IsDeleted")
        .unwrap();
    assert_eq!(deleted["defaultValue"], false);
}

#[tokio::test]
async fn a_log_in_host_serves_no_queries_where_the_org_has_a_host_of_its_own() {
    let sim = Simulator::start(
        World::new()
            .org(acme())
            .host("login.test", HostRole::Production),
    );
    let sim = sim.await.unwrap();
    let token = session(&sim).await;
    let ca = Certificate::from_pem(sim.ca_pem().as_bytes()).unwrap();
    let http = Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .resolve("login.test", sim.address())
        .build()
        .unwrap();
    let asked = async |host: &str| {
        let url = format!("{}/services/data/v60.0/limits", sim.url_of(host));
        let answer = http.get(url).bearer_auth(&token).send().await.unwrap();
        answer.status().as_u16()
    };
    let (served, own) = (asked("login.test").await, asked("localhost").await);
    assert_eq!(served, own, "it is the org's host, too");
    let url = sim.url_of("localhost");
    sim.edit_org("Acme", |org| org.instance_url = Some(url))
        .unwrap();
    assert_eq!(asked("login.test").await, 404);
    assert_eq!(asked("localhost").await, own);
}
