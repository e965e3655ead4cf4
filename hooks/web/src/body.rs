//! Posted bodies, of a bounded size.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::StatusCode;

/// How long a posted body may be, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadBody {
    /// It is over [`MAX_BODY`].
    TooLarge,
    /// It ended before its end.
    BrokeOff,
}

impl BadBody {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BrokeOff => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body to its end. Of what is too large no more is kept than may be.
///
/// # Errors
/// See [`BadBody`].
pub async fn read_body<E>(stream: impl Stream<Item = Result<Bytes, E>>) -> Result<Bytes, BadBody> {
    let mut stream = std::pin::pin!(stream);
    let mut body = BytesMut::new();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|_| BadBody::BrokeOff)?;
        if part.len() > MAX_BODY - body.len() {
            return Err(BadBody::TooLarge);
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;

    use super::{BadBody, MAX_BODY, read_body};

    #[tokio::test]
    async fn a_body_is_whole_and_no_longer_than_it_may_be() {
        let part = |length: usize| Ok::<_, ()>(Bytes::from(vec![b'x'; length]));
        let read = async |parts: Vec<Result<Bytes, ()>>| read_body(stream::iter(parts)).await;
        assert_eq!(read(Vec::new()).await, Ok(Bytes::new()));
        assert_eq!(
            read(vec![part(MAX_BODY - 1), part(0), part(1)])
                .await
                .map(|body| body.len()),
            Ok(MAX_BODY)
        );
        assert_eq!(
            read(vec![part(MAX_BODY), part(1)]).await,
            Err(BadBody::TooLarge)
        );
        assert_eq!(read(vec![part(1), Err(())]).await, Err(BadBody::BrokeOff));
    }
}
