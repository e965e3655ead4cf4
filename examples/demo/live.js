// The live feed: shows what the server sends, newest first.
const feed = document.querySelector("[data-test=live-feed]");

function show(kind, text) {
  const entry = document.createElement("li");
  entry.dataset.kind = kind;
  entry.textContent = text;
  feed.prepend(entry);
  while (feed.children.length > 50) feed.lastChild.remove();
}

function listen() {
  const events = new EventSource("/events");
  events.addEventListener("open", () => { feed.dataset.live = "on"; });
  events.addEventListener("token_update", ({ data }) => {
    const { kind, client, slot, generation, origin, at } = JSON.parse(data);
    const what = slot ? `${client} (${slot})` : client;
    const where = origin === "local" ? "" : ", in another process";
    const when = new Date(at * 1000).toLocaleTimeString();
    show(kind, `${when} ${what} ${kind.replaceAll("_", " ")}, generation ${generation}${where}`);
  });
  events.addEventListener("resync", () => show("resync", "Some events were missed: reload the page."));
  events.addEventListener("error", () => {
    feed.dataset.live = "off";
    // The browser tries again by itself, unless it was refused: then nobody is signed in any more.
    if (events.readyState === EventSource.CLOSED) show("ended", "The feed has ended: reload the page.");
  });
}

if (feed) listen();
