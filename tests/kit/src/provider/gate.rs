//! A gate that holds requests back: order between requests without waiting for time to pass.

use std::sync::Arc;

use tokio::sync::watch;

/// Where requests wait until a test lets them go: what a sleep can only hope for, a gate makes sure of. A clone is a
/// handle to the same gate.
///
/// ```
/// # use tokenkeep_testing::{Endpoint, Fault, Gate, Provider};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let provider = Provider::start().await?;
/// let gate = Gate::new();
/// provider.faults().on(Endpoint::Jwks, Fault::Hold(gate.clone()));
/// let request = tokio::spawn(reqwest::get(format!("{}/jwks", provider.issuer())));
/// gate.arrived(1).await;
/// assert!(!request.is_finished());
/// gate.open();
/// assert!(request.await??.status().is_success());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Gate {
    state: Arc<watch::Sender<GateState>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct GateState {
    arrived: u64,
    open: bool,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::new(watch::Sender::new(GateState::default())),
        }
    }

    /// Waits until this many requests have come to the gate, those that were let go included.
    pub async fn arrived(&self, count: u64) {
        self.until(|state| state.arrived >= count).await;
    }

    /// Lets all requests go, those that come later as well.
    pub fn open(&self) {
        self.state.send_modify(|state| state.open = true);
    }

    /// Comes to the gate and waits until it is open: for a test's own stand-ins, which want to be held as the provider's
    /// requests are.
    pub async fn pass(&self) {
        self.state.send_modify(|state| state.arrived += 1);
        self.until(|state| state.open).await;
    }

    async fn until(&self, condition: impl FnMut(&GateState) -> bool) {
        // The sender is ours and lives as long as we wait, so that the channel cannot close.
        let _ = self.state.subscribe().wait_for(condition).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
