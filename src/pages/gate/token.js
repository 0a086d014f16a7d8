/* 1. The token: stored where NocoBase's client looks for it; and what another member has left. */

var local = storage('localStorage');
var placed = null; // where the token is now
var noLaterSettings = document.readyState !== 'loading';

/*
 * The page's inline script, which runs after this one, sets where its client stores things; the client, a module, runs after
 * that. So we watch for those settings.
 */
function watch(name) {
  var value = window[name];
  try {
    Object.defineProperty(window, name, {
      configurable: true,
      enumerable: true,
      get: function () {
        return value;
      },
      set: function (v) {
        value = v;
        place();
      }
    });
  } catch (e) {
    /* Then the token is placed when the document has been read. */
  }
}

/* NocoBase's sub-applications are below /apps/<name>/ and use names of their own in the storage. */
function subApp() {
  var root = publicPath() + 'apps/';
  if (location.pathname.indexOf(root) !== 0) return '';
  return location.pathname.slice(root.length).split('/')[0];
}
/* Path prefix of this application's pages. */
function root() {
  var name = subApp();
  return publicPath() + (name ? 'apps/' + name + '/' : '');
}
function publicPath() {
  return window[PUBLIC_PATH] || '/';
}

function place() {
  var prefix = window[PREFIX];
  if (!prefix) {
    if (!noLaterSettings) return;
    prefix = DEFAULT_PREFIX;
  }
  var store = window[TYPE] === 'sessionStorage' ? storage('sessionStorage') : local;
  if (!store || !token) return;
  var shared = window[SHARE] === true || window[SHARE] === 'true';
  var base = String(prefix).toUpperCase();
  var own = base + (subApp() === app ? app.toUpperCase() + '_' : '');
  var key = (shared ? base : own) + 'TOKEN';

  if (placed && (placed.key !== key || placed.store !== store) && read(placed.store, placed.key) === token) {
    write(placed.store, placed.key, null);
  }
  forgetOthers(store, base);
  write(store, key, token);
  // Without a name NocoBase uses its default authenticator, which is the one that accepts our token.
  write(store, own + 'AUTH', null);
  placed = { store: store, key: key };
}

/* Another member used this browser before: role, tokens of sub-applications etc. belong to them. */
function forgetOthers(store, base) {
  var mark = MARK_USER + app;
  if (user === null || read(store, mark) === user) return;
  // Another application has other users: the main one's entries are kept.
  if (subApp() === app) base += app.toUpperCase() + '_';
  try {
    for (var i = store.length - 1; i >= 0; i--) {
      var key = store.key(i);
      // The language is a setting of the device as much as of the user.
      if (key && key.indexOf(base) === 0 && !/LOCALE$/.test(key)) store.removeItem(key);
    }
    var cookie = 'nb_role_' + app + '=; Max-Age=0; Path=';
    document.cookie = cookie + '/';
    document.cookie = cookie + (publicPath().replace(/\/+$/, '') || '/');
  } catch (e) {
    /* See above. */
  }
  write(store, mark, user);
}

function forgetPhantom() {
  var stores = [local, storage('sessionStorage')];
  for (var i = 0; i < stores.length; i++) {
    if (PHANTOM.test(read(stores[i], prefix() + 'TOKEN') || '')) write(stores[i], prefix() + 'TOKEN', null);
  }
}

if (entries) {
  // No session of the gate: the gate's token has become invalid, and the user who signs in now has entries of their own.
  forgetPhantom();
  document.addEventListener('readystatechange', forgetPhantom);
  write(local, MARK_USER + app, null);
}
if (token) {
  write(local, MARK_OUT, null);
  watch(PREFIX);
  watch(TYPE);
  watch(SHARE);
  place();
  document.addEventListener('readystatechange', function () {
    // "interactive" is fired before deferred scripts and modules run.
    if (noLaterSettings) return;
    noLaterSettings = true;
    place();
  });
}

if (!login) return;
if (entries) return form();
