# Schaltflächen und Kleingedrucktes, die mehrere Seiten gemeinsam haben.

button-sign-in = Anmelden
button-sign-in-again = Erneut anmelden
button-sign-in-with = Mit { $name } anmelden
wecom-name = { -wecom }
button-copy = Link kopieren
button-copied = Kopiert
# Below a QR code with the address of this page.
scan = Oder scannen Sie diesen Code mit { -wecom } auf Ihrem Telefon.
button-try-again = Noch einmal versuchen
button-start = Zur Startseite
button-sign-out = Abmelden
button-stay = Angemeldet bleiben
link-password = Mit einem Passwort anmelden
# Diese Seite lädt sich nach einigen Sekunden selbst neu.
reloads = Diese Seite versucht es von selbst noch einmal.
# Kleingedrucktes am Ende, für den Support: wie Code, Nummer der Anfrage und Zeit heißen.
support = Für Ihren Administrator
support-code = Code
support-request = Anfrage
support-time = Zeit
# Zwischen der Anmeldemaske von NocoBase und den Schaltflächen darunter.
or = oder
session-over = Ihre Sitzung ist abgelaufen. Ihre Eingaben sind noch da, können aber erst gespeichert werden, wenn Sie sich wieder anmelden.
closed-for-others = Wegen Wartungsarbeiten geschlossen. Derzeit können nur Administratoren die App nutzen.
# The form with which a member whom no account matches links one by its password, once.
account-about = Haben Sie in dieser App ein Konto mit Passwort? Geben Sie es hier einmal ein. Danach meldet { -wecom } Sie an.
account-member = In { -wecom } sind Sie { $name }
account-name = Benutzername oder E-Mail
account-password = Passwort
button-link = Konto verknüpfen und anmelden
