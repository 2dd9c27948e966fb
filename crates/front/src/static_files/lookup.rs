//! From path segments to an open file inside the root, and to nothing else.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::media_type;

/// What lies at a path.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    /// A directory with an index, asked for without the slash at the end.
    Directory,
    File(OpenFile),
}

/// A file and what its response needs.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) file: File,
    pub(crate) len: u64,
    pub(crate) modified: SystemTime,
    pub(crate) etag: String,
    pub(crate) media_type: &'static str,
}

/// Joins decoded segments, or `None` where one could leave the root or names a hidden file.
pub(crate) fn relative_path(segments: &[&str]) -> Option<PathBuf> {
    segments
        .iter()
        .all(|segment| is_plain(segment))
        .then(|| segments.iter().collect())
}

fn is_plain(segment: &str) -> bool {
    // RFC 8615 gives `.well-known` its name; all else that is hidden stays so.
    (!segment.starts_with('.') || segment == ".well-known") && !segment.contains(['\\', '\0'])
}

/// Finds the file, a directory's `index.html`, or the page whose name lacks its `.html`.
pub(crate) fn find(root: &Path, relative: &Path, is_directory_url: bool) -> io::Result<Found> {
    let path = root.join(relative);
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {
            let index = path.join("index.html");
            if is_directory_url {
                open_inside(root, &index)
            } else {
                Ok(if index.is_file() {
                    Found::Directory
                } else {
                    Found::Nothing
                })
            }
        }
        Ok(_) if is_directory_url => Ok(Found::Nothing),
        Ok(_) => open_inside(root, &path),
        Err(error)
            if is_absence(&error) && !is_directory_url && !relative.as_os_str().is_empty() =>
        {
            let mut name = path.into_os_string();
            name.push(".html");
            open_inside(root, Path::new(&name))
        }
        Err(error) if is_absence(&error) => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
    )
}

fn open_inside(root: &Path, path: &Path) -> io::Result<Found> {
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if is_absence(&error) => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    // Looked at before it is opened: opening a FIFO would wait for its writer.
    if !real.starts_with(root) || !fs::metadata(&real)?.is_file() {
        return Ok(Found::Nothing);
    }
    let file = File::open(&real)?;
    let metadata = file.metadata()?;
    let modified = metadata.modified()?;
    let nanos = modified
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    Ok(Found::File(OpenFile {
        len: metadata.len(),
        etag: format!("\"{:x}-{nanos:x}\"", metadata.len()),
        modified,
        media_type: media_type::of(name),
        file,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_that_could_leave_the_root_are_refused() {
        for segments in [
            &["..", "x"][..],
            &["a", ".."],
            &["."],
            &[".git", "config"],
            &["a\\..\\b"],
        ] {
            assert_eq!(relative_path(segments), None, "{segments:?}");
        }
    }

    #[test]
    fn plain_segments_are_joined() {
        assert_eq!(relative_path(&["a", "b.js"]), Some(PathBuf::from("a/b.js")));
        assert_eq!(relative_path(&[]), Some(PathBuf::new()));
        assert!(relative_path(&[".well-known", "x"]).is_some());
    }
}
