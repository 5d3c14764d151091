//! A certificate authority of a test, and a folder in which Secrets are mounted as a kubelet does.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

use crate::error::Context as _;
use crate::{Error, Result};

/// A private certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A server's certificate and its private key, in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// A folder with files that are swapped all at once by a symbolic link, as a kubelet swaps those
/// of a mounted Secret.
pub struct MountedFiles {
    folder: TempDir,
    version: AtomicU32,
}

// === impl Authority ===

impl Authority {
    /// A new authority of this name.
    ///
    /// # Errors
    /// Fails if no key can be made.
    pub fn new(name: &str) -> Result<Self> {
        let make = || {
            let mut authority = CertificateParams::new(Vec::new())?;
            let distinguished = &mut authority.distinguished_name;
            distinguished.push(DnType::CommonName, name);
            authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            CertifiedIssuer::self_signed(authority, KeyPair::generate()?)
        };
        let issuer = make().map_err(failed)?;
        Ok(Self { issuer })
    }

    /// Its own certificate in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these names and addresses, good for a very long time.
    ///
    /// # Errors
    /// Fails if a name is none.
    pub fn issue(&self, names: &[&str]) -> Result<Issued> {
        self.issue_for_years(names, 2020, 4000)
    }

    /// A certificate that is good from the beginning of one year to the beginning of another.
    ///
    /// # Errors
    /// Fails if a name is none.
    pub fn issue_for_years(&self, names: &[&str], from: i32, until: i32) -> Result<Issued> {
        let make = || {
            let names = names.iter().map(|name| (*name).to_owned());
            let mut server = CertificateParams::new(names.collect::<Vec<_>>())?;
            server.not_before = date_time_ymd(from, 1, 1);
            server.not_after = date_time_ymd(until, 1, 1);
            server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            server.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate()?;
            let certificate = server.signed_by(&key, &self.issuer)?;
            Ok(Issued {
                certificate: certificate.pem(),
                key: key.serialize_pem(),
            })
        };
        make().map_err(failed)
    }
}

fn failed(error: rcgen::Error) -> Error {
    Error::Build(format!("certificate: {error}"))
}

// === impl MountedFiles ===

impl MountedFiles {
    /// A folder with these files.
    ///
    /// # Errors
    /// Fails if they cannot be written.
    pub fn new(files: &[(&str, &str)]) -> Result<Self> {
        let mounted = Self {
            folder: TempDir::new().context(|| "make a folder".to_owned())?,
            version: AtomicU32::new(0),
        };
        for (name, _) in files {
            let target = Path::new("..data").join(name);
            std::os::unix::fs::symlink(target, mounted.path(name))
                .context(|| format!("link {name}"))?;
        }
        mounted.swap(files)?;
        Ok(mounted)
    }

    /// A Secret of the type kubernetes.io/tls.
    ///
    /// # Errors
    /// Fails if the files cannot be written.
    pub fn pair(pair: &Issued) -> Result<Self> {
        Self::new(&[("tls.crt", &pair.certificate), ("tls.key", &pair.key)])
    }

    /// Path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the content of all files at once.
    ///
    /// # Errors
    /// Fails if they cannot be written.
    pub fn swap(&self, files: &[(&str, &str)]) -> Result<()> {
        let version = self.version.fetch_add(1, Ordering::Relaxed);
        let swap = || {
            let next = format!("..{version}");
            std::fs::create_dir(self.path(&next))?;
            for (name, content) in files {
                std::fs::write(self.path(&next).join(name), content)?;
            }
            let link = self.path("..data_tmp");
            std::os::unix::fs::symlink(&next, &link)?;
            std::fs::rename(link, self.path("..data"))
        };
        swap().context(|| "swap mounted files".to_owned())
    }

    /// Replaces the pair of [`MountedFiles::pair`].
    ///
    /// # Errors
    /// Fails if the files cannot be written.
    pub fn swap_pair(&self, pair: &Issued) -> Result<()> {
        self.swap(&[("tls.crt", &pair.certificate), ("tls.key", &pair.key)])
    }
}
