//! How memprof speaks to servers: who it says it is, and whose certificates it trusts.

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

/// Whether addresses of `https://` can be reached.
pub const HAS_TLS: bool = cfg!(feature = "tls");

/// Settings of an agent; a status that says no is no error.
pub fn settings() -> ConfigBuilder<AgentScope> {
    let settings = Agent::config_builder()
        .user_agent(concat!("memprof/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false);
    #[cfg(feature = "tls")]
    let settings = settings.tls_config(of_system());
    settings
}

/// A server of one's own house has a certificate that the system knows, and browsers do not.
#[cfg(feature = "tls")]
fn of_system() -> ureq::tls::TlsConfig {
    use ureq::tls::{RootCerts, TlsConfig};

    let roots = RootCerts::PlatformVerifier;
    TlsConfig::builder().root_certs(roots).build()
}
