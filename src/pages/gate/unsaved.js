/* 3. An unsaved form stays open, and the user is asked. */

var edited = []; // fields that the user has typed into

document.addEventListener('input', function (event) {
  if (event.target && edited.indexOf(event.target) < 0) edited.push(event.target);
}, true);

/* Does the page currently contain anything that the user has typed? */
function isBusy() {
  edited = edited.filter(function (field) {
    return document.documentElement.contains(field);
  });
  return edited.some(function (field) {
    return field.getClientRects().length && (field.value || field.textContent || field.checked);
  });
}

/* If a form is open, asks the user and keeps the form; returns whether it did. */
function offer() {
  if (signedOut || leaving || !isBusy()) return false;
  var strip = document.getElementById('wecom-gate-over');
  if (strip || !document.body) return !!strip;
  strip = document.createElement('div');
  strip.id = 'wecom-gate-over';
  strip.setAttribute('role', 'alert');
  style(strip, {
    position: 'fixed', zIndex: '2147483000', top: '0', left: '0', right: '0', padding: '10px 16px',
    display: 'flex', flexWrap: 'wrap', alignItems: 'center', justifyContent: 'center',
    background: '#fffbe6', color: '#1f1f1f', borderBottom: '1px solid #d48806', fontSize: '14px', lineHeight: '1.5'
  });
  var words = document.createElement('span');
  words.appendChild(document.createTextNode(text('out')));
  style(words, { margin: '4px 16px 4px 0' });
  var whom = help();
  var link = document.createElement('a');
  link.href = login + '?rd=' + encodeURIComponent(here());
  // In another window: this page continues with the session that begins there.
  link.target = '_blank';
  link.appendChild(document.createTextNode(text('again')));
  style(link, {
    padding: '8px 16px', borderRadius: '6px', background: ACCENT, color: '#fff', textDecoration: 'none', whiteSpace: 'nowrap'
  });
  strip.appendChild(words);
  strip.appendChild(link);
  if (whom) {
    style(whom, { margin: '8px 0 8px 16px' });
    strip.appendChild(whom);
  }
  document.body.appendChild(strip);
  joinRound(whom && whom.href ? [link, whom] : [link]);
  return true;
}

/*
 * In NocoBase's drawers and dialogs the tab key cycles and never leaves them: where the cycle restarts, `links` become additional
 * stops.
 */
function joinRound(links) {
  var next = null; // where the cycle continues
  document.addEventListener('keydown', function (event) {
    if (event.keyCode !== 9 || !document.documentElement.contains(links[0])) return;
    var from = document.activeElement;
    // Backwards, the cycle restarts if the next focused element is later in the document.
    var wraps = event.shiftKey ? 4 : 2;
    if (links.indexOf(from) >= 0) {
      var other = links[links.indexOf(from) + (event.shiftKey ? -1 : 1)];
      if (other || next) {
        event.preventDefault();
        (other || next).focus();
      }
      if (!other) next = null;
      return;
    }
    // By then the browser has moved the focus.
    setTimeout(function () {
      var now = document.activeElement;
      if (!from || !now || now === from || links.indexOf(now) >= 0 || from === document.body || now === document.body) return;
      if (!(from.compareDocumentPosition(now) & wraps)) return;
      next = now;
      links[event.shiftKey ? links.length - 1 : 0].focus();
    }, 0);
  }, true);
}
