//! serde_json on a generated document: parsed into values, walked, changed and printed.

use serde_json::{Value, json};

use super::{Random, on_threads};

/// Each unit of the amount is a record of about 170 bytes.
pub fn run(amount: usize, threads: usize) -> u64 {
    on_threads(amount, threads, |number, amount| {
        let text = document(amount, &mut Random::new(number as u64 + 1));
        let value: Value = serde_json::from_str(&text).expect("valid JSON");
        let printed = value.to_string();
        printed.len() as u64 + leaves(&value)
    })
}

fn document(records: usize, random: &mut Random) -> String {
    let mut text = String::from("[");
    for number in 0..records {
        if number > 0 {
            text.push(',');
        }
        let record = json!({
            "id": number,
            "name": format!("name {:08x}", random.next() as u32),
            "active": random.below(2) == 0,
            "score": random.below(100_000) as f64 / 8.0,
            "tags": (0..random.below(6)).map(|tag| format!("tag{tag}")).collect::<Vec<_>>(),
            "place": { "city": "a city with a long name", "at": [random.below(180), random.below(90)] },
            "notes": null,
        });
        text.push_str(&record.to_string());
    }
    text.push(']');
    text
}

fn leaves(value: &Value) -> u64 {
    match value {
        Value::Array(items) => items.iter().map(leaves).sum(),
        Value::Object(fields) => fields.values().map(leaves).sum(),
        _ => 1,
    }
}
