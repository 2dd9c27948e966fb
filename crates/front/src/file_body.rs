//! A part of a file as a body, read as the client takes it.

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

use crate::body::BodyError;

const CHUNK: usize = 64 << 10;

pub(crate) struct FileBody {
    file: File,
    step: Step,
    left: u64,
}

enum Step {
    Seek(u64),
    Seeking,
    Read,
}

impl FileBody {
    pub(crate) fn new(file: std::fs::File, offset: u64, len: u64) -> Self {
        let mut file = File::from_std(file);
        file.set_max_buf_size(CHUNK);
        Self {
            file,
            step: if offset == 0 {
                Step::Read
            } else {
                Step::Seek(offset)
            },
            left: len,
        }
    }

    fn poll_seek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Step::Seek(offset) = self.step {
            Pin::new(&mut self.file).start_seek(SeekFrom::Start(offset))?;
            self.step = Step::Seeking;
        }
        if let Step::Seeking = self.step {
            ready!(Pin::new(&mut self.file).poll_complete(cx))?;
            self.step = Step::Read;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        ready!(self.poll_seek(cx))?;
        let mut chunk = vec![0; CHUNK.min(usize::try_from(self.left).unwrap_or(CHUNK))];
        let mut buf = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.file).poll_read(cx, &mut buf))?;
        let read = buf.filled().len();
        if read == 0 {
            // The promised length cannot be kept; breaking off is the only honest end.
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        chunk.truncate(read);
        self.left -= read as u64;
        Poll::Ready(Ok(chunk))
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let chunk = ready!(self.poll_chunk(cx));
        Poll::Ready(Some(match chunk {
            Ok(chunk) => Ok(Frame::data(Bytes::from(chunk))),
            Err(error) => {
                self.left = 0;
                Err(error.into())
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
