//! What a service's OpenAPI document lists, and what of it was seen.

use std::collections::BTreeSet;

use reqwest::Client;
use serde_json::Value;

/// A service's document, as it serves it.
pub(crate) struct Document {
    pub(crate) service: &'static str,
    /// Where the service is, as `http://127.0.0.1:PORT`.
    pub(crate) base: String,
    pub(crate) operations: Vec<Operation>,
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    /// As HTTP has it.
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) statuses: BTreeSet<u16>,
    pub(crate) takes_body: bool,
    /// Whether it waits for a `Duet-Position`.
    pub(crate) takes_position: bool,
    /// Whether its answer is a stream, which has no end.
    pub(crate) streams: bool,
}

impl Document {
    pub(crate) async fn of(service: &'static str, base: &str, client: &Client) -> Self {
        let answer = client.get(format!("{base}/openapi.json")).send().await;
        let text = answer.unwrap().text().await.unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap();
            methods
                .iter()
                .map(|(method, operation)| Operation::read(method, path, operation))
        });
        Document {
            service,
            base: base.to_owned(),
            operations: operations.collect(),
        }
    }

    /// The operation that a request is of, if it is of one.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<&Operation> {
        let of = |operation: &&Operation| {
            let (template, path) = (operation.path.split('/'), path.split('/'));
            operation.method == method
                && template.clone().count() == path.clone().count()
                && template
                    .zip(path)
                    .all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
        };
        // A path with fewer parameters is the more exact one.
        let parameters = |operation: &&Operation| operation.path.matches('{').count();
        self.operations.iter().filter(of).min_by_key(parameters)
    }
}

impl Operation {
    fn read(method: &str, path: &str, operation: &Value) -> Self {
        let responses = operation["responses"].as_object().unwrap();
        let statuses = responses.keys().map(|status| {
            let exact = status.parse();
            exact.unwrap_or_else(|_| panic!("{method} {path}: {status} is no exact status"))
        });
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        let success = &responses["200"]["content"];
        Operation {
            id: operation["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase(),
            path: path.to_owned(),
            statuses: statuses.collect(),
            takes_body: operation.get("requestBody").is_some(),
            takes_position: parameters.any(|parameter| parameter["name"] == "Duet-Position"),
            streams: success.get("text/event-stream").is_some(),
        }
    }
}

/// Which statuses of which operations were answered.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeSet<(String, u16)>);

impl Seen {
    pub(crate) fn note(&mut self, operation: &Operation, status: u16) {
        assert!(
            operation.statuses.contains(&status),
            "{} answered {status}, which its document does not list",
            operation.id
        );
        self.0.insert((operation.id.clone(), status));
    }

    /// What the documents list beyond that.
    pub(crate) fn missing(&self, documents: &[Document]) -> Vec<String> {
        let operations = documents.iter().flat_map(|document| &document.operations);
        let listed = operations.flat_map(|operation| {
            let statuses = operation.statuses.iter();
            statuses.map(|status| (operation.id.clone(), *status))
        });
        listed
            .filter(|listed| !self.0.contains(listed))
            .map(|(id, status)| format!("{id}: {status}"))
            .collect()
    }
}
