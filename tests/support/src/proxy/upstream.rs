//! The way to the API server.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use reqwest::{Certificate, Client, Response};

use super::request::Asked;
use crate::ControlPlane;
use crate::error::{Error, Result};

/// The API server.
#[derive(Debug)]
pub(super) struct Upstream {
    client: Client,
    server: String,
}

// === impl Upstream ===

impl Upstream {
    pub(super) fn of(control_plane: &ControlPlane) -> Result<Self> {
        let config = control_plane.config();
        let failed = |error: reqwest::Error| Error::ControlPlane(error.to_string());
        let authorities = config.root_cert.iter().flatten();
        let authorities: Result<Vec<Certificate>, _> = authorities
            .map(|der| Certificate::from_der(der).map_err(failed))
            .collect();
        // Each watch has its own connection, so that no stream waits for another.
        let client = Client::builder()
            .tls_certs_only(authorities?)
            .http1_only()
            .no_gzip()
            .no_proxy()
            .build()
            .map_err(failed)?;
        Ok(Self {
            client,
            server: control_plane.server(),
        })
    }

    /// Asks the API server.
    pub(super) async fn ask(&self, asked: &Asked) -> Result<Response, reqwest::Error> {
        let mut headers = asked.headers.clone();
        // They are about the connection to the proxy.
        for of_connection in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(of_connection);
        }
        self.client
            .request(
                asked.method.clone(),
                format!("{}{}", self.server, asked.uri),
            )
            .headers(headers)
            .body(asked.body.clone())
            .send()
            .await
    }
}
