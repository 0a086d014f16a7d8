/* 3. The calls of the page, and its history: which reveal the end of a session. */

/*
 * The response that a page with a form gets, instead of the one that the session has ended: an error that its client does not show.
 * Of a network error, NocoBase's clients show a red message, which on a phone covers the strip.
 */
var HELD = '{"errors":[]}';
var HELD_STATUS = 409;

function hookXhr() {
  var proto = window.XMLHttpRequest && XMLHttpRequest.prototype;
  if (!proto) return;
  var open = proto.open;

  /* Sees every response first. */
  function hold() {
    if (this.readyState === 4 && isOver(this) && offer()) replace(this);
  }

  proto.open = function (method, url) {
    var xhr = this;
    if (!xhr.wecomGate) {
      xhr.addEventListener('readystatechange', hold);
      xhr.addEventListener('load', function () {
        var header = xhr.status === 401 && isOurs(xhr.wecomGate) && xhr.getResponseHeader(LOGIN_HEADER);
        answered(xhr.wecomGate, xhr.status, header);
      });
    }
    restore(xhr);
    xhr.wecomGate = String(url);
    return open.apply(xhr, arguments);
  };
}

function replace(xhr) {
  var kind = xhr.responseType;
  var body = kind && kind !== 'text' ? null : HELD;
  if (kind === 'json') body = JSON.parse(HELD);
  if (kind === 'blob') body = new Blob([HELD], { type: 'application/json' });
  xhr.wecomGateHeld = { status: HELD_STATUS, statusText: 'Conflict', response: body, responseText: HELD };
  for (var name in xhr.wecomGateHeld) {
    Object.defineProperty(xhr, name, { configurable: true, value: xhr.wecomGateHeld[name] });
  }
}
function restore(xhr) {
  for (var name in xhr.wecomGateHeld || {}) delete xhr[name];
  xhr.wecomGateHeld = null;
}

function hookFetch() {
  var original = window.fetch;
  if (!original) return;
  window.fetch = function (input) {
    var url = String((input && input.url) || input);
    return original.apply(window, arguments).then(function (response) {
      var header = response.status === 401 && isOurs(url) && response.headers.get(LOGIN_HEADER);
      if (header && !SIGN_OUT.test(url) && offer()) {
        return new Response(HELD, { status: HELD_STATUS, headers: { 'Content-Type': 'application/json' } });
      }
      answered(url, response.status, header);
      return response;
    });
  };
}

/* Browsers log an error when a script reads headers of another site's response. */
function isOurs(url) {
  var link = document.createElement('a');
  link.href = url;
  return link.host === location.host;
}

hookHistory('pushState');
hookHistory('replaceState');
window.addEventListener('popstate', moved);
window.addEventListener('hashchange', moved);
hookXhr();
hookFetch();

// Another member has signed in in another tab: what this page shows is not theirs.
window.addEventListener('storage', function (event) {
  if (user !== null && event.key === MARK_USER + app && event.newValue && event.newValue !== user) {
    location.reload();
  }
  // The same member has signed in again there: this page continues with the new token.
  var strip = document.getElementById('wecom-gate-over');
  if (strip && placed && event.key === placed.key && event.newValue) strip.parentNode.removeChild(strip);
});

moved();
