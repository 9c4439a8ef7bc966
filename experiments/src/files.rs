//! Files that are there as a whole or not at all.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use tempfile::NamedTempFile;

/// Writes the file under another name in the same folder, then renames it; a file that was there
/// stays as it is until then, and for good if something fails.
///
/// # Errors
/// The folder cannot be written to, or those of `content`.
pub(crate) fn write_whole(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let write = || {
        let folder = path.parent().context("a file is in a folder")?;
        let mut buffer = BufWriter::new(NamedTempFile::new_in(folder)?);
        content(&mut buffer)?;
        let file = buffer
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        readable_as_usual(&file)?;
        file.persist(path)?;
        anyhow::Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Temporary files are for their owner only; these are for whoever may read the folder.
fn readable_as_usual(file: &NamedTempFile) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(0o644);
    file.as_file().set_permissions(permissions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_fails_half_way_leaves_the_old_one_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("matrix.csv");
        write_whole(&path, |file| Ok(file.write_all(b"old")?)).unwrap();
        let failed = write_whole(&path, |file| {
            file.write_all(b"new")?;
            anyhow::bail!("no more")
        });
        assert!(format!("{:#}", failed.unwrap_err()).ends_with("matrix.csv: no more"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
