/* 4. NocoBase's own sign-in page: the buttons below its form. */

/* Runs in pages without a session of the gate: NocoBase's form, and the pages of users who signed in there. */
function form() {
  // NocoBase's page navigates to `redirect`; keeps the fragment of a deep link.
  var hash = isSignIn(location.pathname) ? location.hash : '';
  if (hash) {
    var to = /[?&]redirect=[^&#]/.test(location.search) && location.search.indexOf('%23') < 0;
    history.replaceState(history.state, '', location.pathname + location.search + (to ? encodeURIComponent(hash) : ''));
  }
  // NocoBase may draw its form at any time, and redraws it when the language changes.
  if (window.MutationObserver) new MutationObserver(soon).observe(document.documentElement, { childList: true, subtree: true });
  document.addEventListener('readystatechange', soon);
  window.addEventListener('storage', function (event) {
    // Another tab has signed in through the gate.
    if (event.key === MARK_USER + app && event.newValue) location.reload();
  });
  soon();

  var waiting = false;
  function soon() {
    if (waiting) return;
    waiting = true;
    setTimeout(function () {
      waiting = false;
      buttons();
    }, 50);
  }
}

/* Adds the buttons, once, below the password form, if there is one. */
function buttons() {
  if (!isSignIn(location.pathname)) return;
  var password = document.querySelector('form input[type="password"]');
  var box = document.getElementById('wecom-gate');
  var words = text('or') + spoken + document.documentElement.lang;
  if (!password) return;
  var form = password;
  while (form && form.tagName !== 'FORM') form = form.parentNode;
  var place = form;
  for (var up = form; up && up !== document.body; up = up.parentNode) {
    if (/(^|\s)ant-space-vertical(\s|$)/.test(up.className || '')) {
      place = up;
      break;
    }
  }
  if (box && box.previousSibling === place && box.getAttribute('data-words') === words) return;
  if (box) box.parentNode.removeChild(box);
  var submit = form.querySelector('button[type="submit"]') || form.querySelector('button');
  // NocoBase's own class for this theme, on buttons that are not primary.
  var hashed = /(^|\s)(css-[\w-]+)/.exec((submit && submit.className) || '');
  var look = 'ant-btn ant-btn-default ant-btn-color-default ant-btn-variant-outlined ant-btn-block ';
  if (submit && /ant-btn-lg/.test(submit.className)) look += 'ant-btn-lg ';
  look += (hashed && hashed[2]) || '';

  box = document.createElement('div');
  box.id = 'wecom-gate';
  box.setAttribute('data-words', words);
  box.style.marginTop = '16px';
  var or = document.createElement('div');
  or.setAttribute('role', 'separator');
  or.style.textAlign = 'center';
  or.style.opacity = '.65';
  or.style.fontSize = '14px';
  or.appendChild(document.createTextNode(text('or')));
  box.appendChild(or);
  for (var i = 0; i < entries.length; i++) {
    var link = document.createElement('a');
    link.className = look;
    link.style.marginTop = '12px';
    link.href = login + '?rd=' + encodeURIComponent(asked()) + '&with=' + encodeURIComponent(entries[i][0]);
    var label = document.createElement('span');
    label.appendChild(document.createTextNode(text('with', entries[i][1])));
    link.appendChild(label);
    box.appendChild(link);
  }
  var whom = help();
  if (whom) {
    var below = document.createElement('div');
    style(below, { marginTop: '16px', textAlign: 'center', opacity: '.65', fontSize: '14px' });
    below.appendChild(whom);
    box.appendChild(below);
  }
  place.parentNode.insertBefore(box, place.nextSibling);
}
