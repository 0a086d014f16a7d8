// The test environment: the real NocoBase, the simulator as WeCom, gates, Chromium.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { NocoBase } from './nocobase.mjs';
import { Program, freePort, run } from './process.mjs';
import { CdpRecorder } from './cdp_recorder.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TARGET = process.env.CARGO_TARGET_DIR || join(ROOT, 'target');
export const GATE = process.env.WECOM_GATE_BIN || join(TARGET, 'debug', 'wecom-gate');
export const DEMO = process.env.WECOM_GATE_DEMO_BIN || join(TARGET, 'debug', 'wecom-gate-demo');
const SIMULATOR = process.env.WECOM_SIM_BIN || join(TARGET, 'debug', 'wecom-sim');
const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
const SCREENSHOTS = join(ROOT, 'target', 'browser-screenshots');

export const CORP = 'ww0123456789abcdef';
export const UA = {
  phone:
    'Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP2A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 ' +
    'Chrome/116.0.0.0 Mobile Safari/537.36 wxwork/4.1.30 MicroMessenger/7.0.1 Language/en ColorScheme/Light',
  desktop:
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/108.0.0.0 ' +
    'Safari/537.36 wxwork/4.1.30 MicroMessenger/7.0.1 WindowsWechat MailPlugin_Electron WeMail Lang/en',
};
const DEVICE = {
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
  desktop: { viewport: { width: 1280, height: 800 } },
};

class Stage {
  #closing = [];
  #idle = new Map(); // windows that wait for the next test, by kind

  /** `nocobase(dir, secret)` starts NocoBase with another database than SQLite, `more` prepares what must exist before the gate
      starts. */
  async start({ nocobase = NocoBase.start, more } = {}) {
    rmSync(SCREENSHOTS, { recursive: true, force: true });
    mkdirSync(SCREENSHOTS, { recursive: true });
    this.dir = mkdtempSync(join(tmpdir(), 'wecom-gate-browser-'));
    this.#closing.push(() => rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 }));
    this.secret = randomBytes(32).toString('base64url');
    this.sessionKey = randomBytes(64).toString('base64');
    // Each with its own host name: cookies do not distinguish ports.
    this.origin = `http://127.0.0.1:${await freePort()}`;
    this.tlsOrigin = `https://localhost:${await freePort()}`;
    const [started, sim, browser] = await Promise.allSettled([this.#nocobase(nocobase), this.#simulator(), this.#chromium()]);
    for (const part of [started, sim, browser]) if (part.status === 'rejected') throw part.reason;
    this.serviceUser = await this.nocobase.serviceUser();
    this.page = await this.nocobase.page('Orders 订单', 'orders1');
    await more?.();
    this.gate = await this.startGate('a');
  }

  /** Runs at the end, in reverse order. */
  closing(close) {
    this.#closing.push(close);
  }

  async #nocobase(start) {
    this.nocobase = await start(this.dir, this.secret);
    this.nodes = [this.nocobase];
    this.#closing.push(() => Promise.all(this.nodes.map((node) => node.program.stop(20_000))));
  }

  async #simulator() {
    const port = await freePort();
    this.sim = `http://127.0.0.1:${port}`;
    this.simulator = new Program('simulator', SIMULATOR, [
      '--listen', `127.0.0.1:${port}`, '--app-origin', this.origin,
    ]);
    this.#closing.push(() => this.simulator.stop());
    await this.simulator.line(/WeCom simulator at/);
  }

  async #chromium() {
    await this.startChromium();
    this.#closing.push(() => this.browser.close());
  }

  async startChromium() {
    this.browser = await chromium.launch({
      executablePath: CHROMIUM,
      headless: true,
      args: [
        '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
        '--disable-background-networking', '--disable-component-update', '--disable-sync',
        // Hosts of one site, and of another.
        '--host-resolver-rules=MAP *.test 127.0.0.1',
      ],
    });
  }

  async restartChromium() {
    await this.browser.close();
    this.#idle.clear();
    await this.startChromium();
  }

  freePort() {
    return freePort();
  }

  /** A request as a program sends it, with only these headers. The `Host` is the origin's, whichever node it is sent to. */
  ask(gate, path, { method = 'GET', headers = {}, body } = {}) {
    return new Promise((resolve, reject) => {
      const host = new URL(gate.origin).host;
      const options = { host: '127.0.0.1', port: gate.port, path, method, headers: { host, ...headers }, agent: false };
      const request = http.request(options, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() });
        });
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  /** The response of the simulator's `/sim/...`. */
  async simulate(method, path, body) {
    const response = await fetch(`${this.sim}/sim/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    assert.ok(response.ok, `${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  /**
   * A gate. `port` is its port (default: the origin's), `nodes` are its upstreams, `nocobase`, `access` and `session` are more
   * lines of its file; `agent` is one of the simulator's apps, `others` are more of them, as `corpid/agentid`,
   * `corpid/agentid/title` or `corpid/agentid/title/auto`; `entry` is more of the first one's lines.
   */
  async startGate(name, {
    origin = this.origin, port, nodes = this.nodes, nocobase = [], access = [], session = [], agent = 1000002, others = [],
    entry: more = [], tls,
  } = {}) {
    port ??= new URL(origin).port;
    const { companies } = await this.simulate('GET', 'data');
    const text = (value) => JSON.stringify(value);
    const entry = (app, i) => {
      const [corp, agent, title = 'WeCom', auto] = app.split('/');
      const { entry, secret } = companies.find((c) => c.corp_id === corp).apps.find((a) => a.agent_id === Number(agent));
      return [
        '[[wecom]]', `name = ${text(entry)}`, `title = ${text(title)}`, `corp_id = "${corp}"`, `agent_id = "${agent}"`, `secret = ${text(secret)}`,
        `auto_login = ${i === 0 || auto === 'auto'}`, 'home = "/admin"', 'home_mobile = "/m"', `api_base = "${this.sim}"`,
        `authorize_url = "${this.sim}/connect/oauth2/authorize"`,
        `web_login_url = "${this.sim}/wwlogin/sso/login"`, ...(i === 0 ? more : []),
      ];
    };
    const listen = tls
      ? [`https = ["127.0.0.1:${port}"]`, `cert = ${text(tls.cert)}`, `key = ${text(tls.key)}`]
      : [`http = ["127.0.0.1:${port}"]`];
    const file = join(this.dir, `gate-${name}.toml`);
    const lines = [
      `origin = ${text(origin)}`,
      '[listen]', ...listen, 'ops = "127.0.0.1:0"',
      '[upstream]', `nodes = ${text(nodes.map((n) => `127.0.0.1:${n.port}`))}`,
      '[nocobase]', `jwt_secret = ${text(this.secret)}`, `service_user = ${this.serviceUser}`, ...nocobase,
      ...[`${CORP}/${agent}`, ...others].flatMap(entry),
      '[access]', ...access,
      '[session]', `keys = ["${this.sessionKey}"]`, ...session,
    ];
    if (!nocobase.some((l) => l.startsWith('auto_create_user'))) {
      lines.splice(lines.indexOf('[[wecom]]'), 0, 'auto_create_user = true');
    }
    writeFileSync(file, lines.join('\n'));
    const gate = new Program(`gate ${name}`, GATE, ['run', '--conf', file]);
    this.#closing.push(() => gate.stop());
    gate.base = `${new URL(origin).protocol}//127.0.0.1:${port}`;
    gate.origin = origin;
    gate.file = file;
    gate.port = Number(port);
    await gate.line(new RegExp(`"listening".*127\\.0\\.0\\.1:${port}`));
    gate.ops = JSON.parse(await gate.line(/"listening".*"ops"/)).address;
    return gate;
  }

  /** A self-signed certificate for localhost. */
  async certificate() {
    const [cert, key] = [join(this.dir, 'cert.pem'), join(this.dir, 'key.pem')];
    await run('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert,
    ]);
    return { cert, key };
  }

  /**
   * WeCom's client of `member`: a window with nothing but the browser's cache of NocoBase's files, which would take ten seconds
   * to load each time. `closed` keeps the window for the next test.
   */
  async client(member, device = 'desktop', { state, ...options } = {}) {
    const kind = JSON.stringify([device, options, 'userAgent' in options]);
    const context = this.#idle.get(kind)?.pop() ?? (await this.browser.newContext({
      userAgent: UA[device], ...DEVICE[device], locale: 'en-US', serviceWorkers: 'block', ...options,
    }));
    context.setDefaultTimeout(60_000);
    const page = await context.newPage();
    if (state) await context.addCookies(state.cookies);
    const recorder = await CdpRecorder.on(page);
    if (member) await this.pick(context, member);
    const close = async () => {
      await this.#wipe(context, page);
      await page.close();
      this.#idle.set(kind, [...(this.#idle.get(kind) ?? []), context]);
    };
    return { context, page, recorder, close };
  }

  /** Deletes all cookies and stored data. */
  async #wipe(context, page) {
    await page.goto('about:blank');
    const cdp = await context.newCDPSession(page);
    for (const origin of [this.origin, this.tlsOrigin]) {
      await cdp.send('Storage.clearDataForOrigin', { origin, storageTypes: 'local_storage,indexeddb,cache_storage' });
    }
    await context.clearCookies();
  }

  /** Adds a member to a company of the simulator, or changes an existing one. */
  async member(member, corp = CORP) {
    const data = await this.simulate('GET', 'data');
    const company = data.companies.find((c) => c.corp_id === corp);
    company.members = company.members.filter((m) => m.userid !== member.userid);
    const same = company.members.find((m) => m.mobile === member.mobile);
    assert.equal(same?.userid, undefined, `${member.userid} needs a phone number of their own: the gate matches by it`);
    company.members.push({ departments: [corp === CORP ? 3 : 2], ...member });
    await this.simulate('PUT', 'data', data);
  }

  /** Makes this window that member's client. */
  async pick(context, member) {
    const response = await context.request.post(`${this.sim}/client/member`, {
      form: { member: member.includes('/') ? member : `${CORP}/${member}`, next: '/' },
      maxRedirects: 0,
    });
    assert.equal(response.status(), 303);
  }

  /** A screenshot of the page, for the report. */
  async picture(page, name) {
    await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) }).catch(() => {});
  }

  /** Screenshots of every open window, after a failure. */
  async pictures(name) {
    const pages = (this.browser?.contexts() ?? []).flatMap((c) => c.pages());
    const file = name.replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 80);
    for (const [i, page] of pages.entries()) await this.picture(page, `failed-${file}-${i}`);
    const where = pages.map((p) => p.url()).join(' ');
    console.error(`open: ${where}\npictures: ${SCREENSHOTS}\nthe gate's last lines:\n${this.gate?.lines.filter((l) => !l.includes('"status":2')).slice(-12).join('\n')}`);
  }

  async stop() {
    for (const close of this.#closing.splice(0).reverse()) {
      try {
        await close();
      } catch (e) {
        console.error(e);
      }
    }
  }
}

export const stage = new Stage();
