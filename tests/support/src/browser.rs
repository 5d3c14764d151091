//! A real browser without a screen, driven by the W3C's WebDriver protocol over plain HTTP.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::error::{Context as _, Error, Result};
use crate::process::Process;
use crate::program::target_dir;
use crate::wait::try_wait_for;

/// Time limit for the start, on a machine that is busy with other tests.
const START: Duration = Duration::from_secs(60);
/// Time limit for what a page is to show.
const SHOWN: Duration = Duration::from_secs(20);
/// Time limit for a page to load: otherwise it is five minutes.
const LOADED: Duration = Duration::from_secs(30);
/// The name under which the protocol hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window. It ends when this value is dropped, or with the test program.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    session: String,
    _process: Process,
    _folder: TempDir,
}

/// How a browser is set up.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The window, in pixels.
    pub size: (u32, u32),
    /// Whether its user prefers dark pages.
    pub dark: bool,
    /// The language that its user reads, such as `ja`.
    pub language: &'static str,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            size: (1200, 760),
            dark: false,
            language: "en",
        }
    }
}

// === impl Browser ===

impl Browser {
    /// Starts a browser.
    pub async fn start(look: Look) -> Result<Self> {
        let folder = tempfile::tempdir().context(|| "make a folder for the browser")?;
        let listener = TcpListener::bind("127.0.0.1:0").context(|| "find a free port")?;
        let port = listener.local_addr().context(|| "find a free port")?.port();
        drop(listener);
        let process = Process::builder("chromedriver", "chromedriver")
            .arg(format!("--port={port}"))
            .start()
            .await?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(|error| Error::Browser(format!("make an HTTP client: {error}")))?;
        let url = format!("http://127.0.0.1:{port}");
        let ready = try_wait_for("the browser's driver", START, || async {
            let answer = http.get(format!("{url}/status")).send().await;
            answer.map(drop).map_err(|error| error.to_string())
        });
        ready.await?;
        let mut args = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--force-device-scale-factor=1".to_owned(),
            "--force-prefers-reduced-motion".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--no-first-run".to_owned(),
            "--proxy-server=direct://".to_owned(),
            format!("--window-size={},{}", look.size.0, look.size.1),
            format!("--lang={}", look.language),
            format!("--accept-lang={}", look.language),
            format!(
                "--user-data-dir={}",
                folder.path().join("profile").display()
            ),
        ];
        if look.dark {
            args.push("--force-dark-mode".to_owned());
            args.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "timeouts": {"pageLoad": LOADED.as_millis() as u64},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {"args": args, "binary": "/usr/bin/chromium",
                "prefs": {"intl.accept_languages": look.language}},
        }}});
        let answer = call(
            &http,
            reqwest::Method::POST,
            &format!("{url}/session"),
            Some(wanted),
        )
        .await?;
        let id = answer["sessionId"].as_str().unwrap_or_default();
        let browser = Self {
            session: format!("{url}/session/{id}"),
            http,
            _process: process,
            _folder: folder,
        };
        Ok(browser)
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.post("url", json!({"url": url})).await.map(drop)
    }

    /// Opens a tab and goes to it: what it is called.
    pub async fn new_tab(&self) -> Result<String> {
        let tab = self.post("window/new", json!({"type": "tab"})).await?;
        let name = tab["handle"].as_str().unwrap_or_default().to_owned();
        self.to_tab(&name).await?;
        Ok(name)
    }

    /// Goes to a tab. The one that was seen before is hidden.
    pub async fn to_tab(&self, name: &str) -> Result<()> {
        self.post("window", json!({"handle": name})).await?;
        // The driver alone would talk with it behind the one that is seen.
        let front = json!({"cmd": "Page.bringToFront", "params": {}});
        self.post("goog/cdp/execute", front).await.map(drop)
    }

    /// The address of the page.
    pub async fn address(&self) -> Result<String> {
        Ok(self
            .get("url")
            .await?
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// Runs a script in the page and returns what it returns.
    pub async fn script(&self, script: &str) -> Result<Value> {
        self.post("execute/sync", json!({"script": script, "args": []}))
            .await
    }

    /// Runs a script in the page that calls its last argument when it is done.
    pub async fn script_until(&self, script: &str, args: Vec<Value>) -> Result<Value> {
        self.post("execute/async", json!({"script": script, "args": args}))
            .await
    }

    /// The text of the page as a person reads it.
    pub async fn text(&self) -> Result<String> {
        let text = self.script("return document.body.innerText").await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until the page shows a text.
    pub async fn shows(&self, text: &str) -> Result<()> {
        self.until(&format!("the page to show {text:?}"), async || {
            let page = self.text().await.map_err(|error| error.to_string())?;
            if page.contains(text) {
                Ok(())
            } else {
                Err(page)
            }
        })
        .await
    }

    /// Waits until something is so.
    pub async fn until<T>(
        &self,
        what: &str,
        is_so: impl AsyncFn() -> std::result::Result<T, String>,
    ) -> Result<T> {
        Ok(try_wait_for(what, SHOWN, || is_so()).await?)
    }

    /// Clicks what a selector finds.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let element = self.element(selector).await?;
        self.post(&format!("element/{element}/click"), json!({}))
            .await
            .map(drop)
    }

    /// Types into what a selector finds.
    pub async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element(selector).await?;
        self.post(&format!("element/{element}/value"), json!({"text": text}))
            .await
            .map(drop)
    }

    /// Presses keys, wherever the focus is: `\u{e004}` is Tab, `\u{e007}` Enter.
    pub async fn press(&self, keys: &str) -> Result<()> {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                [
                    json!({"type": "keyDown", "value": key}),
                    json!({"type": "keyUp", "value": key}),
                ]
            })
            .collect();
        let keys = json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]});
        self.post("actions", keys).await.map(drop)
    }

    /// A picture of the window, PNG in base64.
    pub async fn picture(&self) -> Result<String> {
        Ok(self
            .get("screenshot")
            .await?
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// What the browser's console says of what is wrong.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let entries = self.log("browser").await?;
        let text = |entry: &Value| {
            format!(
                "{}: {}",
                entry["level"].as_str().unwrap_or_default(),
                entry["message"]
            )
        };
        Ok(entries
            .iter()
            .filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG")
            .map(text)
            .collect())
    }

    /// The hosts that the pages have asked something of, in the order of their first request.
    pub async fn hosts(&self) -> Result<Vec<String>> {
        let mut hosts = Vec::new();
        for entry in self.log("performance").await? {
            let message: Value =
                serde_json::from_str(entry["message"].as_str().unwrap_or_default())
                    .unwrap_or_default();
            if message["message"]["method"] != "Network.requestWillBeSent" {
                continue;
            }
            let url = message["message"]["params"]["request"]["url"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let Some((scheme, rest)) = url.split_once("://") else {
                continue;
            };
            let host = rest.split('/').next().unwrap_or_default().to_owned();
            if scheme.starts_with("http") && !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        Ok(hosts)
    }

    async fn log(&self, kind: &str) -> Result<Vec<Value>> {
        let entries = self.post("se/log", json!({"type": kind})).await?;
        Ok(entries.as_array().cloned().unwrap_or_default())
    }

    /// What axe-core finds against WCAG 2.2 AA on the page: for each rule its ID and the elements.
    pub async fn accessibility(&self) -> Result<Vec<String>> {
        let axe = std::fs::read_to_string(axe()?).context(|| "read axe-core")?;
        // As the driver's own code: a page's policy lets no other in.
        self.script(&format!("{axe}; window.axe = axe;")).await?;
        let found = self
            .script_until(
                "const done = arguments[arguments.length - 1]; \
                 axe.run(document, {runOnly: ['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice']}) \
                 .then(r => done(r.passes.length < 10 ? ['only ' + r.passes.length + ' rules apply'] : r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).join(' | '))), e => done([String(e)]));",
                vec![],
            )
            .await?;
        let found = found.as_array().cloned().unwrap_or_default();
        Ok(found
            .iter()
            .map(|found| found.as_str().unwrap_or_default().to_owned())
            .collect())
    }

    /// How much of two pictures differs: the share of pixels, from 0 to 1; 1 if their sizes do.
    /// The browser compares them itself, on an empty page.
    pub async fn difference(&self, a: &str, b: &str) -> Result<f64> {
        self.open("about:blank").await?;
        let script = "const [a, b, done] = arguments; \
            const read = text => new Promise((ok, no) => { const i = new Image(); i.onload = () => { \
              const c = document.createElement('canvas'); c.width = i.width; c.height = i.height; \
              const x = c.getContext('2d'); x.drawImage(i, 0, 0); ok(x.getImageData(0, 0, i.width, i.height)); }; \
              i.onerror = no; i.src = 'data:image/png;base64,' + text; }); \
            Promise.all([read(a), read(b)]).then(([p, q]) => { \
              if (p.width !== q.width || p.height !== q.height) return done(1); \
              let n = 0; for (let k = 0; k < p.data.length; k += 4) { \
                if (Math.max(Math.abs(p.data[k] - q.data[k]), Math.abs(p.data[k+1] - q.data[k+1]), Math.abs(p.data[k+2] - q.data[k+2])) > 48) n++; } \
              done(n / (p.width * p.height)); }, () => done(1));";
        let differs = self.script_until(script, vec![json!(a), json!(b)]).await?;
        Ok(differs.as_f64().unwrap_or(1.0))
    }

    async fn element(&self, selector: &str) -> Result<String> {
        self.until(&format!("{selector} on the page"), async || {
            let wanted = json!({"using": "css selector", "value": selector});
            let found = self
                .post("element", wanted)
                .await
                .map_err(|error| error.to_string())?;
            Ok(found[ELEMENT].as_str().unwrap_or_default().to_owned())
        })
        .await
    }

    async fn get(&self, path: &str) -> Result<Value> {
        call(
            &self.http,
            reqwest::Method::GET,
            &format!("{}/{path}", self.session),
            None,
        )
        .await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        call(
            &self.http,
            reqwest::Method::POST,
            &format!("{}/{path}", self.session),
            Some(body),
        )
        .await
    }
}

/// A picture in base64 as the bytes of its file.
pub fn picture_bytes(picture: &str) -> Result<Vec<u8>> {
    STANDARD
        .decode(picture)
        .map_err(|error| Error::Browser(format!("read a picture: {error}")))
}

/// The bytes of a picture's file in base64.
pub fn picture_text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn axe() -> Result<PathBuf> {
    let tools = target_dir().join("tools");
    let folders = std::fs::read_dir(&tools).context(|| "look for axe-core")?;
    let mut found = folders
        .filter_map(|entry| entry.ok().map(|entry| entry.path().join("axe.min.js")))
        .filter(|path| path.to_string_lossy().contains("axe-core-") && path.exists());
    found.next().ok_or_else(|| {
        Error::Browser("axe-core is missing: run tests/support/browser.sh".to_owned())
    })
}

async fn call(
    http: &reqwest::Client,
    method: reqwest::Method,
    url: &str,
    body: Option<Value>,
) -> Result<Value> {
    let failed = |error: reqwest::Error| {
        Error::Browser(format!("ask the browser's driver at {url}: {error}"))
    };
    let mut request = http.request(method, url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.map_err(failed)?;
    let is_good = answer.status().is_success();
    let mut answer: Value = answer.json().await.map_err(failed)?;
    let value = answer["value"].take();
    if is_good {
        Ok(value)
    } else {
        Err(Error::Browser(format!(
            "the browser's driver: {}: {}",
            value["error"], value["message"]
        )))
    }
}
