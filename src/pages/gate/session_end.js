/* 3. Signing in again when the session has ended. */

var gate = login.replace(/login$/, '');
var leaving = false;
var signedOut = false;
var spot = isSignIn(location.pathname) ? '' : here(); // the last page that was not the sign-in page

function here() {
  return location.pathname + location.search + location.hash;
}

/* NocoBase's own sign-in page, of any of its clients; pages below /admin/ are user-defined. */
function isSignIn(path) {
  return /\/signin\/?$/.test(path) && path.indexOf('/admin/') < 0;
}

/* `?redirect=` of NocoBase's sign-in page, if we did not see the previous page; it may lack the public path. */
function asked() {
  var found = /[?&]redirect=([^&]*)/.exec(location.search);
  var path = '';
  try {
    path = found ? decodeURIComponent(found[1].replace(/\+/g, ' ')) : '';
  } catch (e) {
    path = '';
  }
  if (!/^\/(?![\/\\])/.test(path) || isSignIn(path.split(/[?#]/)[0])) path = '/';
  return path.indexOf(root()) === 0 ? path : root().replace(/\/$/, '') + path;
}

/* At most two automatic redirects a minute, so that there is never a redirect loop. */
function mayGo() {
  var store = storage('sessionStorage');
  var now = new Date().getTime();
  var times;
  try {
    times = JSON.parse(read(store, MARK_BACK) || '[]');
  } catch (e) {
    times = [];
  }
  var recent = [];
  for (var i = 0; i < (times && times.length) || 0; i++) {
    if (typeof times[i] === 'number' && Math.abs(now - times[i]) < MINUTE) recent.push(times[i]);
  }
  if (recent.length >= MOST_BACK) return false;
  recent.push(now);
  // If returns cannot be counted, nothing happens automatically.
  return !!store && write(store, MARK_BACK, JSON.stringify(recent));
}

/* Leaves this page: to sign in, to the sign-in page that waits for a click, or to the signed-out page. */
function leave() {
  if (leaving) return;
  leaving = true;
  tellLanguage();
  var back = encodeURIComponent(spot || asked());
  var to;
  if (signedOut || read(local, MARK_OUT)) to = gate + 'sign-in?out=1' + (subApp() ? '&rd=' + encodeURIComponent(root()) : '');
  else to = (mayGo() ? login : gate + 'sign-in') + '?rd=' + back;
  hide();
  location.replace(to);
}

/* Prevents a flash of NocoBase's own sign-in form before the redirect. */
function hide() {
  var root = document.documentElement;
  root.style.visibility = 'hidden';
  setTimeout(function () {
    root.style.visibility = '';
    leaving = false;
  }, 10000);
}

function moved() {
  if (isSignIn(location.pathname)) leave();
  else spot = here();
}

function hookHistory(name) {
  var original = history[name];
  history[name] = function () {
    if (!isSignIn(location.pathname)) spot = here();
    var result = original.apply(this, arguments);
    moved();
    return result;
  };
}

/* Called for every response to a call of the page. */
function answered(url, status, loginHeader) {
  if (SIGN_OUT.test(url)) {
    // 401: the session had ended already, so the sign-out is done.
    if (status === 401 || (status >= 200 && status < 300)) {
      signedOut = true;
      write(local, MARK_OUT, '1');
    }
  } else if (status === 401 && loginHeader) {
    if (!isSignIn(location.pathname)) spot = here();
    leave();
  }
}

/* Does this response tell NocoBase's page that the session has ended? It would replace everything with its sign-in form. */
function isOver(xhr) {
  if (xhr.status !== 401 || !isOurs(xhr.wecomGate) || SIGN_OUT.test(xhr.wecomGate)) return false;
  if (xhr.getResponseHeader(LOGIN_HEADER)) return true;
  try {
    return OVER.test(typeof xhr.response === 'string' ? xhr.response : JSON.stringify(xhr.response));
  } catch (e) {
    return false;
  }
}
