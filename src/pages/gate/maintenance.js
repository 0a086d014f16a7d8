/* 5. While the app is closed for maintenance, administrators, who may still use it, see that it is. */

function tellClosed() {
  if (!document.body || document.getElementById('wecom-gate-closed')) return;
  var bar = document.createElement('div');
  bar.id = 'wecom-gate-closed';
  bar.setAttribute('role', 'status');
  // Above the tabs of the mobile page; what is below it can be clicked.
  style(bar, {
    position: 'fixed', zIndex: '2147482999', left: '0', right: '0', bottom: '64px', padding: '0 16px', textAlign: 'center',
    pointerEvents: 'none'
  });
  var words = document.createElement('span');
  words.appendChild(document.createTextNode(text('closed')));
  style(words, {
    display: 'inline-block', padding: '4px 12px', borderRadius: '6px', background: '#fffbe6', color: '#1f1f1f',
    border: '1px solid #d48806', fontSize: '12px', lineHeight: '1.5'
  });
  bar.appendChild(words);
  document.body.appendChild(bar);
}

if (tag.getAttribute('data-maintenance') === 'on') {
  document.addEventListener('readystatechange', tellClosed);
  tellClosed();
}
