//! The flags of the pages.

use axum::http::HeaderName;

use super::{FrameAncestor, Settings};
use crate::directory::http::middleware::fairness::{Share, Shares};
use crate::http_server::{AddressRange, Proxies};

/// Whether and how the pages are served: flags of `switchboard directory`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PagesArgs {
    /// Serve the pages under /pages: call history, call screen, and why a call has no name. Who
    /// has the tenant's token for lookup signs in with it.
    #[arg(long, env = "SWITCHBOARD_DIRECTORY_PAGES")]
    pub pages: bool,
    /// Sites that may show the pages in a frame, such as https://phone.example.com; none when
    /// absent.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_PAGES_FRAME_ANCESTORS",
        value_delimiter = ',',
        value_name = "SITE"
    )]
    pub pages_frame_ancestors: Vec<FrameAncestor>,
    /// The header in which the platform's own sign-on names the company that may look, such as
    /// X-Company-Id; believed from --pages-sign-on-proxies alone.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_PAGES_COMPANY_HEADER",
        requires = "pages_sign_on_proxies",
        value_name = "NAME"
    )]
    pub pages_company_header: Option<HeaderName>,
    /// The proxies of that sign-on, as addresses or ranges such as 10.1.2.3/32. They have to take
    /// that header away from what a browser sends.
    #[arg(
        long,
        env = "SWITCHBOARD_DIRECTORY_PAGES_SIGN_ON_PROXIES",
        requires = "pages_company_header",
        value_delimiter = ',',
        value_name = "RANGE"
    )]
    pub pages_sign_on_proxies: Vec<AddressRange>,
}

// === impl PagesArgs ===

impl PagesArgs {
    /// How the pages are served; `None` if they are not.
    pub(crate) fn settings(&self, share: Share) -> Option<Settings> {
        let proxies = || Proxies::new(self.pages_sign_on_proxies.iter().copied());
        self.pages.then(|| Settings {
            frame_ancestors: self.pages_frame_ancestors.clone(),
            company_header: self
                .pages_company_header
                .clone()
                .map(|name| (name, proxies())),
            shares: Shares::new(share),
        })
    }
}
