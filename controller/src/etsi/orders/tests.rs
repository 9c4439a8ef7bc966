//! What a proxy is told, by example.

use super::super::proxy::Context;
use super::*;

fn computer(endpoint: &str, apps: &[&str]) -> Computer {
    Computer {
        endpoint: endpoint.to_owned(),
        apps: apps.iter().map(|app| (*app).to_owned()).collect(),
        workers: 1,
    }
}

/// A proxy that is told things.
#[derive(Debug, Default)]
struct Proxy {
    known: Known,
    restraint: Restraint,
}

impl Proxy {
    fn new() -> Self {
        let mut proxy = Self::default();
        proxy.known.apps = Some(BTreeSet::new());
        proxy
    }

    fn ask(&mut self, client: &str, app: &str) {
        let at = self.route(client, app).unwrap_or_default();
        self.known.contexts.push(Context {
            client: client.to_owned(),
            app: app.to_owned(),
            at,
        });
    }

    fn route(&self, client: &str, app: &str) -> Option<String> {
        let get = |client: &str| self.known.routes.get(&(app.to_owned(), client.to_owned()));
        get(client).or_else(|| get("")).cloned()
    }

    fn tell(&mut self, computers: &[Computer], seconds: &[(&str, f64)]) -> Vec<Order> {
        for computer in computers {
            self.restraint.seen.insert(computer.endpoint.clone());
            self.restraint
                .seen_apps
                .extend(computer.apps.iter().cloned());
        }
        let latency = |_: &str, endpoint: &str| {
            let found = seconds.iter().find(|(name, _)| *name == endpoint);
            found.map(|(_, seconds)| *seconds)
        };
        let orders = orders(&self.known, computers, latency, &self.restraint);
        for order in orders.clone() {
            let key = |app: String, client: String| (app, client);
            match order {
                Order::AddLambda(app) => drop(self.known.apps.as_mut().unwrap().insert(app)),
                Order::RemoveLambda(app) => drop(self.known.apps.as_mut().unwrap().remove(&app)),
                Order::Associate {
                    client,
                    app,
                    server,
                } => {
                    self.known.routes.insert(key(app, client), server);
                }
                Order::Dissociate { client, app } => {
                    drop(self.known.routes.remove(&key(app, client)));
                }
            }
        }
        let contexts = std::mem::take(&mut self.known.contexts);
        for Context { client, app, .. } in contexts {
            self.ask(&client, &app);
        }
        orders
    }

    fn places(&self) -> Vec<&str> {
        self.known
            .contexts
            .iter()
            .map(|context| context.at.as_str())
            .collect()
    }
}

#[test]
fn the_first_computer_is_the_default_and_the_last_takes_everything_with_it() {
    let mut proxy = Proxy::new();
    let (one, two) = (computer("h:1", &["a"]), computer("h:2", &["a"]));
    let orders = proxy.tell(std::slice::from_ref(&one), &[]);
    let associate = Order::Associate {
        client: String::new(),
        app: "a".to_owned(),
        server: "h:1".to_owned(),
    };
    assert_eq!(orders, [Order::AddLambda("a".to_owned()), associate]);
    proxy.ask("c", "a");
    assert_eq!(proxy.tell(&[one, two.clone()], &[]), []);
    proxy.tell(&[two], &[]);
    assert_eq!(proxy.places(), ["h:2"]);
    assert_eq!(proxy.known.routes.len(), 1);
    let orders = proxy.tell(&[], &[]);
    // The lambda goes after its route.
    let dissociate = Order::Dissociate {
        client: String::new(),
        app: "a".to_owned(),
    };
    assert_eq!(orders, [dissociate, Order::RemoveLambda("a".to_owned())]);
    assert_eq!(proxy.places(), [""]);
}

#[test]
fn contexts_go_where_it_is_faster_and_come_back_only_for_much() {
    let mut proxy = Proxy::new();
    let computers = [computer("h:1", &["a"]), computer("h:2", &["a"])];
    proxy.tell(&computers[..1], &[("h:1", 0.02)]);
    proxy.ask("c", "a");
    proxy.tell(&computers, &[("h:1", 0.02)]);
    assert_eq!(proxy.places(), ["h:1"]);
    proxy.tell(&computers, &[("h:1", 0.02), ("h:2", 0.005)]);
    assert_eq!(proxy.places(), ["h:2"]);
    assert_eq!(
        proxy.tell(&computers, &[("h:1", 0.005), ("h:2", 0.0055)]),
        []
    );
    proxy.tell(&computers, &[("h:1", 0.005), ("h:2", 0.5)]);
    assert_eq!(proxy.places(), ["h:1"]);
}

#[test]
fn no_route_leads_to_a_computer_that_is_gone() {
    let mut proxy = Proxy::new();
    let computers: Vec<_> = (0..4)
        .map(|n| computer(&format!("h:{n}"), &["a", "b"]))
        .collect();
    proxy.tell(&computers, &[]);
    for n in 0..200 {
        proxy.ask(&format!("c{n}"), if n % 2 == 0 { "a" } else { "b" });
    }
    for _ in 0..3 {
        proxy.tell(&computers, &[]);
    }
    assert_eq!(proxy.tell(&computers, &[]), []);
    proxy.tell(&computers[1..], &[]);
    assert!(proxy.known.routes.values().all(|server| server != "h:0"));
    assert!(
        proxy
            .places()
            .iter()
            .all(|at| *at != "h:0" && !at.is_empty())
    );
    // Clients that go away take their routes along.
    proxy.known.contexts.clear();
    proxy.tell(&computers[1..], &[]);
    assert_eq!(proxy.known.routes.len(), 2);
}

#[test]
fn who_was_moved_just_now_and_whose_sessions_would_suffer_stays() {
    let mut proxy = Proxy::new();
    let computers = [computer("h:1", &["a", "b"]), computer("h:2", &["a", "b"])];
    proxy.tell(&computers[..1], &[]);
    proxy.ask("c", "a");
    proxy.ask("c", "b");
    proxy
        .restraint
        .settling
        .insert(("c".to_owned(), "a".to_owned()));
    proxy.known.continuous.insert("b".to_owned());
    proxy.tell(&computers, &[("h:1", 1.0), ("h:2", 0.001)]);
    assert_eq!(proxy.places(), ["h:1", "h:1"]);
    proxy.tell(&computers[1..], &[]);
    assert_eq!(proxy.places(), ["h:2", "h:2"]);
}

#[test]
fn after_a_start_what_concerns_unseen_computers_stays_until_they_had_time_to_come_back() {
    let mut proxy = Proxy::new();
    let computers = [computer("h:1", &["a"]), computer("h:2", &["a"])];
    proxy.tell(&computers[..1], &[]);
    proxy.ask("c", "a");
    proxy.restraint = Restraint {
        starting: true,
        ..Restraint::default()
    };
    assert_eq!(proxy.tell(&[], &[]), []);
    assert_eq!(proxy.tell(&computers[1..], &[]), []);
    proxy.restraint.starting = false;
    proxy.tell(&computers[1..], &[]);
    assert_eq!(proxy.places(), ["h:2"]);
}

#[test]
fn a_proxy_that_does_not_list_its_lambdas_is_told_once() {
    let known = Known::default();
    let computers = [computer("h:1", &["a"])];
    let mut restraint = Restraint::default();
    let told = |restraint: &Restraint, computers: &[Computer]| {
        let orders = orders(&known, computers, |_, _| None, restraint);
        orders
            .into_iter()
            .filter(|o| matches!(o, Order::AddLambda(_) | Order::RemoveLambda(_)))
            .count()
    };
    assert_eq!(told(&restraint, &computers), 1);
    restraint.seen_apps.insert("a".to_owned());
    assert_eq!(told(&restraint, &computers), 0);
    assert_eq!(told(&restraint, &[]), 1);
}
