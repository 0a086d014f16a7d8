/* 3. The calls of the page, and its history: which reveal the end of a session. */

function hookXhr() {
  var proto = window.XMLHttpRequest && XMLHttpRequest.prototype;
  if (!proto) return;
  var open = proto.open;

  /* Sees every response first. If it would make the page discard a form, the page gets a network error instead. */
  function hold(event) {
    var xhr = this;
    if (xhr.readyState !== 4 || !(xhr.wecomGateHeld || (isOver(xhr) && offer()))) return;
    event.stopImmediatePropagation();
    if (xhr.wecomGateHeld) return;
    xhr.wecomGateHeld = true;
    setTimeout(function () {
      var failed = document.createEvent('Event');
      failed.initEvent('error', false, false);
      xhr.dispatchEvent(failed);
    }, 0);
  }

  proto.open = function (method, url) {
    var xhr = this;
    if (!xhr.wecomGate) {
      xhr.addEventListener('readystatechange', hold);
      xhr.addEventListener('load', hold);
      xhr.addEventListener('loadend', hold);
      xhr.addEventListener('load', function () {
        var header = xhr.status === 401 && isOurs(xhr.wecomGate) && xhr.getResponseHeader(LOGIN_HEADER);
        answered(xhr.wecomGate, xhr.status, header);
      });
    }
    xhr.wecomGate = String(url);
    return open.apply(xhr, arguments);
  };
}

function hookFetch() {
  var original = window.fetch;
  if (!original) return;
  window.fetch = function (input) {
    var url = String((input && input.url) || input);
    return original.apply(window, arguments).then(function (response) {
      var header = response.status === 401 && isOurs(url) && response.headers.get(LOGIN_HEADER);
      if (header && !SIGN_OUT.test(url) && offer()) throw new TypeError('Failed to fetch');
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
