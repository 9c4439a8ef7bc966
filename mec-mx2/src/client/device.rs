//! A device that follows its applications wherever they go.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::ask::Asker;
use super::book::Contexts;
use super::receive::Receiver;
use super::{ClientError, Options};
use crate::model::{AppInfo, CallbackUri, ContextRequest, InstanceRequest, Profile, Reference};
use crate::root::ApiRoot;

/// Pauses between attempts to get a context again.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// A device: asks one server, and receives its notifications.
#[derive(Debug)]
pub struct Device {
    asker: Asker,
    contexts: Arc<Contexts>,
    receiver: Receiver,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// An application that is followed.
#[derive(Debug, Clone)]
pub struct Followed {
    device_app: Arc<str>,
    reference: watch::Receiver<Option<Reference>>,
    lost: Arc<Notify>,
}

impl Device {
    /// A device that receives notifications at `notification_uri`; port 0 picks a free one.
    ///
    /// # Errors
    /// If it cannot receive there.
    pub fn start(options: Options, notification_uri: &ApiRoot) -> Result<Self, ClientError> {
        let contexts = Arc::new(Contexts::default());
        Ok(Self {
            asker: Asker::new(options)?,
            receiver: Receiver::start(notification_uri, contexts.clone())?,
            contexts,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Finds the application of that name, of several the one with the smallest round trip,
    /// and follows it from now on: where it is reached is known when this returns, and kept
    /// up to date. If the server deletes the context, another one is asked for.
    ///
    /// # Errors
    /// If the server does not answer, has no such application, or refuses a context.
    pub async fn follow(&self, app: &str) -> Result<Followed, ClientError> {
        let (profile, apps) = self.asker.app_list().await?;
        let named = apps.into_iter().filter(|known| known.name == app);
        // Zero is not said, and no promise.
        let promise = |app: &AppInfo| match app.characteristics.latency {
            0 => u32::MAX,
            latency => latency,
        };
        let app = named
            .min_by_key(promise)
            .ok_or_else(|| self.asker.no_app(app))?;
        self.follow_app(&app, profile).await
    }

    /// As [`Self::follow`], for an application of a list.
    ///
    /// # Errors
    /// If the server does not answer or refuses a context.
    pub async fn follow_app(
        &self,
        app: &AppInfo,
        profile: Profile,
    ) -> Result<Followed, ClientError> {
        let device_app = Uuid::new_v4().simple().to_string();
        let callback = format!("{}/{device_app}", self.receiver.root());
        let callback = CallbackUri::parse(&callback).map_err(|reason| ClientError::Receiver {
            root: callback.clone(),
            reason: reason.to_owned(),
        })?;
        let request = request(app, profile, &device_app, callback);
        let lost = Arc::new(Notify::new());
        let reference = self.contexts.expect(&device_app, lost.clone());
        let created = self.asker.create(&request).await;
        let reply = match created {
            Ok(reply) => reply,
            Err(error) => {
                self.contexts.forget(&device_app);
                return Err(error);
            }
        };
        let first = reply
            .instances
            .into_iter()
            .next()
            .and_then(|(_, reference)| reference);
        self.contexts.created(&device_app, &reply.context_id, first);
        let keep = keep(
            self.asker.clone(),
            self.contexts.clone(),
            request,
            lost.clone(),
        );
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(keep).await;
        });
        Ok(Followed {
            device_app: device_app.into(),
            reference,
            lost,
        })
    }

    /// Deletes all contexts and stops receiving. Contexts that cannot be deleted are left
    /// to the server.
    pub async fn stop(&self, followed: &[Followed]) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        for followed in followed {
            if let Err(error) = self.leave(followed).await {
                tracing::warn!(%error, "a context could not be deleted");
            }
        }
        self.receiver.stop().await;
    }

    /// Deletes one context.
    ///
    /// # Errors
    /// If the server does not answer, or knows no such context.
    pub async fn leave(&self, followed: &Followed) -> Result<(), ClientError> {
        let known = self.contexts.context_id(&followed.device_app);
        self.contexts.forget(&followed.device_app);
        match known {
            Some(id) => match self.asker.delete(Profile::Standard, &id).await {
                Err(ClientError::Refused { .. }) => self.asker.delete(Profile::Legacy, &id).await,
                other => other,
            },
            None => Ok(()),
        }
    }
}

impl Followed {
    /// The identifier of the device application.
    pub fn device_app(&self) -> &str {
        &self.device_app
    }

    /// Where the application is reached; `None`: nowhere yet.
    pub fn reference(&self) -> Option<Reference> {
        self.reference.borrow().clone()
    }

    /// Waits until it may be reached somewhere else than `than`.
    pub async fn other(&self, than: Option<&Reference>) -> Option<Reference> {
        let mut reference = self.reference.clone();
        let changed = reference.wait_for(|now| now.as_ref() != than).await.is_ok();
        if !changed {
            // The device has stopped: nothing will.
            std::future::pending::<()>().await;
        }
        self.reference()
    }

    /// Says that the application is not reached there: the context may have been lost with
    /// its server, and is asked for again if so.
    pub fn doubt(&self) {
        self.lost.notify_one();
    }
}

fn request(
    app: &AppInfo,
    profile: Profile,
    device_app: &str,
    callback: CallbackUri,
) -> ContextRequest {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let standard = profile == Profile::Standard;
    ContextRequest {
        profile,
        context_id: None,
        device_app: device_app.to_owned(),
        callback: Some(callback),
        location_updates: None,
        auto_instantiation: None,
        d_id: text(&app.d_id).filter(|_| standard),
        name: app.name.clone(),
        provider: app.provider.clone(),
        soft_version: text(&app.soft_version),
        d_version: text(&app.d_version).filter(|_| standard),
        description: text(&app.description),
        package_source: None,
        instances: vec![InstanceRequest::default()],
    }
}

/// Asks for the context again whenever it is lost.
async fn keep(asker: Asker, contexts: Arc<Contexts>, request: ContextRequest, lost: Arc<Notify>) {
    loop {
        lost.notified().await;
        // Whoever is in doubt says so with every request.
        tokio::time::sleep(FIRST_RETRY).await;
        let mut pause = FIRST_RETRY;
        while let Err(error) = again(&asker, &contexts, &request).await {
            tracing::warn!(%error, "the context is lost, and not had again yet");
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
            pause = (pause * 2).min(LAST_RETRY);
        }
    }
}

async fn again(
    asker: &Asker,
    contexts: &Contexts,
    request: &ContextRequest,
) -> Result<(), ClientError> {
    if let Some(id) = contexts.context_id(&request.device_app)
        && asker.update(&id, request).await?
    {
        return Ok(());
    }
    contexts.renew(&request.device_app);
    let reply = asker.create(request).await?;
    let first = reply
        .instances
        .into_iter()
        .next()
        .and_then(|(_, reference)| reference);
    contexts.created(&request.device_app, &reply.context_id, first);
    tracing::info!(
        context = reply.context_id,
        "the context was lost; there is another one"
    );
    Ok(())
}
