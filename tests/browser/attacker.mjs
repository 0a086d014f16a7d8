// An attacker's page, and every way in which it can make a member's browser send a request.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Ways that need no click and do not leave the page, by what they insert into it. */
const QUIET = {
  'an image': (url) => `<img src="${url}">`,
  'a source set': (url) => `<img srcset="${url} 2x, ${url} 1x">`,
  'a picture in SVG': (url) => `<svg><image href="${url}"/></svg>`,
  'a picture in CSS': (url) => `<div style="background: url('${url}')">x</div>`,
  'an import in CSS': (url) => `<style>@import url("${url}");</style>`,
  'a style sheet': (url) => `<link rel="stylesheet" href="${url}">`,
  'an icon to fetch before': (url) => `<link rel="preload" as="image" href="${url}">`,
  'a page to fetch before': (url) => `<link rel="prefetch" href="${url}">`,
  'a script': (url) => `<script src="${url}"></script>`,
  'a script of the document’s own credentials': (url) => `<script src="${url}" crossorigin="use-credentials"></script>`,
  'a module': (url) => `<script type="module" crossorigin="use-credentials" src="${url}"></script>`,
  'a frame': (url) => `<iframe src="${url}"></iframe>`,
  'a frame in a sandbox': (url) => `<iframe sandbox="allow-forms allow-scripts" src="${url}"></iframe>`,
  'an object': (url) => `<object data="${url}"></object>`,
  'an embedded thing': (url) => `<embed src="${url}">`,
  'a video': (url) => `<video src="${url}" preload="auto"></video>`,
  'a fetch': (url) => `<script>fetch("${url}", { mode: "no-cors", credentials: "include" }).catch(() => {})</script>`,
  'a fetch that posts': (url) =>
    `<script>fetch("${url}", { method: "POST", mode: "no-cors", credentials: "include", body: "{}" }).catch(() => {})</script>`,
  'a fetch that would read': (url) => `<script>fetch("${url}", { credentials: "include" }).catch(() => {})</script>`,
  'a fetch through another site': (url, away) =>
    `<script>fetch("${away(url, 307)}", { method: "POST", mode: "no-cors", credentials: "include" }).catch(() => {})</script>`,
  'an XMLHttpRequest': (url) =>
    `<script>{ const x = new XMLHttpRequest(); x.open("POST", "${url}"); x.withCredentials = true; x.send("{}"); }</script>`,
  'a beacon': (url) => `<script>navigator.sendBeacon("${url}", "{}")</script>`,
  'an event source': (url) => `<script>new EventSource("${url}", { withCredentials: true }).onerror = (e) => e.target.close()</script>`,
  'an image that is somewhere else': (url, away) => `<img src="${away(url, 302)}">`,
  'a form in a frame': (url) =>
    `<iframe name="f1"></iframe><form id="f1" target="f1" method="get" action="${url}"></form><script>document.getElementById("f1").submit()</script>`,
  'a posted form in a frame': (url) =>
    `<iframe name="f2"></iframe><form id="f2" target="f2" method="post" action="${url}"></form><script>document.getElementById("f2").submit()</script>`,
};

/** Ways that leave the page, or need a click (on `#go`). */
const LEAVING = {
  'a link': (url) => `<a id="go" href="${url}">Win a prize</a>`,
  'a link into a new window': (url) => `<a id="go" target="_blank" rel="opener" href="${url}">Win a prize</a>`,
  'a link without referrer': (url) => `<a id="go" rel="noreferrer" href="${url}">Win a prize</a>`,
  'a link that downloads': (url) => `<a id="go" download href="${url}">Win a prize</a>`,
  'a link that pings': (url) => `<a id="go" href="#" ping="${url}">Win a prize</a>`,
  'a form': (url) => `<form action="${url}"><button id="go">Win a prize</button></form>`,
  'a form that posts': (url) => `<form method="post" action="${url}"><button id="go">Win a prize</button></form>`,
  'a form that posts text': (url) =>
    `<form method="post" enctype="text/plain" action="${url}"><button id="go" name='{"a":"' value='"}'>Win a prize</button></form>`,
  'a form that posts from nowhere': (url) =>
    `<meta name="referrer" content="no-referrer"><form method="post" action="${url}"><button id="go">Win a prize</button></form>`,
  'a form that is sent on': (url, away) =>
    `<form method="post" action="${away(url, 307)}"><button id="go">Win a prize</button></form>`,
  'a refresh': (url) => `<meta http-equiv="refresh" content="0; url=${url}">`,
  'a script that goes there': (url) => `<script>location.replace("${url}")</script>`,
  'a redirect': (url, away) => `<script>location.href = "${away(url, 302)}"</script>`,
  'a window': (url) => `<button id="go" onclick="window.open('${url}')">Win a prize</button>`,
};

/** Serves the pages under every host name of this machine. */
export class Attacker {
  static async start() {
    const attacker = new Attacker();
    attacker.server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url, 'http://x');
      if (pathname === '/away') {
        response.writeHead(Number(searchParams.get('status')), { location: searchParams.get('to') });
        return response.end();
      }
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(`<!doctype html><title>Prizes</title>${attacker.body ?? ''}`);
    });
    await new Promise((resolve) => attacker.server.listen(0, '127.0.0.1', resolve));
    return attacker;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  at(host) {
    return `http://${host}:${this.server.address().port}`;
  }

  /** Opens a page of `host` with `html` in it. */
  async show(page, host, html) {
    this.body = html;
    await page.goto(`${this.at(host)}/`);
  }

  /**
   * Tries all ways from pages of `host`. `aim(way)` returns the URL that a way requests, `reached(way)` resolves when the request
   * has arrived and got its response.
   */
  async tryEverything(client, host, aim, reached) {
    const away = (url, status) => `${this.at(host)}/away?status=${status}&to=${encodeURIComponent(url)}`;
    const quiet = Object.entries(QUIET).map(([way, html]) => html(aim(way), away));
    await this.show(client.page, host, quiet.join('\n'));
    for (const way of Object.keys(QUIET)) await reached(way);
    for (const [way, html] of Object.entries(LEAVING)) {
      const page = await client.context.newPage();
      await this.show(page, host, html(aim(way), away));
      if (html('', () => '').includes('id="go"')) await page.locator('#go').click({ noWaitAfter: true });
      await reached(way);
      const others = client.context.pages().filter((p) => p !== client.page);
      // Chromium is slow to close pages that are being redirected.
      await Promise.race([Promise.all(others.map((p) => p.close())), sleep(300)]);
    }
  }
}

export const WAYS = [...Object.keys(QUIET), ...Object.keys(LEAVING)];

/** A server that trusts the session cookie alone, as the gate must not. It shows that the attacks work. */
export class Naive {
  answered = []; // paths
  acted = [];

  static async start() {
    const naive = new Naive();
    naive.server = createServer((request, response) => {
      const path = request.url.replace(/\?.*/, '');
      if (request.headers.cookie?.includes('wecom_gate=')) naive.acted.push(path);
      naive.answered.push(path);
      response.writeHead(401, { 'content-type': 'application/json' });
      request.resume().on('end', () => response.end('{}'));
    });
    await new Promise((resolve) => naive.server.listen(0, '127.0.0.1', resolve));
    naive.port = naive.server.address().port;
    return naive;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
