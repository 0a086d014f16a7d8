// Records everything that a browser window sends and receives, with the Chrome DevTools Protocol (CDP).
import assert from 'node:assert/strict';

/** A JSON Web Token, anywhere. */
export const JWT = /eyJ[\w-]+\.[\w-]+\.[\w-]+/;

export class CdpRecorder {
  requests = []; // {id, url, method, type, headers}
  responses = []; // {url, status, headers}
  frames = []; // {way: 'sent' | 'received', text}
  bodies = []; // {url, text} of responses to API calls
  console = [];
  #headers = new Map(); // request id -> what really went out
  #waiting = [];
  #reading = [];

  static async on(page) {
    const recorder = new CdpRecorder();
    recorder.page = page;
    const cdp = await page.context().newCDPSession(page);
    const on = (event, f) => cdp.on(`Network.${event}`, f);
    on('requestWillBeSent', ({ requestId, request, type, redirectResponse }) => {
      // A redirect continues under the same id.
      if (redirectResponse) recorder.responses.push(redirectResponse);
      const { url, method, headers, postData } = request;
      recorder.#add(recorder.requests, { id: requestId, url, method, type, headers, postData });
    });
    on('requestWillBeSentExtraInfo', ({ requestId, headers, associatedCookies }) => {
      const all = recorder.#headers.get(requestId) ?? [];
      recorder.#headers.set(requestId, [...all, { headers, associatedCookies }]);
    });
    on('responseReceived', ({ requestId, response }) => {
      recorder.#add(recorder.responses, { id: requestId, ...response });
    });
    on('responseReceivedExtraInfo', ({ requestId, headers, headersText }) => {
      recorder.responses.push({ id: requestId, url: '(extra info)', headers, headersText });
    });
    on('loadingFinished', ({ requestId }) => {
      const response = recorder.responses.find((r) => r.id === requestId && r.url.includes('/api/'));
      if (!response) return;
      const read = cdp.send('Network.getResponseBody', { requestId });
      // Discarded with its page.
      recorder.#reading.push(read.then(({ body }) => recorder.bodies.push({ url: response.url, text: body }), () => {}));
    });
    on('webSocketFrameSent', ({ response }) => {
      recorder.#add(recorder.frames, { way: 'sent', text: response.payloadData });
    });
    on('webSocketFrameReceived', ({ response }) => {
      recorder.#add(recorder.frames, { way: 'received', text: response.payloadData });
    });
    on('webSocketCreated', ({ requestId, url }) => recorder.#add(recorder.requests, { id: requestId, url, type: 'WebSocket' }));
    on('webSocketWillSendHandshakeRequest', ({ requestId, request }) => {
      recorder.#headers.set(requestId, [{ headers: request.headers }]);
    });
    on('webSocketHandshakeResponseReceived', ({ response }) => recorder.responses.push({ url: '(websocket)', ...response }));
    page.on('console', (m) => m.type() === 'error' && recorder.console.push(`${m.text()} ${m.location().url}`));
    page.on('pageerror', (e) => recorder.console.push(`exception: ${e.message}`));
    await cdp.send('Network.enable');
    return recorder;
  }

  #add(list, item) {
    list.push(item);
    this.#waiting = this.#waiting.filter((w) => !(w.list === list && w.test(item) && (w.resolve(item), true)));
  }

  /** The first item, recorded already or later, of `requests`, `responses` or `frames` for which `test` holds. */
  async first(list, test, what, timeout = 60_000) {
    const there = this[list].find(test);
    if (there) return there;
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what} did not come within ${timeout} ms`)), timeout);
    });
    const waited = new Promise((resolve) => this.#waiting.push({ list: this[list], test, resolve }));
    return Promise.race([waited, late]).finally(() => clearTimeout(timer));
  }

  /** Clears everything recorded so far. */
  clear() {
    for (const list of [this.requests, this.responses, this.frames, this.bodies, this.console]) list.length = 0;
    this.#headers.clear();
  }

  /** Document requests: the pages a person sees. */
  documents() {
    return this.requests.filter((r) => r.type === 'Document');
  }

  /** API calls by NocoBase's own pages. */
  apiCalls(origin) {
    return this.requests.filter((r) => r.url.startsWith(`${origin}/api/`));
  }

  /** The values of a header that was actually sent with this request. */
  sentHeader(request, name) {
    const all = [request.headers ?? {}, ...(this.#headers.get(request.id) ?? []).map((h) => h.headers)];
    return all.flatMap((h) => Object.entries(h)).filter(([k]) => k.toLowerCase() === name).map(([, v]) => v);
  }

  /** No token of NocoBase's in anything that the browser sent, received or stores. */
  async assertNoToken() {
    await Promise.allSettled(this.#reading);
    const places = {
      requests: this.requests,
      headers: [...this.#headers.entries()],
      responses: this.responses,
      frames: this.frames,
      bodies: this.bodies,
      cookies: await this.page.context().cookies(),
      storage: await this.page.evaluate(() => ({ local: { ...localStorage }, session: { ...sessionStorage } })),
      document: await this.page.content(),
    };
    for (const [place, what] of Object.entries(places)) {
      for (const item of Array.isArray(what) ? what : [what]) {
        const text = JSON.stringify(item);
        const found = JWT.exec(text);
        assert.equal(found, null, `a JWT in ${place}: ${text.slice(0, 600)}`);
      }
    }
  }
}
