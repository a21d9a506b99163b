//! Descriptions that become manifests.

use super::*;

#[test]
fn an_openapi_document_becomes_a_sound_manifest() {
    let document = json!({
        "openapi": "3.0.3",
        "info": {"title": "Pet Store!", "description": "Pets.\nMore."},
        "servers": [{"url": "https://pets.example/v1/"}],
        "security": [{"key": []}],
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
            "parameters": {"Pet": {"name": "pet-id", "in": "path", "required": true, "schema": {"type": "string"}}},
            "schemas": {"Pet": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string", "nullable": true}, "parent": {"$ref": "#/components/schemas/Pet"}}}}
        },
        "paths": {"/pets/{pet-id}": {
            "parameters": [{"$ref": "#/components/parameters/Pet"}],
            "get": {"operationId": "pets/get", "summary": "One pet", "parameters": [
                {"name": "expand", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}]},
            "put": {"requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}}
        }}
    });
    let Imported { manifest, notes } = import(&document, None, &[]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((&manifest["name"], &manifest["base_url"]), (&json!("pet-store"), &json!("https://pets.example/v1")));
    assert_eq!(manifest["auth"], json!({"api_key": {"in": "header", "name": "X-Key", "value": "{secrets.api_key}"}}));
    let get = &manifest["operations"]["pets-get"];
    assert_eq!((&get["path"], &get["query"]), (&json!("/pets/{pet_id}"), &json!({"expand": "${ .expand }"})));
    assert_eq!(get["input"]["required"], json!(["pet_id"]));
    let put = &manifest["operations"]["put-pets-pet-id"];
    assert_eq!(put["input"]["required"], json!(["pet_id", "body"]));
    assert_eq!(put["input"]["properties"]["body"], json!({"$ref": "#/$defs/Pet"}));
    let pet = &put["input"]["$defs"]["Pet"]["properties"];
    assert_eq!(pet["name"]["type"], json!(["string", "null"]));
    assert_eq!(pet["parent"], json!({"$ref": "#/$defs/Pet"}), "what returns to itself is written once");
    assert!(notes.is_empty(), "{notes:?}");
    let one = import(&document, None, &["pets-get".into()]).unwrap_or_else(|e| panic!("{e}")).manifest;
    assert_eq!(one["operations"].as_object().map(Map::len), Some(1));
    let gone = import(&document, None, &["pets-got".into()]).unwrap_err().to_string();
    assert!(gone.contains("pets-got") && gone.contains("did you mean \"pets-get\""), "{gone}");
}

#[test]
fn swagger_2_and_oauth_are_understood_and_the_rest_is_refused_by_name() {
    let document = json!({
        "swagger": "2.0", "info": {"title": "Old"}, "host": "old.example", "basePath": "/api", "schemes": ["https"],
        "securityDefinitions": {"o": {"type": "oauth2", "flow": "accessCode", "authorizationUrl": "https://old.example/a",
            "tokenUrl": "https://old.example/t", "scopes": {}}},
        "paths": {"/send": {"post": {"operationId": "send", "parameters": [
            {"name": "text", "in": "formData", "type": "string", "required": true}]}}}
    });
    let made = import(&document, Some("older"), &[]).unwrap_or_else(|e| panic!("{e}")).manifest;
    assert_eq!((&made["name"], &made["base_url"]), (&json!("older"), &json!("https://old.example/api")));
    assert_eq!(made["auth"]["oauth2"]["grant"], "authorization_code");
    assert_eq!(made["operations"]["send"]["form"], json!({"text": "${ .text }"}));
    let error = import(&json!({"asyncapi": "2.0"}), None, &[]).unwrap_err();
    assert!(error.to_string().contains("OpenAPI 3"), "{error}");
    assert!(import(&json!({"openapi": "3.1.0", "paths": {}}), None, &[]).is_err());
}

/// A description with one operation `go` whose body this is.
fn with_body(content: &Value, schemas: &Value) -> Value {
    json!({
        "openapi": "3.0.3", "info": {"title": "T"}, "servers": [{"url": "https://t.example"}],
        "components": {"schemas": schemas},
        "paths": {"/go": {
            "post": {"operationId": "go", "requestBody": {"required": true, "content": content}},
            "get": {"operationId": "look"}
        }}
    })
}

#[test]
fn schemas_that_refer_to_each_other_stay_as_small_as_they_are_and_still_say_what_fits() {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let many = json!({"type": "array", "items": reference("Node")});
    let node = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"}, "left": reference("Node"), "right": reference("Node"), "all": many, "kind": reference("Kind"),
        "owner": reference("Owner")}});
    let owner =
        json!({"type": "object", "properties": {"nodes": many, "same": reference("Alias"), "gone": reference("Gone")}});
    let schemas = json!({"Node": node, "Owner": owner, "Kind": {"type": "string"}, "Alias": reference("Owner")});
    let document = with_body(&json!({"application/json": {"schema": reference("Node")}}), &schemas);
    let Imported { manifest, notes } = import(&document, None, &[]).unwrap_or_else(|e| panic!("{e}"));
    let input = &manifest["operations"]["go"]["input"];
    let names: Vec<&String> = input["$defs"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["Node", "Owner"]);
    assert_eq!(
        input["$defs"]["Node"]["properties"]["kind"],
        json!({"type": "string"}),
        "what is small stands where it is"
    );
    assert_eq!(input["$defs"]["Owner"]["properties"]["same"], json!({"$ref": "#/$defs/Owner"}));
    assert!(manifest.to_string().len() < 2 * document.to_string().len(), "{manifest}");
    assert_eq!(notes, ["go: #/components/schemas/Gone is not in the description, so it may be anything"]);
    let schema = crate::schema::Schema::compile(input).unwrap();
    assert!(schema.fits(&json!({"body": {"name": "a", "left": {"name": "b"}, "all": [{"name": "c"}]}})));
    assert!(!schema.fits(&json!({"body": {"name": "a", "left": {"name": "b", "right": {"nam": "c"}}}})));
}

#[test]
fn an_operation_whose_body_can_not_be_sent_is_left_out_and_named() {
    let multipart = json!({"multipart/form-data": {"schema": {"type": "object"}}});
    let document = with_body(&multipart, &json!({}));
    let Imported { manifest, notes } = import(&document, None, &[]).unwrap_or_else(|e| panic!("{e}"));
    let operations: Vec<&String> = manifest["operations"].as_object().unwrap().keys().collect();
    assert_eq!(operations, ["look"]);
    assert_eq!(notes, ["go was left out: its body is multipart/form-data; JSON, forms and text can be sent"]);
    let asked = import(&document, None, &["go".into()]).unwrap_err().to_string();
    assert!(asked.contains("\"go\" can't be taken over: its body is multipart/form-data"), "{asked}");
    let text = with_body(&json!({"text/csv": {}}), &json!({}));
    let go = import(&text, None, &["go".into()]).unwrap_or_else(|e| panic!("{e}")).manifest["operations"]["go"].clone();
    assert_eq!((&go["text"], &go["content_type"]), (&json!("${ .body }"), &json!("text/csv")));
    let bare = with_body(&json!({"application/json": {}}), &json!({}));
    let go = import(&bare, None, &["go".into()]).unwrap_or_else(|e| panic!("{e}")).manifest["operations"]["go"].clone();
    assert_eq!(go["json"], "${ .body }");
    let old = json!({
        "swagger": "2.0", "info": {"title": "Old"}, "host": "old.example", "consumes": ["multipart/form-data"],
        "paths": {"/a": {"post": {"operationId": "upload", "parameters": [{"name": "f", "in": "formData", "type": "file"}]}},
            "/b": {"post": {"operationId": "parts", "parameters": [{"name": "x", "in": "formData", "type": "string"}]}}}
    });
    let error = import(&old, None, &[]).unwrap_err().to_string();
    assert!(error.contains("upload was left out") && error.contains("parts was left out"), "{error}");
}

/// Where the vendors' descriptions lie, each becomes a manifest that is sound.
#[test]
fn descriptions_of_vendors_can_be_imported() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/specs");
    let folder = std::env::var("NEXUS_SPECS").unwrap_or_else(|_| beside.to_owned());
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no specifications in {folder}");
        return;
    };
    let mut seen = 0;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(document) = serde_json::from_str::<Value>(&text) else { continue };
        if document.get("openapi").is_none() || document.get("paths").is_none() {
            continue;
        }
        let made = import(&document, Some("vendor"), &[]).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(made.manifest["operations"].as_object().is_some_and(|all| !all.is_empty()));
        seen += 1;
    }
    println!("{seen} descriptions were imported");
}
