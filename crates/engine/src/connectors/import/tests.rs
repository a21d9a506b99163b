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
    assert_eq!(put["input"]["properties"]["body"]["properties"]["name"]["type"], json!(["string", "null"]));
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
