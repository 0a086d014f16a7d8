// Continuous requests, and the result of each.
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export class Load {
  safe = 0; // GETs with the right response
  failed = []; // GETs without
  posts = new Map(); // name -> {status, retryAfter, text, at (milliseconds)}; status 0: no response
  #agent = new http.Agent({ keepAlive: true });
  #on = true;

  /** `gets` are `[path, headers, expected part of the response]`; `post(name)` returns a request that creates one thing of that
      name. */
  constructor(gate, gets, post) {
    this.gate = gate;
    this.#workers = [...gets.map((get) => this.#get(...get)), this.#post(post)];
  }

  #workers;

  async #ask(path, { method = 'GET', headers, body }) {
    const { host } = new URL(this.gate.origin);
    const options = { host: '127.0.0.1', port: this.gate.port, path, method, agent: this.#agent, headers: { host, ...headers } };
    return new Promise((resolve) => {
      const lost = (e) => resolve({ status: 0, text: e.message, headers: {} });
      const request = http.request(options, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', lost);
        response.on('end', () => resolve({
          status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString(),
        }));
      });
      request.setTimeout(30_000, () => request.destroy(new Error('no response within 30 s')));
      request.on('error', lost);
      request.end(body);
    });
  }

  async #get(path, headers, has) {
    while (this.#on) {
      const { status, text } = await this.#ask(path, { headers });
      if (status === 200 && text.includes(has)) this.safe += 1;
      else this.failed.push(`${path}: ${status} ${text.slice(0, 200)}`);
      await sleep(15);
    }
  }

  async #post(post) {
    for (let i = 0; this.#on; i += 1) {
      const name = `load ${i}.`;
      const { path, ...request } = post(name);
      const { status, headers, text } = await this.#ask(path, { method: 'POST', ...request });
      this.posts.set(name, { status, retryAfter: headers['retry-after'], text: text.slice(0, 200), at: performance.now() });
      await sleep(15);
    }
  }

  async stop() {
    this.#on = false;
    await Promise.all(this.#workers);
    this.#agent.destroy();
  }
}
