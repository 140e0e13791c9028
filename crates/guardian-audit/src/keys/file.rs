use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use guardian_core::{Scope, StoreError, StoreErrorKind, TenantId};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{KeyStore, SubjectKey, owner};

/// Keys in a folder, one file for each: beside a [`SegmentStore`](crate::store::SegmentStore), on a disk of its own if
/// there is one. One process opens the folder at a time. On Unix the files are for the process's own user alone (0600), and the folder
/// that is made (0700).
///
/// A key is destroyed by writing over its file and removing it. Disks that copy what they write (flash, snapshots) may
/// keep old blocks: there, let the folder lie on an encrypted volume, or keep keys in a database or a key service.
#[derive(Debug)]
pub struct FileKeys {
    folder: PathBuf,
    keys: Mutex<Keys>,
    _lock: File,
}

#[derive(Debug, Default)]
struct Keys {
    /// By tenant and the key's name.
    by_id: HashMap<(TenantId, Uuid), SubjectKey>,
    /// The key's name by tenant and SHA-256 of the subject: a folder of keys is no list of people.
    by_owner: HashMap<(TenantId, String), Uuid>,
}

impl Keys {
    fn of(&self, tenant: &TenantId, owner: &str) -> Option<&SubjectKey> {
        let id = self.by_owner.get(&(tenant.clone(), owner.to_owned()))?;
        self.by_id.get(&(tenant.clone(), *id))
    }

    fn insert(&mut self, tenant: &TenantId, owner: &str, key: SubjectKey) {
        self.by_owner.insert((tenant.clone(), owner.to_owned()), key.id);
        self.by_id.insert((tenant.clone(), key.id), key);
    }

    fn remove(&mut self, tenant: &TenantId, owner: &str) {
        if let Some(id) = self.by_owner.remove(&(tenant.clone(), owner.to_owned())) {
            self.by_id.remove(&(tenant.clone(), id));
        }
    }
}

const LENGTH: usize = 16 + 32;

impl FileKeys {
    /// Opens the keys in a folder, or makes it.
    ///
    /// # Errors
    /// When the folder cannot be read or written, another process has it, or a file in it is no key.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::read(folder.as_ref()).map_err(fault)
    }

    fn read(folder: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock"))?;
        lock.try_lock().map_err(|error| io::Error::new(io::ErrorKind::ResourceBusy, error.to_string()))?;
        let mut keys = Keys::default();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.ends_with(".unfinished") {
                fs::remove_file(&path)?;
            }
            let Some((tenant, owner)) = name.strip_suffix(".key").and_then(|name| name.rsplit_once('~'))
            else {
                continue;
            };
            let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("`{name}` is no key"));
            let tenant = TenantId::new(tenant.replace('=', ":")).map_err(|_| damaged())?;
            let mut file = File::open(&path)?;
            // One from before, or that was copied back, may have been made for more eyes.
            owners_alone(&file)
                .map_err(|error| io::Error::new(error.kind(), format!("the rights to `{name}`: {error}")))?;
            let mut bytes = Vec::with_capacity(LENGTH);
            file.read_to_end(&mut bytes)?;
            if bytes == [0; LENGTH] {
                // Destroyed, and the process ended before the file was gone.
                fs::remove_file(&path)?;
                continue;
            }
            let (id, secret) = bytes.split_first_chunk::<16>().ok_or_else(damaged)?;
            let key = SubjectKey::new(Uuid::from_bytes(*id), secret.try_into().map_err(|_| damaged())?);
            keys.insert(&tenant, owner, key);
        }
        Ok(Self { folder: folder.to_owned(), keys: Mutex::new(keys), _lock: lock })
    }

    fn path(&self, tenant: &TenantId, owner: &str) -> PathBuf {
        // A colon is no character of a file's name everywhere; an equals sign is none of a tenant's id.
        self.folder.join(format!("{}~{owner}.key", tenant.as_str().replace(':', "=")))
    }

    fn write(&self, tenant: &TenantId, owner: &str, key: &SubjectKey) -> io::Result<()> {
        let path = self.path(tenant, owner);
        let unfinished = path.with_extension("unfinished");
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&unfinished)?;
        owners_alone(&file)?;
        file.write_all(key.id.as_bytes())?;
        file.write_all(key.secret.as_ref())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        self.sync()
    }

    fn remove(&self, tenant: &TenantId, owner: &str) -> io::Result<()> {
        let path = self.path(tenant, owner);
        let mut file = OpenOptions::new().write(true).open(&path)?;
        file.write_all(&[0; LENGTH])?;
        file.sync_all()?;
        fs::remove_file(&path)?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        if cfg!(unix) { File::open(&self.folder)?.sync_all() } else { Ok(()) }
    }
}

/// Nobody but the process's own user reads or writes the file, whatever the umask says.
fn owners_alone(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A file that is as it should be may be another user's, who lets this process read it.
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(PermissionsExt::from_mode(0o600))?;
        }
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

fn fault(error: io::Error) -> StoreError {
    let kind = match error.kind() {
        io::ErrorKind::InvalidData => StoreErrorKind::Corrupt,
        io::ErrorKind::StorageFull => StoreErrorKind::Full,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, "keys").with_source(error)
}

#[async_trait]
impl KeyStore for FileKeys {
    async fn key_of(&self, scope: &Scope, subject: &str) -> Result<SubjectKey, StoreError> {
        let (tenant, owner) = (scope.tenant(), owner(scope.tenant(), subject));
        let mut keys = self.keys.lock();
        if let Some(key) = keys.of(tenant, &owner) {
            return Ok(key.clone());
        }
        let key = SubjectKey::generate()?;
        self.write(tenant, &owner, &key).map_err(fault)?;
        keys.insert(tenant, &owner, key.clone());
        Ok(key)
    }

    async fn keys(&self, scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, SubjectKey>, StoreError> {
        let keys = self.keys.lock();
        let held = ids.iter().filter_map(|id| keys.by_id.get(&(scope.tenant().clone(), *id)));
        Ok(held.map(|key| (key.id, key.clone())).collect())
    }

    async fn destroy(&self, scope: &Scope, subject: &str) -> Result<bool, StoreError> {
        let (tenant, owner) = (scope.tenant(), owner(scope.tenant(), subject));
        let mut keys = self.keys.lock();
        if keys.of(tenant, &owner).is_none() {
            return Ok(false);
        }
        // Whatever becomes of the file, nobody seals with this key again.
        keys.remove(tenant, &owner);
        self.remove(tenant, &owner).map_err(fault)?;
        Ok(true)
    }
}
