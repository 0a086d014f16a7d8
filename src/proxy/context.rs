//! The state of one request between phases.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::HeaderValue;
use pingora::http::RequestHeader;
use tokio::sync::watch;

use super::gate::Gate;
use super::member::Member;
use super::request::credential::TokenSwap;
use super::rewrite::body_coder::BodyCoder;
use super::rewrite::script_injector::Injector;
use super::rewrite::token_swapper::Swapper;
use super::upstream::event_stream::EventStream;
use super::upstream::tunnel::NodeEnd;
use super::upstream::{AttemptedNodes, Place, Upload};
use crate::audit::Source;
use crate::decide::address::UNKNOWN;
use crate::decide::{ForwardOptions, Identity};
use crate::error::Failure;
use crate::metrics::Open;
use crate::nocobase::error_body::CodeReader;
use crate::nocobase::{Class, Permit, Turn, Who};
use crate::session::{Attached, PasswordSession, PasswordSignIn};

/// A token younger than this was not refused because of its age.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// What depends on NocoBase's response, for a user who signs in or out with NocoBase's own form.
pub(super) enum PasswordPending {
    /// If NocoBase accepts the token, this session begins and replaces the previous one.
    Opens(PasswordSignIn, Option<PasswordSession>),
    /// If NocoBase does not block this token, the gate does.
    SignsOut(String),
}

/// A request's state between phases.
pub(super) struct Context {
    /// When it began.
    pub started: Instant,
    /// The same for NocoBase, the response and the log.
    pub request_id: HeaderValue,
    /// The client's address, as reported by trusted proxies; `decide::address::UNKNOWN` if it is unknown.
    pub client: IpAddr,
    /// How it is forwarded, once decided.
    pub forward: Option<ForwardOptions>,
    /// The member whose session it has.
    pub member: Option<Box<Member>>,
    /// The request registered with its session, with which it ends.
    pub stream: Option<Attached>,
    /// It is a page load.
    pub page_load: bool,
    /// `Set-Cookie` for the response to NocoBase's own sign-out: a member's in any case, a user's only if it succeeds.
    pub sign_out_cookies: Vec<String>,
    /// What depends on NocoBase's response, for a user who signed in with its own form.
    pub password: Option<Box<PasswordPending>>,
    /// Query with the phantom replaced by the token, if it was there.
    pub query: Option<String>,
    /// `Set-Cookie` for the response.
    pub cookies: Vec<String>,
    /// Nodes that it has been sent to, or could not be sent to.
    pub attempted_nodes: AttemptedNodes,
    /// Index of the node that handles it.
    pub node: Option<usize>,
    /// Its permit for that node, until the head of the response has arrived.
    pub permit: Option<Permit>,
    /// Its slot among the uploads, until its body has arrived.
    pub upload: Option<Upload>,
    /// How long its body took to arrive, if the request was sent only then.
    pub body_took: Duration,
    /// Bytes of the request's body so far.
    pub body_in: u64,
    /// Bytes of the response's body so far.
    pub body_out: u64,
    /// What was requested, for [`super::access_log::cut_off`].
    pub target: Option<(http::Method, http::Uri)>,
    /// Status of the response; 0 before the response.
    pub status: u16,
    /// Inserts the script into the page.
    pub injector: Option<Box<Injector>>,
    /// The page has no place for the script.
    pub without_head: bool,
    /// Compresses the response.
    pub body_coder: Option<Box<BodyCoder>>,
    /// Reads the code of a 401.
    pub error_code_reader: Option<Box<CodeReader>>,
    /// Replaces the token in a WebSocket.
    pub swapper: Option<Box<Swapper<TokenSwap>>>,
    /// Why it was refused, for the log.
    pub failure: Option<Failure>,
    /// The connection must not be reused.
    pub close: bool,
    /// A person sees the response, whatever the request's headers are.
    pub as_page: bool,
    /// Age of the member's token that was forwarded with it.
    pub token_age: Option<Duration>,
    /// Age of a token that NocoBase refused, if the request was repeated with a fresh one.
    pub refused_token_age: Option<Duration>,
    /// When it was first sent to NocoBase.
    pub sent_at: Option<Instant>,
    /// When the head of NocoBase's response arrived.
    pub answered_at: Option<Instant>,
    /// A node that responded with 500, after which another was tried.
    pub suspect_node: Option<usize>,
    /// A WebSocket, while it is open.
    pub tunnel: Option<Open>,
    tunnel_close: Option<watch::Sender<Option<&'static [u8]>>>,
    /// A WebSocket's connection to NocoBase.
    pub node_end: Option<NodeEnd>,
    /// An event stream, once it goes on without Pingora.
    pub events: Option<Box<EventStream>>,
    /// Its place among the requests to NocoBase.
    pub place: Option<Place>,
    in_flight: Option<InFlight>,
}

impl Context {
    /// The request as recorded in the audit log.
    pub(super) fn source(&self) -> Source {
        Source {
            request_id: self.request_id.to_str().ok().map(str::to_owned),
            client: (self.client != UNKNOWN).then_some(self.client),
        }
    }

    /// The context of a new request.
    pub(super) fn new(gate: &Arc<Gate>) -> Context {
        Context {
            started: Instant::now(),
            request_id: gate.request_ids.next(),
            client: UNKNOWN,
            forward: None,
            member: None,
            stream: None,
            page_load: false,
            sign_out_cookies: Vec::new(),
            password: None,
            query: None,
            cookies: Vec::new(),
            attempted_nodes: AttemptedNodes::default(),
            node: None,
            permit: None,
            upload: None,
            body_took: Duration::ZERO,
            body_in: 0,
            body_out: 0,
            target: None,
            status: 0,
            injector: None,
            without_head: false,
            body_coder: None,
            error_code_reader: None,
            swapper: None,
            failure: None,
            close: false,
            as_page: false,
            token_age: None,
            refused_token_age: None,
            sent_at: None,
            answered_at: None,
            suspect_node: None,
            tunnel: None,
            tunnel_close: None,
            node_end: None,
            events: None,
            place: None,
            in_flight: Some(InFlight::new(&gate.in_flight)),
        }
    }

    /// Does a member sign out in NocoBase with this request?
    pub(super) fn signs_out(&self) -> bool {
        self.forward.is_some_and(|f| f.signs_out && f.identity == Identity::Member)
    }

    /// May a request to which NocoBase responded with 401 be repeated with a fresh token? Only one that changes nothing, since
    /// the 401 may have another meaning; and a token that is fresh already would only be refused again.
    pub(super) fn may_ask_again(&self, request: &RequestHeader) -> bool {
        request.method.is_safe()
            && self.refused_token_age.is_none()
            && self.forward.is_some_and(|f| f.identity == Identity::Member)
            && self.token_age.is_some_and(|age| age >= FRESH)
    }

    /// The precedence of this request while NocoBase is busy.
    pub(super) fn turn(&self) -> Turn {
        match (&self.member, self.forward.map(|f| f.identity)) {
            (Some(member), _) => Turn { class: Class::In, who: Who::User(member.session.user_id) },
            (None, Some(Identity::Token)) => Turn { class: Class::In, who: Who::at(self.client) },
            (None, _) => Turn { class: Class::New, who: Who::at(self.client) },
        }
    }

    /// Is the body of the response changed or read on its way?
    pub(super) fn looks_at_body(&self) -> bool {
        self.injector.is_some() || self.body_coder.is_some() || self.error_code_reader.is_some()
    }

    /// A tunnel may stay open for days: stopping does not wait for it.
    pub(super) fn becomes_tunnel(&mut self) {
        self.in_flight = None;
    }

    /// Ends the WebSocket with this Close frame.
    pub(super) fn tunnel_close(&mut self) -> &watch::Sender<Option<&'static [u8]>> {
        // Only for WebSockets: to create one costs an ordinary request an allocation of half a KiB.
        self.tunnel_close.get_or_insert_with(|| watch::Sender::new(None))
    }

    /// Has the session of this request ended meanwhile?
    pub(super) fn member_ended(&self) -> bool {
        self.stream.as_ref().is_some_and(|s| s.stream().is_ended())
    }
}

/// Counts a request until it ends, even if a phase panics.
struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    fn new(count: &Arc<AtomicUsize>) -> InFlight {
        count.fetch_add(1, Ordering::Relaxed);
        InFlight(count.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
