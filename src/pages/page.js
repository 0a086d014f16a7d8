/* wecom-gate's own pages: keeps the fragment when a page tries again, and copies the address to open in WeCom
   to the clipboard. For old webviews too (ES5). */
(function () {
  'use strict';

  // Navigating to the current address does not reload it if there is a fragment, and the page's refresh and link lack the
  // fragment.
  var here = location.pathname + location.search;
  var refresh = document.querySelector('meta[http-equiv=refresh]');
  var when = refresh && /^(\d+)(?:;url=(.*))?$/.exec(refresh.getAttribute('content'));
  if (location.hash && when && (when[2] || here) === here) {
    setTimeout(again, when[1] * 1000 - 500);
    var ways = document.querySelectorAll('a.button');
    for (var i = 0; i < ways.length; i += 1) if (ways[i].getAttribute('href') === here) ways[i].onclick = again;
  }

  function again() {
    location.reload();
    return false;
  }

  // The user's local time, with its zone: an administrator elsewhere can tell which moment is meant.
  var time = document.getElementById('time');
  var moment = time && new Date(time.getAttribute('datetime'));
  if (moment && !isNaN(moment)) {
    try {
      time.textContent = moment.toLocaleString(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'long' });
    } catch (e) {
      /* Keeps UTC. */
    }
  }

  var button = document.getElementById('copy');
  var link = document.getElementById('link');
  if (!button || !link) return;
  // The fragment never reached the gate, but belongs to the target.
  if (location.hash && location.hash !== '#wechat_redirect' && button.getAttribute('data-here') !== null) {
    link.appendChild(document.createTextNode(location.hash));
  }
  var label = button.firstChild;
  button.hidden = false;
  button.addEventListener('click', function () {
    if (navigator.clipboard && navigator.clipboard.writeText) {
      navigator.clipboard.writeText(link.textContent).then(copied, select);
    } else {
      select();
    }
  });

  function select() {
    var range = document.createRange();
    range.selectNodeContents(link);
    var selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    try {
      if (document.execCommand('copy')) copied();
    } catch (e) {
      /* The address is selected: a long press copies it. */
    }
  }

  function copied() {
    label.nodeValue = button.getAttribute('data-copied');
  }
})();
