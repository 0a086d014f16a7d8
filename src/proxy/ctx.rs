//! What one request carries through its phases.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use http::HeaderValue;

use super::gate::Gate;
use super::upstream::Tried;
use crate::decide::Pass;
use crate::error::Failure;
use crate::login::SignIns;
use crate::metrics::Open;
use crate::nocobase::answers::CodeReader;
use crate::nocobase::inject::Injector;
use crate::nocobase::ws::Swapper;
use crate::session::{CachedSession, Phantom, Session};

/// A request's state between phases.
pub struct Ctx {
    /// When it began.
    pub started: Instant,
    /// Same for NocoBase, the answer and the log.
    pub request_id: HeaderValue,
    /// Who is at the other end, after trusted proxies.
    pub client: IpAddr,
    /// What was decided, when it goes to NocoBase.
    pub pass: Option<Pass>,
    /// Whose session it is.
    pub member: Option<Box<Member>>,
    /// The request is the member's own doing: only then does it get identity headers.
    pub named: bool,
    /// A page load of NocoBase's.
    pub page_load: bool,
    /// NocoBase's own sign-out.
    pub sign_out: bool,
    /// `Set-Cookie` for the answer to it, should it succeed.
    pub out: Vec<String>,
    /// Query with the phantom replaced by the token, when it was there.
    pub query: Option<String>,
    /// `Set-Cookie` for the answer.
    pub cookies: Vec<String>,
    /// Nodes that it has been tried on.
    pub tried: Tried,
    /// Index of the node that got it, if any did.
    pub node: Option<usize>,
    /// Bytes of the request's body so far.
    pub body_in: u64,
    /// Puts the script into the page.
    pub injector: Option<Box<Injector>>,
    /// Reads the code of a 401.
    pub code: Option<Box<CodeReader>>,
    /// Swaps the token in a tunnel.
    pub swapper: Option<Box<Swapper<Swap>>>,
    /// Why it was refused, for the log.
    pub failure: Option<Failure>,
    /// The connection is not used again.
    pub close: bool,
    /// A person looks at this, whatever the request's headers say.
    pub as_page: bool,
    /// When NocoBase first had it.
    pub handed: Option<Instant>,
    /// When the head of NocoBase's answer was there.
    pub answered: Option<Instant>,
    /// The node that answered 500 before another one was asked.
    pub doubted: Option<usize>,
    /// A WebSocket, while it is open.
    pub tunnel: Option<Open>,
    in_flight: Option<InFlight>,
}

/// The session behind a request.
pub struct Member {
    /// From the cookie.
    pub session: Session,
    /// What this node knows of it.
    pub seen: Arc<CachedSession>,
}

/// NocoBase's token for what the page presents as its own.
pub type Swap = Box<dyn FnMut(&str) -> Option<String> + Send + Sync>;

/// What the page presents as its token.
#[derive(Clone, Copy)]
pub enum Presented {
    /// The session's phantom.
    Phantom(Phantom),
    /// A token of this session (`token_delivery = "browser"`).
    OwnToken(uuid::Uuid),
}

impl Presented {
    /// Is this the session's?
    pub fn is(&self, sign_ins: &SignIns, token: &str) -> bool {
        match self {
            Presented::Phantom(phantom) => phantom.matches(token.as_bytes()),
            Presented::OwnToken(sid) => sign_ins.is_of_session(token, *sid),
        }
    }
}

impl Ctx {
    /// A new request.
    pub fn new(gate: &Arc<Gate>) -> Ctx {
        Ctx {
            started: Instant::now(),
            request_id: gate.request_ids.next(),
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            pass: None,
            member: None,
            named: false,
            page_load: false,
            sign_out: false,
            out: Vec::new(),
            query: None,
            cookies: Vec::new(),
            tried: Tried::default(),
            node: None,
            body_in: 0,
            injector: None,
            code: None,
            swapper: None,
            failure: None,
            close: false,
            as_page: false,
            handed: None,
            answered: None,
            doubted: None,
            tunnel: None,
            in_flight: Some(InFlight::new(&gate.in_flight)),
        }
    }

    /// A tunnel may stay open for days: stopping does not wait for it.
    pub fn becomes_tunnel(&mut self) {
        self.in_flight = None;
    }

    /// Has the session behind this request ended meanwhile?
    pub fn member_ended(&self) -> bool {
        self.member.as_ref().is_some_and(|m| m.seen.is_ended())
    }
}

/// Counts a request for as long as it lives, also when a phase panics.
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
