// Actions of members, shared by the tests.
import assert from 'node:assert/strict';
import { stage } from './stage.mjs';

/** Signs in from a NocoBase page, past consent where WeCom asks for it. */
export async function enter(client, { path = stage.page, consent = false } = {}) {
  await client.page.goto(stage.origin + path);
  if (consent) await client.page.getByRole('button', { name: 'Allow' }).click();
  await menu(client.page);
}

/** Waits until NocoBase has loaded, with its menu. */
export async function menu(page) {
  await page.getByText('Orders 订单').first().waitFor();
}

/** A call as NocoBase's page makes it, with its stored token. */
export function call(page, path, { method = 'GET', json } = {}) {
  return page.evaluate(
    async ([path, method, json]) => {
      const headers = { Authorization: `Bearer ${localStorage.getItem('NOCOBASE_TOKEN')}` };
      const csrf = /nb_csrf_token_main=([^;]*)/.exec(document.cookie);
      if (csrf) headers['X-CSRF-Token'] = decodeURIComponent(csrf[1]);
      if (json) headers['Content-Type'] = 'application/json';
      const response = await fetch(`/api/${path}`, { method, headers, body: json && JSON.stringify(json) });
      const text = await response.text();
      return { status: response.status, ...(text ? JSON.parse(text) : {}) };
    },
    [path, method, json],
  );
}

/** A call as NocoBase's client makes it. The page may be leaving already: the end of its WebSocket tells it too. */
export async function ask(page) {
  try {
    await page.evaluate(() => {
      const ask = new XMLHttpRequest();
      ask.open('GET', '/api/roles:check');
      ask.setRequestHeader('Authorization', `Bearer ${localStorage.getItem('NOCOBASE_TOKEN')}`);
      ask.send();
    });
  } catch (error) {
    if (!/navigation|context/i.test(error.message)) throw error;
  }
}

/** Marks what the window shows now; the returned function waits until it shows something else, even at the same URL. */
export async function marked(page) {
  await page.evaluate(() => { window.shown = true; });
  return () => page.waitForFunction(() => !window.shown);
}

/**
 * Ends the session in NocoBase with another client that has these headers. An open page of the session signs in again at that
 * moment, and SQLite may then be too busy for NocoBase's own sign-out; the gate has blocked the session before it.
 */
export async function signOutElsewhere(headers) {
  const { body } = await stage.ask(stage.gate, '/api/auth:signOut', { method: 'POST', headers });
  const { errors = [] } = JSON.parse(body);
  assert.ok(errors.every((e) => e.message.startsWith('SQLITE_BUSY')), body);
}
