// What is live on the pages. Without it they show the same when they are loaded again.
"use strict";

// The reason opens beside the list instead of in place of it.
const panel = document.getElementById("panel");
if (panel && typeof panel.showModal === "function") {
  document.addEventListener("click", async (event) => {
    const link = event.target instanceof Element ? event.target.closest("a.why") : null;
    if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    try {
      const answer = await fetch(link.href, { headers: { accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const why = page.getElementById("why");
      if (!answer.ok || !why) throw new Error("no panel");
      document.getElementById("panel-text").replaceChildren(document.importNode(why, true));
      panel.showModal();
      // From the top, and not from the button that closes it.
      const title = panel.querySelector("h1");
      title.tabIndex = -1;
      title.focus();
      panel.scrollTop = 0;
    } catch {
      location.assign(link.href);
    }
  });
}

// Calls that come in: the server tells each state once, and the page keeps what it has of it.
const live = document.body.dataset.live;
if (live && "EventSource" in window) {
  const list = document.getElementById(live === "screen" ? "cards" : "calls");
  const status = document.querySelector(".live");
  const say = document.getElementById("say");
  const nothing = document.getElementById("nothing");
  const attribute = live === "screen" ? "card" : "call";
  const versions = new Map();
  let first = true;

  const tell = (text) => {
    if (status && status.textContent !== text) status.textContent = text;
  };
  const find = (id) => [...list.children].find((child) => child.dataset[attribute] === id);
  const element = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.firstElementChild;
  };
  const empty = () => {
    if (nothing) nothing.hidden = list.children.length > 0;
  };

  // A browser gives six connections to a host, over all tabs: one that nobody sees needs none, and
  // gets the state when it is seen again.
  let events = null;
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return connect();
    if (events) events.close();
    events = null;
  });

  const connect = () => {
    if (document.hidden || (events && events.readyState !== EventSource.CLOSED)) return;
    events = new EventSource("/pages/events?board=" + live);
    const mine = events;
    events.addEventListener("open", () => tell(status.dataset.connected));
    events.addEventListener("board", (event) => {
      const { ids, goesOn } = JSON.parse(event.data);
      for (const child of [...list.children]) {
        const id = child.dataset[attribute];
        if (!ids.includes(id) && !goesOn) {
          child.remove();
          versions.delete(id);
        }
      }
      empty();
    });
    events.addEventListener("card", (event) => {
      const card = JSON.parse(event.data);
      if (versions.get(card.id) === card.version) return;
      const before = find(card.id);
      const now = element(card.html);
      now.dataset.order = card.order;
      const isNew = !before;
      const open = before ? [...before.querySelectorAll("details")].map((d) => d.open) : [];
      if (before && before.contains(document.activeElement)) {
        // Who is reading in it keeps the place.
        const at = [...before.querySelectorAll("a, summary")].indexOf(document.activeElement);
        before.replaceWith(now);
        const same = now.querySelectorAll("a, summary")[at];
        if (same) same.focus();
      } else if (before) {
        before.replaceWith(now);
      } else {
        const below = [...list.children].find((child) => Number(child.dataset.order || 0) <= card.order);
        list.insertBefore(now, below || null);
        if (!first && live === "history") now.classList.add("new");
      }
      [...now.querySelectorAll("details")].forEach((d, n) => (d.open = open[n] || false));
      versions.set(card.id, card.version);
      if (!first && say && (isNew || say.textContent !== card.say)) say.textContent = card.say;
      empty();
    });
    events.addEventListener("gone", (event) => {
      const { id } = JSON.parse(event.data);
      const gone = find(id);
      if (gone) gone.remove();
      versions.delete(id);
      empty();
    });
    events.addEventListener("seen", () => (first = false));
    events.addEventListener("error", () => {
      tell(status.dataset.broken);
      if (mine.readyState !== EventSource.CLOSED || events !== mine) return;
      // An answer that is no stream: busy, going down, or nobody is signed in any more.
      setTimeout(async () => {
        try {
          const answer = await fetch("/pages/" + (live === "screen" ? "screen" : "calls"), { redirect: "manual" });
          if (answer.type === "opaqueredirect") return location.reload();
        } catch {
          // It is still away.
        }
        connect();
      }, 1000 + Math.random() * 2000);
    });
  };
  connect();
}
