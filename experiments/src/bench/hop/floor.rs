//! The floor: a bare `h2` pass-through that reads what routing needs and does nothing with it.
//!
//! One runtime on one thread, one task per request, one connection to the computer, windows as in
//! our transport. It knows no deadlines, limits, tables or metrics: what our router costs more than
//! this is the price of those.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use edge_proto::view::{RequestView, ResponseView};
use edge_transport::tls::TlsFiles;
use edge_transport::{Endpoint, Limits};
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::bench::certificates;

/// Options of the pass-through.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Where requests are passed on to
    #[arg(long)]
    computer: Endpoint,
    /// Encrypt both sides, with the certificates in this folder
    #[arg(long)]
    certificates: Option<PathBuf>,
}

/// Flags and length of a gRPC message.
const PREFIX: usize = 5;
/// Messages up to this size leave together with their prefix.
const COPY_LIMIT: usize = 8 << 10;

/// Passes on until standard input ends.
pub(crate) async fn run(flags: &Flags) -> anyhow::Result<()> {
    let folder = flags.certificates.as_deref();
    let files = folder.map(certificates::files).transpose()?;
    let acceptor = files.as_ref().map(TlsFiles::server_config).transpose()?;
    let acceptor = acceptor.map(TlsAcceptor::from);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    let computer = connect(&flags.computer, files.as_ref()).await?;
    let ended =
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    let serving = async {
        loop {
            let (client, _) = listener.accept().await?;
            client.set_nodelay(true)?;
            let (acceptor, computer) = (acceptor.clone(), computer.clone());
            spawn(async move {
                match acceptor {
                    Some(acceptor) => serve(acceptor.accept(client).await?, computer).await,
                    None => serve(client, computer).await,
                }
            });
        }
    };
    tokio::select! {
        served = serving => served,
        // The parent holds the other end: it cannot leave us behind.
        ended = ended => Ok(ended?.map(drop)?),
    }
}

fn spawn(work: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = work.await {
            eprintln!("{error:#}");
        }
    });
}

async fn connect(
    computer: &Endpoint,
    files: Option<&TlsFiles>,
) -> anyhow::Result<SendRequest<Bytes>> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let connecting = async {
        #[expect(clippy::disallowed_methods, reason = "it has a time-out")]
        let stream = TcpStream::connect((computer.host(), computer.port())).await?;
        stream.set_nodelay(true)?;
        let Some(files) = files else {
            return handshake(stream).await;
        };
        let name = ServerName::try_from(computer.host())?.to_owned();
        let connector = TlsConnector::from(files.client_config()?);
        handshake(connector.connect(name, stream).await?).await
    };
    tokio::time::timeout(PATIENCE, connecting).await?
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> anyhow::Result<SendRequest<Bytes>> {
    let limits = Limits::default();
    let (requests, connection) = h2::client::Builder::new()
        .initial_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_concurrent_streams(limits.max_concurrent_streams)
        .handshake(stream)
        .await?;
    spawn(async { Ok(connection.await?) });
    Ok(requests)
}

async fn serve(
    client: impl AsyncRead + AsyncWrite + Unpin,
    computer: SendRequest<Bytes>,
) -> anyhow::Result<()> {
    let limits = Limits::default();
    let mut connection = h2::server::Builder::new()
        .initial_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_concurrent_streams(limits.max_concurrent_streams)
        .handshake::<_, Bytes>(client)
        .await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        spawn(pass_on(request, respond, computer.clone()));
    }
    Ok(())
}

async fn pass_on(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    computer: SendRequest<Bytes>,
) -> anyhow::Result<()> {
    let (head, mut body) = request.into_parts();
    let message = read(&mut body).await?;
    let changed = RequestView::parse(&message)?.forwarded(&message, 0);
    let mut computer = computer.ready().await?;
    let (answer, mut stream) = computer.send_request(Request::from_parts(head, ()), false)?;
    send(&mut stream, changed, true)?;
    let (head, mut body) = answer.await?.into_parts();
    let mut stream = respond.send_response(Response::from_parts(head, ()), false)?;
    let message = read(&mut body).await?;
    ResponseView::parse(&message)?;
    send(&mut stream, message, false)?;
    let trailers = body.trailers().await?.unwrap_or_default();
    Ok(stream.send_trailers(trailers)?)
}

/// The message of a stream that carries one.
async fn read(body: &mut RecvStream) -> anyhow::Result<Bytes> {
    let mut whole = body.data().await.context("no message")??;
    body.flow_control().release_capacity(whole.len())?;
    while !is_complete(&whole) {
        let more = body.data().await.context("the message is cut short")??;
        body.flow_control().release_capacity(more.len())?;
        let mut joined = whole
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        joined.put(more);
        whole = joined.freeze();
    }
    Ok(whole.slice(PREFIX..))
}

fn is_complete(frame: &[u8]) -> bool {
    let length = frame.get(1..PREFIX).and_then(|bytes| bytes.try_into().ok());
    length.is_some_and(|bytes| frame.len() >= PREFIX + u32::from_be_bytes(bytes) as usize)
}

fn send(stream: &mut SendStream<Bytes>, message: Bytes, last: bool) -> anyhow::Result<()> {
    let copied = message.len() <= COPY_LIMIT;
    let mut frame = BytesMut::with_capacity(PREFIX + if copied { message.len() } else { 0 });
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len())?);
    if copied {
        frame.put_slice(&message);
        stream.send_data(frame.freeze(), last)?;
    } else {
        stream.send_data(frame.freeze(), false)?;
        stream.send_data(message, last)?;
    }
    Ok(())
}
