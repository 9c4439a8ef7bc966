//! Where finished activations go: into the store, and into the journal if there is one.

use std::sync::Arc;

use crate::activation::{Activation, Texts};
use crate::journal::{Journal, Line};
use crate::json;
use crate::store::Store;

/// Keeps activations.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) store: Store,
    pub(crate) journal: Option<Journal>,
    /// Largest result that is kept, in bytes.
    pub(crate) max_result_bytes: usize,
}

impl Archive {
    /// Keeps an activation; where the disk cannot keep up, not in the journal.
    pub(crate) fn keep(&self, activation: &Arc<Activation>) {
        let kept = self.cut(activation);
        if let Some(journal) = &self.journal {
            // The journal counts what it loses.
            let _unwritten = journal.post(&Line::Ended(kept.clone()));
        }
        self.store.insert(&kept, activation.end_ms);
    }

    /// Keeps an activation that somebody was promised, and waits for the disk.
    pub(crate) async fn keep_surely(&self, activation: &Arc<Activation>) {
        let kept = self.cut(activation);
        self.store.insert(&kept, activation.end_ms);
        if let Some(journal) = &self.journal
            && let Err(error) = journal.write(&Line::Ended(kept)).await
        {
            tracing::error!(id = %activation.id, %error, "an activation will be taken for interrupted after a restart");
        }
    }

    /// The activation as it is kept: without its result if that is too large.
    fn cut(&self, activation: &Arc<Activation>) -> Arc<Activation> {
        let bytes = activation.texts.result().len();
        if bytes <= self.max_result_bytes {
            return activation.clone();
        }
        let text = format!(
            "The result of {bytes} bytes was not kept: there is room for {} bytes.",
            self.max_result_bytes
        );
        let texts = &activation.texts;
        let instead = json::object("error", &text);
        Arc::new(Activation {
            texts: Texts::new(texts.lambda(), texts.responder(), &instead),
            ..(**activation).clone()
        })
    }
}
