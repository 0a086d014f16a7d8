/* wecom-gate's own pages: copies the address that is to be opened in WeCom. Old webviews too (ES5). */
(function () {
  'use strict';

  var button = document.getElementById('copy');
  var link = document.getElementById('link');
  if (!button || !link) return;
  // What stands after the # never reached the gate, and belongs to the place all the same.
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
      /* It is selected: a long press copies it. */
    }
  }

  function copied() {
    label.nodeValue = button.getAttribute('data-copied');
  }
})();
