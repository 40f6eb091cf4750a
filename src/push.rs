//! Sends a profile to a store that takes Pyroscope's `/ingest`: Pyroscope itself, Grafana's agents
//! and others.
//!
//! One `POST` with a form: the profile in pprof's form, and how the store is to read each of its
//! values.

use std::time::Duration;

use serde_json::json;
use thiserror::Error;

use crate::http;
use crate::report::Recording;

/// The store has so long to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Parts the form; it stands in no gzip of ours, which ends where its checksum says.
const BOUNDARY: &str = "memprof-3f1c9a5e7b2d4860-form";
/// So much of a refusal is shown.
const SHOWN: usize = 300;

/// Why a profile could not be sent.
#[derive(Debug, Error)]
pub enum PushError {
    /// TLS is not spoken.
    #[error(
        "this memprof was built without TLS: build it with the feature `tls`, push to an agent near by, or \
         `memprof export --format pprof` and send that with curl"
    )]
    Tls,
    /// No address of HTTP.
    #[error("`{0}` is no address: write one such as http://127.0.0.1:4040")]
    NoAddress(String),
    /// Nobody answers.
    #[error("cannot reach {url}: {error}; is the store running, and is that its address?")]
    Unreachable {
        /// The address.
        url: String,
        /// What went wrong.
        error: Box<ureq::Error>,
    },
    /// The store does not want it.
    #[error("{url} refused the profile with status {status}: {reason}")]
    Refused {
        /// The address.
        url: String,
        /// Status of HTTP.
        status: u16,
        /// The beginning of what it said.
        reason: String,
    },
}

/// Where to send a profile, and under which name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Address of the store, such as `http://127.0.0.1:4040`.
    pub url: String,
    /// Name of the application.
    pub name: String,
    /// Labels, as name and value.
    pub labels: Vec<(String, String)>,
}

/// Sends `pprof`, the profile of `recording` in pprof's form.
pub fn push(target: &Target, recording: &Recording, pprof: &[u8]) -> Result<(), PushError> {
    let base = target.url.trim_end_matches('/');
    let is_tls = base.starts_with("https://");
    if is_tls && !http::HAS_TLS {
        return Err(PushError::Tls);
    }
    if !is_tls && !base.starts_with("http://") {
        return Err(PushError::NoAddress(target.url.clone()));
    }
    let url = format!("{base}/ingest");
    let until = recording
        .started_unix_ns
        .saturating_add(recording.duration_ns);
    let config = http::settings().timeout_global(Some(PATIENCE)).build();
    let response = ureq::Agent::new_with_config(config)
        .post(&url)
        .query("name", application(target))
        .query("from", recording.started_unix_ns.to_string())
        .query("until", until.to_string())
        .query("format", "pprof")
        .query("spyName", "memprof")
        .content_type(format!("multipart/form-data; boundary={BOUNDARY}"))
        .send(&form(pprof)[..]);
    let mut response = response.map_err(|error| PushError::Unreachable {
        url: url.clone(),
        error: Box::new(error),
    })?;
    let status = response.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(());
    }
    let reason = (response
        .body_mut()
        .with_config()
        .limit(64 << 10)
        .read_to_string())
    .unwrap_or_default();
    Err(PushError::Refused {
        url,
        status,
        reason: reason.chars().take(SHOWN).collect(),
    })
}

/// `name{label=value,other=value}`, without the characters that part them.
fn application(target: &Target) -> String {
    let clean = |text: &str| text.replace(['{', '}', ',', '='], "_");
    let labels = target.labels.iter();
    let labels: Vec<String> = labels
        .map(|(name, value)| format!("{}={}", clean(name), clean(value)))
        .collect();
    match labels.as_slice() {
        [] => clean(&target.name),
        labels => format!("{}{{{}}}", clean(&target.name), labels.join(",")),
    }
}

fn form(pprof: &[u8]) -> Vec<u8> {
    let value = |units: &str, aggregation: &str| json!({"units": units, "aggregation": aggregation, "sampled": false});
    let config = json!({
        "alloc_objects": value("objects", "sum"),
        "alloc_space": value("bytes", "sum"),
        "inuse_objects": value("objects", "average"),
        "inuse_space": value("bytes", "average"),
        "peak_objects": value("objects", "average"),
        "peak_space": value("bytes", "average"),
    });
    let mut form = Vec::with_capacity(pprof.len() + 1024);
    let mut part = |name: &str, file: &str, body: &[u8]| {
        form.extend_from_slice(
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .as_bytes(),
        );
        form.extend_from_slice(body);
        form.extend_from_slice(b"\r\n");
    };
    part("profile", "profile.pprof", pprof);
    part(
        "sample_type_config",
        "sample_type_config.json",
        config.to_string().as_bytes(),
    );
    form.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    form
}
