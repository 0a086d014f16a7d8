/*
 * 6. NocoBase's texts. Its client requests them without a language in a new browser, and with the one that it has stored from then
 * on: as another address, they would be transferred twice. NocoBase reports which language it would choose for this user; if that is
 * known before the client starts, it is stored where the client would store it.
 */

function learnLanguage() {
  if (subApp() || window[TYPE] === 'sessionStorage' || !local) return;
  var key = prefix() + 'LOCALE';
  if (read(local, key)) return;
  var xhr = new XMLHttpRequest();
  xhr.open('GET', publicPath() + 'api/app:getInfo');
  xhr.setRequestHeader('Authorization', 'Bearer ' + token);
  xhr.addEventListener('load', function () {
    var found = xhr.status === 200 && /"lang":"([A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*)"/.exec(xhr.responseText || '');
    if (found && !read(local, key)) write(local, key, found[1]);
  });
  xhr.send();
}

if (noLaterSettings) learnLanguage();
else {
  var learned = false;
  document.addEventListener('readystatechange', function () {
    // The page's inline script has run by now, and modules have not.
    if (!learned) learnLanguage();
    learned = true;
  });
}
