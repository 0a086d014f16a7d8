//! Rows of tables: lists with NocoBase's filters, and its unique keys.

use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use crate::error;

/// The value of this parameter.
pub(crate) fn param(query: &str, name: &str) -> Option<String> {
    let mut all = url::form_urlencoded::parse(query.as_bytes());
    all.find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
}

/// `filterByTk`; 0: none.
pub(crate) fn row_number(query: &str) -> u64 {
    param(query, "filterByTk").and_then(|v| v.parse().ok()).unwrap_or(0)
}

/// The rows that the query selects, with the fields that it names except those that the role cannot read.
pub(crate) fn list(rows: &[Value], query: &str, is_hidden: impl Fn(&str) -> bool) -> Response {
    let filter = param(query, "filter").map_or(json!({}), |v| serde_json::from_str(&v).unwrap());
    let paginated = param(query, "paginate").is_none_or(|value| value != "false");
    let size = param(query, "pageSize").map_or(20, |n| n.parse().unwrap());
    let size = if paginated { size } else { usize::MAX };
    let fields = param(query, "fields");
    let visible = |row: &Value| -> Value {
        let row = row.as_object().unwrap();
        let shown = |field: &str| !is_hidden(field);
        let fields: Map<_, _> = match &fields {
            Some(fields) => {
                let value = |f: &str| row.get(f).cloned().unwrap_or_default();
                fields.split(',').filter(|f| shown(f)).map(|f| (f.to_owned(), value(f))).collect()
            }
            None => row.iter().filter(|(f, _)| shown(f)).map(|(f, v)| (f.clone(), v.clone())).collect(),
        };
        fields.into()
    };
    let count = rows.iter().filter(|r| matches(r, &filter)).count();
    let found: Vec<Value> = rows.iter().filter(|r| matches(r, &filter)).take(size).map(visible).collect();
    axum::Json(json!({ "data": found, "meta": { "count": count, "page": 1 } })).into_response()
}

/// A refusal if another row has the same values in one of these unique keys; each key: fields, and its name in the message.
pub(crate) fn taken(rows: &[Value], row: &Value, keys: &[(&[&str], &str)]) -> Option<Response> {
    let same = |field: &&str, other: &Value| !other[*field].is_null() && other[*field] == row[*field];
    let taken =
        keys.iter().find(|(fields, _)| rows.iter().any(|other| fields.iter().all(|f| same(f, other))));
    taken.map(|(_, name)| error(400, &format!("{name} already exists"), None))
}

/// The part of NocoBase's filters that the gate uses.
pub(crate) fn matches(row: &Value, filter: &Value) -> bool {
    let Some(filter) = filter.as_object() else { return true };
    filter.iter().all(|(key, want)| match key.as_str() {
        "$and" => want.as_array().unwrap().iter().all(|f| matches(row, f)),
        "$or" => want.as_array().unwrap().iter().any(|f| matches(row, f)),
        field => field_matches(&row[field], want),
    })
}

fn field_matches(value: &Value, want: &Value) -> bool {
    let lower = |v: &Value| v.as_str().unwrap_or_default().to_ascii_lowercase();
    let plain = |v: &Value| !v.as_str().unwrap_or_default().contains(['_', '%', '\\']);
    let Some(operators) = want.as_object() else { return value == want };
    operators.iter().all(|(operator, want)| match operator.as_str() {
        "$in" => want.as_array().unwrap().contains(value),
        "$eq" => value == want,
        "$notEmpty" => value.as_str().is_some_and(|text| !text.is_empty()),
        // LIKE, ASCII case-insensitive, and as with SQLite without a match for special characters.
        "$startsWith" => plain(want) && lower(value).starts_with(&lower(want)),
        "$endWith" => plain(want) && lower(value).ends_with(&lower(want)),
        "$includes" => plain(want) && lower(value).contains(&lower(want)),
        other => panic!("the stand-in does not know {other}"),
    })
}
