//! The tree of actors as a picture that can be taken at any time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use serde::Serialize;

use crate::events::Feed;
use crate::status::{Concern, Histogram, LastFailure, State, Status};

/// How many children of one supervisor a snapshot shows; the rest are counted.
pub const CHILDREN_SHOWN: usize = 100;

/// A message in hand for longer than this makes its actor unwell.
pub const STUCK_AFTER: Duration = Duration::from_secs(5);

/// One actor and what is below it.
pub(crate) struct Node {
    pub(crate) status: Arc<Status>,
    children: Mutex<IndexMap<String, Arc<Node>>>,
    /// Processing times of dynamic children, which come and go, summed by kind.
    kinds: Mutex<IndexMap<&'static str, Arc<Histogram>>>,
    pub(crate) feed: Feed,
}

impl Node {
    pub(crate) fn worker(status: Arc<Status>) -> Self {
        Self { status, children: Mutex::default(), kinds: Mutex::default(), feed: Feed::default() }
    }

    pub(crate) fn supervisor() -> Self {
        Self::worker(Arc::new(Status::new(0)))
    }

    pub(crate) fn insert(&self, id: &str, child: &Arc<Node>) {
        self.children.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), Arc::clone(child));
    }

    pub(crate) fn remove(&self, id: &str, dynamic: bool) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        if dynamic {
            children.swap_remove(id)
        } else {
            children.shift_remove(id)
        };
    }

    /// A new incarnation of a supervisor begins without the dynamic children of the former one.
    pub(crate) fn clear(&self) {
        self.children.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn times_of(&self, kind: &'static str) -> Arc<Histogram> {
        Arc::clone(self.kinds.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut survey = Survey::default();
        let tree = self.view(&mut survey);
        Snapshot { totals: survey.totals.clone(), unwell: survey.unwell(), tree }
    }

    /// The node at `path`, as its status names it: also one that a snapshot has no room for.
    pub(crate) fn find(self: &Arc<Self>, path: &str) -> Option<Arc<Node>> {
        let mut node = Arc::clone(self);
        for id in below(self.status.path(), path)? {
            let next = node.children.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()?;
            node = next;
        }
        Some(node)
    }

    fn view(&self, survey: &mut Survey) -> ActorView {
        let unwell = survey.examine(&self.status);
        let mut children: Vec<_> =
            self.children.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        if children.len() > CHILDREN_SHOWN {
            // Only where not all can be shown: else the order of start says more.
            children.sort_by_cached_key(|child| {
                complaint_of(&child.status).map_or(Weight::None, |complaint| complaint.weight)
            });
        }
        let mut view = ActorView::of(&self.status, unwell);
        for (index, child) in children.iter().enumerate() {
            if index < CHILDREN_SHOWN {
                view.children.push(child.view(survey));
            } else {
                survey.examine(&child.status);
            }
        }
        view.children_omitted = children.len().saturating_sub(CHILDREN_SHOWN);
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        view.kinds = kinds.iter().map(|(kind, times)| KindView { kind, processing: Processing::of(times) }).collect();
        view
    }
}

/// The ids that lead from a supervisor to what is at `path`; none for itself.
pub(crate) fn below<'a>(supervisor: &str, path: &'a str) -> Option<impl Iterator<Item = &'a str>> {
    let rest = path.strip_prefix(supervisor)?;
    let ids = if rest.is_empty() { None } else { Some(rest.strip_prefix('/')?.split('/')) };
    Some(ids.into_iter().flatten())
}

/// How much a complaint matters: where there is room for some only, for those that matter most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// The actor itself does not work.
    Fault,
    /// It works, and finds something wrong.
    Concern,
    None,
}

struct Complaint {
    weight: Weight,
    reason: String,
    since: Option<DateTime<Utc>>,
}

fn complaint_of(status: &Status) -> Option<Complaint> {
    if let Some(reason) = fault_of(status) {
        return Some(Complaint { weight: Weight::Fault, reason, since: None });
    }
    let Concern { reason, since } = status.concern()?;
    Some(Complaint { weight: Weight::Concern, reason, since: Some(since) })
}

fn fault_of(status: &Status) -> Option<String> {
    if matches!(status.state(), State::Failed | State::BackingOff) {
        return Some(status.last_failure().map_or_else(|| "ended".to_owned(), |failure| failure.reason));
    }
    if let Some((message, time)) = status.current()
        && time >= STUCK_AFTER
    {
        return Some(format!("has been handling {message} for {} s", time.as_secs()));
    }
    (status.bound() > 0 && status.depth() >= status.bound()).then(|| "its mailbox is full".to_owned())
}

#[derive(Default)]
struct Survey {
    totals: Totals,
    faulty: Vec<Unwell>,
    concerned: Vec<Unwell>,
}

impl Survey {
    /// Whether it is unwell.
    fn examine(&mut self, status: &Status) -> bool {
        self.totals.actors += 1;
        self.totals.restarts += status.restarts();
        self.totals.mailbox_depth += status.depth();
        if status.state() == State::Running {
            self.totals.running += 1;
        }
        let Some(Complaint { weight, reason, since }) = complaint_of(status) else { return false };
        self.totals.unwell += 1;
        let list = if weight == Weight::Fault { &mut self.faulty } else { &mut self.concerned };
        if list.len() < CHILDREN_SHOWN {
            let (path, state) = (status.path().to_owned(), status.state());
            list.push(Unwell { path, state, reason, since });
        }
        true
    }

    /// Many concerns must not crowd out a failure.
    fn unwell(self) -> Vec<Unwell> {
        self.faulty.into_iter().chain(self.concerned).take(CHILDREN_SHOWN).collect()
    }
}

/// The whole tree at one moment.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Sums over all actors, also those not shown.
    pub totals: Totals,
    /// Actors that need a look, at most [`CHILDREN_SHOWN`]: those that do not work before those that find something wrong.
    pub unwell: Vec<Unwell>,
    /// The root and what is below it.
    pub tree: ActorView,
}

impl Snapshot {
    /// The actor at `path`, such as `root/pool/worker`, where it is shown.
    pub fn find(&self, path: &str) -> Option<&ActorView> {
        fn search<'a>(view: &'a ActorView, path: &str) -> Option<&'a ActorView> {
            if view.path == path {
                return Some(view);
            }
            view.children.iter().find_map(|child| search(child, path))
        }
        search(&self.tree, path)
    }
}

/// Sums over a tree.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Actors, supervisors among them.
    pub actors: usize,
    /// Those that are running.
    pub running: usize,
    /// Those that are unwell.
    pub unwell: usize,
    /// Restarts of actors that are still there.
    pub restarts: u64,
    /// Messages waiting.
    pub mailbox_depth: usize,
}

/// An actor that needs a look.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Unwell {
    /// Where it is.
    pub path: String,
    /// Where it stands.
    pub state: State,
    /// What is wrong.
    pub reason: String,
    /// Since when the actor itself has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
}

/// One actor at one moment.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ActorView {
    /// Where it is, such as `root/pool/worker`.
    pub path: String,
    /// What sort it is.
    pub kind: &'static str,
    /// Where it stands.
    pub state: State,
    /// Whether it is on the list of the unwell.
    pub unwell: bool,
    /// When its running incarnation started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// How often it was started again.
    pub restarts: u64,
    /// How many restarts its budget has left.
    pub budget_left: u32,
    /// Its latest failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
    /// What it finds wrong although it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concern: Option<Concern>,
    /// Its mailbox; a supervisor shows none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<Mailbox>,
    /// Messages handled by all its incarnations.
    pub handled: u64,
    /// Effects under way.
    pub effects: usize,
    /// The message in hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<CurrentMessage>,
    /// How long its messages took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing: Option<Processing>,
    /// Its children in order of start, at most [`CHILDREN_SHOWN`]; of more, the unwell ones first, those with concerns last of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(no_recursion))]
    pub children: Vec<ActorView>,
    /// Children that are not shown.
    #[serde(skip_serializing_if = "is_zero")]
    pub children_omitted: usize,
    /// Dynamic children, ended ones too, summed by kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<KindView>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl ActorView {
    fn of(status: &Status, unwell: bool) -> Self {
        let mailbox = Mailbox { depth: status.depth(), highest: status.deepest(), bound: status.bound() };
        let current = status.current().map(|(message, time)| CurrentMessage {
            message,
            for_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        });
        Self {
            path: status.path().to_owned(),
            kind: status.kind(),
            state: status.state(),
            unwell,
            started_at: status.started_at(),
            restarts: status.restarts(),
            budget_left: status.budget_left(),
            last_failure: status.last_failure(),
            concern: status.concern(),
            mailbox: (status.bound() > 0).then_some(mailbox),
            handled: status.handled(),
            effects: status.effects(),
            current,
            processing: status.times().filter(|_| status.handled() > 0).map(Processing::of),
            children: Vec::new(),
            children_omitted: 0,
            kinds: Vec::new(),
        }
    }
}

/// A mailbox, in messages.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Mailbox {
    /// Waiting now.
    pub depth: usize,
    /// The most that ever waited.
    pub highest: usize,
    /// The most that may wait.
    pub bound: usize,
}

/// The message in hand.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct CurrentMessage {
    /// Its name.
    pub message: &'static str,
    /// How long it has been in hand.
    pub for_ms: u64,
}

/// How long messages took, right to within 25 %.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Processing {
    /// Messages measured.
    pub count: u64,
    /// The median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<f64>,
    /// What one in a hundred exceeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<f64>,
}

impl Processing {
    fn of(times: &Histogram) -> Self {
        Self { count: times.count(), p50_us: times.percentile_us(50), p99_us: times.percentile_us(99) }
    }
}

/// Dynamic children of one kind.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct KindView {
    /// What sort they are.
    pub kind: &'static str,
    /// How long their messages took.
    pub processing: Processing,
}
