//! The body of a request for one of the gate's own addresses.

use std::time::Duration;

use pingora::proxy::Session as HttpSession;

use crate::error::Failure;

/// Timeout of a body.
const PATIENCE: Duration = Duration::from_secs(5);

/// The whole body, of at most this many bytes.
pub(super) async fn read(downstream: &mut HttpSession, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let all = async {
        while let Ok(Some(piece)) = downstream.read_request_body().await {
            if body.len() + piece.len() > limit {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&piece);
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, all).await {
        Ok(done) => done.map(|()| body),
        Err(_) => Err(Failure::BadRequest),
    }
}
