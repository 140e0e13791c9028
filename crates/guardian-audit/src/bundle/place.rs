use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Where a bundle is written to. The names are those of the [module](super).
pub trait BundleSink {
    /// A file that is being written.
    type File: Write;

    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be made.
    fn create(&mut self, name: &'static str) -> io::Result<Self::File>;

    /// Ends a file. After `Ok` it is where it belongs, durable as far as the place can promise.
    ///
    /// # Errors
    /// When what was written cannot be kept.
    fn close(&mut self, name: &'static str, file: Self::File) -> io::Result<()>;
}

/// Where a bundle is read from.
pub trait BundleSource {
    /// A file from its beginning; `None` when there is none of this name.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self, name: &'static str) -> io::Result<Option<Box<dyn Read + '_>>>;
}

/// A bundle in a folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The bundle in this folder.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned() }
    }

    /// A new folder for a bundle, whose parent exists.
    ///
    /// # Errors
    /// When the folder exists already and is not empty, or cannot be made.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let folder = Self::new(path);
        match fs::create_dir(&folder.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match fs::read_dir(&folder.path)?.next() {
                    None => Ok(folder),
                    Some(_) => {
                        Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "the folder is not empty"))
                    }
                }
            }
            made => made.map(|()| folder),
        }
    }
}

impl BundleSink for Folder {
    type File = File;

    fn create(&mut self, name: &'static str) -> io::Result<File> {
        File::create_new(self.path.join(name))
    }

    fn close(&mut self, _name: &'static str, file: File) -> io::Result<()> {
        file.sync_all()
    }
}

impl BundleSource for Folder {
    fn open(&self, name: &'static str) -> io::Result<Option<Box<dyn Read + '_>>> {
        match File::open(self.path.join(name)) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A bundle in memory, by the names of its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InMemory {
    /// The files.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl InMemory {
    /// A bundle without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl BundleSink for InMemory {
    type File = Vec<u8>;

    fn create(&mut self, _name: &'static str) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn close(&mut self, name: &'static str, file: Vec<u8>) -> io::Result<()> {
        self.files.insert(name.to_owned(), file);
        Ok(())
    }
}

impl BundleSource for InMemory {
    fn open(&self, name: &'static str) -> io::Result<Option<Box<dyn Read + '_>>> {
        Ok(self.files.get(name).map(|bytes| Box::new(bytes.as_slice()) as Box<dyn Read>))
    }
}
