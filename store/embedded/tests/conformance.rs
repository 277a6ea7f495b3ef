//! The embedded store does what every event store must do.

use canh_store_embedded::{EmbeddedConfig, EmbeddedStore};
use prometheus::Registry;

#[tokio::test]
async fn embedded_store_conforms() {
    let root = tempfile::tempdir().unwrap();
    let number = std::sync::atomic::AtomicU32::new(0);
    canh_store::conformance::run(async || {
        let n = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let config = EmbeddedConfig::new(root.path().join(n.to_string()));
        EmbeddedStore::open(config, &Registry::new()).unwrap()
    })
    .await;
}
