/* The console: times in the zone of the person who reads them. Old webviews too (ES5). */
(function () {
  'use strict';
  var times = document.getElementsByTagName('time');
  for (var i = 0; i < times.length; i += 1) {
    var moment = new Date(times[i].getAttribute('datetime'));
    try {
      if (!isNaN(moment)) {
        times[i].textContent = moment.toLocaleString(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'long' });
      }
    } catch (e) {
      /* It stays in UTC. */
    }
  }
})();
