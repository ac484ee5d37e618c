//! What hyper, rustls and the operating system say, in the words of the port.

use std::error::Error;
use std::io;
use std::time::Instant;

use crate::capability::outbound_http::HttpClientError;
use crate::model::Seldom;

/// An exchange that failed before the head of a response.
pub(super) fn of_exchange(error: &hyper_util::client::legacy::Error) -> HttpClientError {
    classify(error, &HttpClientError::ConnectionTerminated)
}

/// A response that failed within its body.
pub(super) fn of_body(error: &hyper::Error) -> HttpClientError {
    classify(error, &HttpClientError::HttpResponseIncomplete)
}

/// Told of connections for which there was no descriptor, which the whole process shares.
static NO_DESCRIPTOR: Seldom = Seldom::new();

/// A TCP connection that was not made.
pub(super) fn of_connect(error: &io::Error) -> HttpClientError {
    use io::ErrorKind as Kind;
    if is_no_descriptor(error) {
        if let Some(times) = NO_DESCRIPTOR.note(Instant::now()) {
            tracing::error!(%error, times, "cannot connect to other hosts");
        }
        return HttpClientError::ConnectionLimitReached;
    }
    match error.kind() {
        Kind::ConnectionRefused => HttpClientError::ConnectionRefused,
        Kind::ConnectionReset | Kind::ConnectionAborted => HttpClientError::ConnectionTerminated,
        Kind::TimedOut => HttpClientError::ConnectionTimeout,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::AddrNotAvailable => {
            HttpClientError::DestinationIpUnroutable
        }
        _ => HttpClientError::DestinationUnavailable {
            reason: error.to_string(),
        },
    }
}

/// Whether the process, or the machine, has as many files open as it may have: the other host has nothing to do with it.
fn is_no_descriptor(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}

/// A TLS handshake that failed.
pub(super) fn of_handshake(error: &io::Error) -> HttpClientError {
    let reason = error.to_string();
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(rustls::Error::InvalidCertificate(_)) => HttpClientError::TlsCertificate { reason },
        Some(rustls::Error::AlertReceived(alert)) => HttpClientError::TlsAlertReceived {
            id: u8::from(*alert),
            message: format!("{alert:?}"),
        },
        Some(_) => HttpClientError::TlsProtocol { reason },
        None if is_cut(error) => HttpClientError::ConnectionTerminated,
        None => HttpClientError::TlsProtocol { reason },
    }
}

/// The first cause, from the outside in, that says enough; `cut` if the connection has just ended.
fn classify(error: &(dyn Error + 'static), cut: &HttpClientError) -> HttpClientError {
    // An error of ours is the connector's, or that of a request's body: it says most, wherever it stands.
    let ours = causes(error).find_map(|cause| cause.downcast_ref::<HttpClientError>());
    let known = || causes(error).find_map(|cause| of_cause(cause, cut));
    ours.cloned().or_else(known).unwrap_or_else(|| {
        let reason = causes(error).last().map(ToString::to_string).unwrap_or_default();
        HttpClientError::HttpProtocol { reason }
    })
}

fn of_cause(cause: &(dyn Error + 'static), cut: &HttpClientError) -> Option<HttpClientError> {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return is_cut(error).then(|| cut.clone());
    }
    let error = cause.downcast_ref::<hyper::Error>()?;
    if error.is_parse_too_large() {
        Some(HttpClientError::HttpResponseHeaderSectionSize)
    } else if error.is_parse() {
        Some(HttpClientError::HttpProtocol {
            reason: error.to_string(),
        })
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some(cut.clone())
    } else if error.is_body_write_aborted() {
        Some(HttpClientError::HttpRequestBodySize)
    } else {
        None
    }
}

fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::NotConnected
            | Kind::UnexpectedEof
    )
}

/// The error and its causes. What an `io::Error` wraps is one of them, though it does not call it its source.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped
            .map(|inner| inner as &(dyn Error + 'static))
            .or_else(|| error.source())
    })
}
