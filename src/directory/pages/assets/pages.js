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
    } catch {
      location.assign(link.href);
    }
  });
}
