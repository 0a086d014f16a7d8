// A stub of a browser window, in which the script for NocoBase's pages runs.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import vm from 'node:vm';

const PAGES = new URL('../../src/pages/', import.meta.url);
/** The script as `script.rs` assembles it. */
const PARTS = readFileSync(new URL('script.rs', PAGES), 'utf8').matchAll(/include_str!\("(gate\/\w+\.js)"\)/g);
const SOURCE = `(function () {\n'use strict';\n${[...PARTS].map(([, path]) => readFileSync(new URL(path, PAGES), 'utf8')).join('')}})();`;
export const ORIGIN = 'https://nocobase.example.com';
export const TOKEN = 'wcg_phantom';
export const LOGIN = '/wecom-gate/login';
const HEADER = 'x-wecom-gate-login';

export class Store {
  constructor(items = {}) {
    this.items = new Map(Object.entries(items));
  }
  get length() {
    return this.items.size;
  }
  key(i) {
    return [...this.items.keys()][i] ?? null;
  }
  getItem(k) {
    return this.items.get(k) ?? null;
  }
  setItem(k, v) {
    this.items.set(k, String(v));
  }
  removeItem(k) {
    this.items.delete(k);
  }
  all() {
    return Object.fromEntries(this.items);
  }
}

class Emitter {
  listeners = {};
  addEventListener(name, f) {
    (this.listeners[name] ??= []).push(f);
  }
  emit(name, event = {}) {
    for (const f of this.listeners[name] ?? []) f(event);
  }
}

/** Texts as `script.rs` puts them there, of which a test has some. */
function source(texts) {
  return SOURCE.replace('{} /* texts */', JSON.stringify(texts));
}

/** A page at `path` with the gate's tag; the script has run, NocoBase's own code has not. */
export function open(path, options = {}) {
  const { data = {}, texts = {}, local = new Store(), session = new Store(), readyState = 'loading', response } = options;
  const window = new Emitter();
  const attributes = {
    'data-token': TOKEN, 'data-app': 'main', 'data-delivery': 'sealed', 'data-login': LOGIN, 'data-user': '7', ...data,
  };
  const tag = {
    src: `${ORIGIN}/wecom-gate/gate.js?v=1`,
    getAttribute: (n) => attributes[n] ?? null,
    removeAttribute: (n) => delete attributes[n],
  };
  let url = new URL(path, ORIGIN);
  const gone = [];
  const location = {
    get pathname() { return url.pathname; },
    get search() { return url.search; },
    get hash() { return url.hash; },
    get host() { return url.host; },
    get protocol() { return url.protocol; },
    replace: (to) => gone.push(to),
    reload: () => gone.push('reload'),
  };
  const history = {
    pushState(_s, _t, to) { url = new URL(to, url); },
    replaceState(_s, _t, to) { url = new URL(to, url); },
  };
  const cookies = [];
  const element = (tagName) => ({
    tagName, style: {}, children: [], attributes: {}, set href(h) { this.to = h; this.host = new URL(h, url).host; },
    appendChild(child) { this.children.push(child); child.parentNode = this; },
    removeChild(child) { this.children = this.children.filter((c) => c !== child); },
    setAttribute(n, v) { this.attributes[n] = v; },
  });
  const body = element('BODY');
  const head = element('HEAD');
  const loaded = new Map(); // bytes transferred of each resource that is there, by address
  const modules = []; // the page's own scripts
  const document = Object.assign(new Emitter(), {
    body,
    head,
    querySelectorAll: () => modules,
    getElementById: (id) => body.children.find((c) => c.id === id) ?? null,
    createTextNode: (text) => ({ text }),
    currentScript: options.noCurrentScript ? null : tag,
    readyState,
    documentElement: { style: {}, contains: (e) => !e.gone },
    getElementsByTagName: () => [{ src: '' }, tag, { src: `${ORIGIN}/assets/x.js` }],
    createElement: element,
  });
  Object.defineProperty(document, 'cookie', { set: (c) => cookies.push(c) });
  const requests = [];
  class XMLHttpRequest extends Emitter {
    sent = [];
    constructor() {
      super();
      requests.push(this);
    }
    open(method, to) { this.opened = [method, to]; }
    setRequestHeader(name, value) { this.sent.push([name, value]); }
    send() {}
    getResponseHeader(n) { return n.toLowerCase() === HEADER ? this.login ?? null : null; }
    finish(status, login, response = '') {
      Object.assign(this, { status, login, response, readyState: 4 });
      const events = [];
      const emit = (type) => {
        for (const f of this.listeners[type] ?? []) f.call(this, { type });
        events.push(type);
      };
      ['readystatechange', 'load', 'loadend'].forEach(emit);
      this.events = events;
    }
  }
  const timers = [];
  const ticks = [];
  let now = 1_000_000_000_000;
  const context = Object.assign(window, {
    window, document, location, history, XMLHttpRequest, Blob, Response, encodeURIComponent, decodeURIComponent, JSON, Math, String, Object,
    setTimeout: (f, ms) => timers.push([f, ms]),
    setInterval: (f) => ticks.push(f) - 1,
    clearInterval: (i) => (ticks[i] = null),
    performance: { getEntriesByName: (name) => (loaded.has(name) ? [{ name, transferSize: loaded.get(name) }] : []) },
    Date: class { getTime() { return options.clock ? options.clock() : now; } },
    fetch: async () => response ?? { status: 200, headers: new Map() },
    ...(options.languages && { navigator: { languages: options.languages } }),
  });
  for (const [name, store] of [['localStorage', local], ['sessionStorage', session]]) {
    Object.defineProperty(context, name, {
      get() {
        if (store instanceof Error) throw store;
        return store;
      },
    });
  }
  vm.runInContext(source(texts), vm.createContext(context));
  const inline = (settings) => vm.runInContext(
    Object.entries(settings).map(([k, v]) => `window['${k}'] = ${JSON.stringify(v)};`).join('\n'), context);
  return {
    window, local, session, document, history, gone, cookies, attributes, timers, context, inline, requests, head, loaded, modules,
    tick: () => ticks.forEach((f) => f?.()),
    /** How many intervals run. */
    looking: () => ticks.filter(Boolean).length,
    /** Cookies except the language's. */
    get roles() { return cookies.filter((c) => !c.startsWith('wecom_gate_lang=')); },
    /** What NocoBase's inline script does. */
    settings: (prefix = 'NOCOBASE_', more = {}) => inline({
      __nocobase_public_path__: '/', __nocobase_api_client_storage_prefix__: prefix,
      __nocobase_api_client_storage_type__: 'localStorage', __nocobase_api_client_share_token__: false, ...more,
    }),
    /** A call of the page and its response; returns what the page sees of it. */
    xhr(to, status, login, response, responseType = '') {
      const xhr = new window.XMLHttpRequest();
      xhr.responseType = responseType;
      xhr.open('GET', to);
      xhr.finish(status, login, response);
      assert.deepEqual(xhr.events, ['readystatechange', 'load', 'loadend']);
      return xhr;
    },
    type(value = 'a draft') {
      const field = { value, getClientRects: () => [{}] };
      document.emit('input', { target: field });
      return field;
    },
  };
}
