/*
 * 7. The files of NocoBase's plugins. Its client requests them only once it has started and has NocoBase's list; until then the
 * network would be idle. So they are requested as soon as nearly all of the page's own scripts are there: earlier, they would
 * delay these. The tag names those that the gate knows: `<folder> client <package>=<hash> ... client-v2 <package>=<hash> ...`.
 * The first one is requested a little earlier, and the others once it is there: it has much in common with them, and browsers that
 * can (RFC 9842) get only what they do not have in common.
 */

var LOOK = 25; // milliseconds
var FEW = 2;
var SOME = 6;

/* The addresses that the tag names. */
function pluginFiles(text) {
  var words = text.split(' ');
  var client = '';
  var found = [];
  for (var i = 1; i < words.length; i++) {
    var pair = words[i].split('=');
    if (pair.length < 2) {
      client = words[i];
      continue;
    }
    var name = pair[0].charAt(0) === '@' ? pair[0] : '@nocobase/plugin-' + pair[0];
    found.push(words[0] + name + '/dist/' + client + '/index.js?hash=' + pair[1]);
  }
  return found;
}

function preload(url, done) {
  var link = document.createElement('link');
  link.setAttribute('rel', 'preload');
  link.setAttribute('as', 'script');
  link.setAttribute('fetchpriority', 'low');
  link.setAttribute('href', url);
  if (done) link.onload = link.onerror = done;
  document.head.appendChild(link);
}

/* Those of the page's own scripts that are there, and how many are not. */
function ownScripts() {
  var all = document.querySelectorAll('script[type=module][src]');
  var found = [];
  for (var i = 0; i < all.length; i++) {
    var entry = performance.getEntriesByName(all[i].src)[0];
    if (entry) found.push(entry);
  }
  return { found: found, missing: all.length - found.length };
}

function preloadLater(files) {
  var first = files.shift();
  var waiting = 2; // the first file, and nearly all of the page's own scripts
  function arrived() {
    waiting -= 1;
    for (var i = 0; !waiting && i < files.length; i++) preload(files[i]);
  }
  var timer = setInterval(function () {
    var scripts = ownScripts();
    // From the browser's cache: the plugins are there too.
    if (scripts.found.length && scripts.found[0].transferSize === 0) return clearInterval(timer);
    if (document.readyState === 'loading') return;
    if (first && scripts.missing <= SOME) {
      preload(first, arrived);
      first = null;
    }
    if (scripts.missing > FEW) return;
    clearInterval(timer);
    arrived();
  }, LOOK);
}

if (tag.getAttribute('data-plugins') && window.performance && performance.getEntriesByName) {
  preloadLater(pluginFiles(tag.getAttribute('data-plugins')));
}
