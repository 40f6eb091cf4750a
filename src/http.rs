//! How memprof speaks to servers: who it says it is, and whose certificates it trusts.

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

/// Whether addresses of `https://` can be reached.
pub const HAS_TLS: bool = cfg!(feature = "tls");

/// Settings of an agent; a status that says no is no error.
pub fn settings() -> ConfigBuilder<AgentScope> {
    // A server of one's own house has a certificate that the system knows, and browsers do not.
    let roots = match HAS_TLS {
        true => RootCerts::PlatformVerifier,
        false => RootCerts::WebPki,
    };
    Agent::config_builder()
        .user_agent(concat!("memprof/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .http_status_as_error(false)
}
