//! TLS: one provider of cryptography for everything in this process.

/// Makes ring the provider, unless there is one. Its build needs a C compiler alone, and the other one, whose build takes
/// minutes, would be a second.
pub fn install() {
    // It fails where there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
