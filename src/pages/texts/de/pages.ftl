# Seiten, die Menschen sehen. Eine Meldung je Seite: der Wert ist die Überschrift, .what sagt, was ist, .do, was zu tun ist,
# .step1 usw. sind Schritte, .link steht über der Adresse. „Workbench“ und „Allow“ heißen so in WeComs englischer Fassung:
# eine deutsche gibt es nicht.

-wecom = WeCom

## Die Anfrage

bad-address = Diese Adresse funktioniert nicht
    .what = Sie ist unvollständig oder enthält Zeichen, die nicht erlaubt sind.
    .do = Gehen Sie zur Startseite, oder öffnen Sie die App noch einmal über die Workbench von { -wecom }.

unknown-host = Das ist nicht die Adresse der App
    .what = Die App ist unter einer anderen Adresse erreichbar als der, die Sie verwendet haben.
    .do = Öffnen Sie die App über die Workbench von { -wecom }, oder fragen Sie Ihren Administrator nach der richtigen Adresse.

not-found = Seite nicht gefunden
    .what = Unter dieser Adresse gibt es keine Seite.
    .do = Gehen Sie zur Startseite, oder öffnen Sie die App noch einmal über die Workbench von { -wecom }.

other-application = Diese Anwendung ist hier nicht erreichbar
    .what = Sie haben eine andere Anwendung angefragt als die, zu der diese Adresse führt.
    .do = Gehen Sie zur Startseite, oder fragen Sie Ihren Administrator nach der Adresse der anderen Anwendung.

cross-site = Bitte öffnen Sie diese Seite selbst
    .what = Eine andere Website wollte hier etwas in Ihrem Namen tun. Zu Ihrer Sicherheit wurde das verhindert.
    .do = Wenn Sie das selbst wollten, gehen Sie zur Startseite und tun Sie es dort.

too-large = Zu viele Daten
    .what = Was Sie gesendet haben, ist größer, als diese App erlaubt.
    .do = Wählen Sie eine kleinere Datei, oder bitten Sie den Administrator der App, mehr zu erlauben.

headers-too-large = Die Adresse oder die Cookies sind zu lang
    .what = Die Adresse ist länger als erlaubt, oder diese Website hat zu viele Cookies in Ihrem Browser gespeichert.
    .do = Löschen Sie die Cookies dieser Website, und öffnen Sie die App dann noch einmal.

too-many-requests = Bitte warten Sie einen Moment
    .what = Aus Ihrem Netzwerk kamen in kurzer Zeit sehr viele Anmeldungen.
    .do = Sie brauchen nichts zu tun.

## Die Sitzung

no-session = Bitte melden Sie sich an
    .what = Sie sind nicht angemeldet.
    .do = Melden Sie sich mit Ihrem { -wecom }-Konto an, um fortzufahren.

session-ended = Bitte melden Sie sich erneut an
    .what = Ihre Sitzung ist beendet.
    .do = Melden Sie sich erneut an, um dort weiterzumachen, wo Sie waren.

invalid-token = Dieser Zugangsschlüssel ist ungültig
    .what = Der mitgesendete Schlüssel oder das Token ist falsch oder abgelaufen.
    .do = Melden Sie sich mit Ihrem { -wecom }-Konto an, oder bitten Sie Ihren Administrator um einen neuen Schlüssel.

browser-denied = Öffnen Sie diese App in { -wecom }
    .what = Ihr Unternehmen erlaubt diese App nur innerhalb von { -wecom }.
    .step1 = Öffnen Sie { -wecom } auf Ihrem Smartphone oder Computer.
    .step2 = Gehen Sie zu „Workbench“.
    .step3 = { $named ->
            [yes] Scrollen Sie nach unten, und öffnen Sie „{ $app }“.
           *[no] Scrollen Sie nach unten, und öffnen Sie die App.
        }
    .link = Oder senden Sie sich diesen Link in einem { -wecom }-Chat, und öffnen Sie ihn dort:

open-in-wecom = Öffnen Sie diese Seite in { -wecom }
    .what = Anmelden können Sie sich innerhalb von { -wecom }, nicht in dieser App oder diesem Browser.
    .step1 = Öffnen Sie { -wecom } auf diesem Gerät.
    .step2 = Gehen Sie zu „Workbench“.
    .step3 = { $named ->
            [yes] Scrollen Sie nach unten, und öffnen Sie „{ $app }“.
           *[no] Scrollen Sie nach unten, und öffnen Sie die App.
        }
    .link = Oder senden Sie sich diesen Link in einem { -wecom }-Chat, und öffnen Sie ihn dort:

signed-out = Sie sind abgemeldet
    .what = Sie können diese Seite jetzt schließen.

sign-in = Anmelden
    .what = Melden Sie sich mit Ihrem Firmenkonto an.

logout = Möchten Sie sich abmelden?
    .what = Sie werden auf diesem Gerät von der App abgemeldet.

## Anmelden

flow-missing = Die Anmeldung wurde unterbrochen
    .what = Sie wurde in einem anderen Browser oder Fenster begonnen, oder diese Seite wurde ein zweites Mal geöffnet.
    .do = Versuchen Sie es noch einmal. Es dauert nur einen Moment.

cookies-blocked = Cookies sind blockiert
    .what = Sie können nicht angemeldet bleiben, weil Ihr Browser die Cookies dieser Website nicht speichert.
    .do = Erlauben Sie Cookies für diese Website, verlassen Sie gegebenenfalls den privaten Modus, und versuchen Sie es noch einmal. Oder öffnen Sie die App in { -wecom }.

flow-expired = Die Anmeldung hat zu lange gedauert
    .what = Zu Ihrer Sicherheit muss eine Anmeldung innerhalb von zehn Minuten abgeschlossen sein.
    .do = Versuchen Sie es noch einmal. Es dauert nur einen Moment.

code-rejected = Die Anmeldung hat nicht funktioniert
    .what = { -wecom } hat diese Anmeldung nicht bestätigt. Das passiert, wenn eine Seite zweimal oder aus dem Verlauf geöffnet wird.
    .do = Versuchen Sie es noch einmal. Es dauert nur einen Moment.

consent-denied = Sie haben nicht zugestimmt
    .what = { -wecom } fragt Sie einmal, ob die App Ihre Telefonnummer erhalten darf, damit sie Ihr Konto findet. Dem wurde nicht zugestimmt, oder die Seite wurde geschlossen.
    .do = Versuchen Sie es noch einmal, und wählen Sie „Allow“. Wenn Sie die Nummer nicht weitergeben möchten, bitten Sie Ihren Administrator, Ihr Konto zu verknüpfen.

login-cancelled = Die Anmeldung wurde abgebrochen
    .what = { -wecom } hat der App nicht mitgeteilt, wer Sie sind, weil die Anmeldung abgebrochen wurde.
    .do = Versuchen Sie es noch einmal, wann immer Sie möchten.

login-loop = Die Anmeldung dreht sich im Kreis
    .what = Sie wurden mehrmals zu { -wecom } und zurück geleitet und sind noch immer nicht angemeldet.
    .do = Schließen Sie diese Seite, und öffnen Sie die App noch einmal. Wenn das nicht hilft, erlauben Sie Cookies für diese Website, oder informieren Sie Ihren Administrator.

## Das Mitglied

not-a-member = Sie gehören nicht zu diesem Unternehmen
    .what = Ihr { -wecom }-Konto gehört nicht zu dem Unternehmen, das diese App betreibt.
    .do = Wechseln Sie in { -wecom } zum richtigen Unternehmen, und öffnen Sie die App noch einmal. Wenn Sie neu sind, bitten Sie Ihren Administrator, Sie hinzuzufügen.

other-company = Diese App gehört zu einem anderen Unternehmen
    .what = Sie sind in { -wecom } als Mitglied eines verbundenen Unternehmens angemeldet.
    .do = Wechseln Sie in { -wecom } zu dem Unternehmen, das diese App betreibt, oder fragen Sie die Person, von der Sie den Link haben.

not-visible = Sie können diese App noch nicht verwenden
    .what = Die App wurde in { -wecom } noch nicht für Sie freigegeben.
    .do = Bitten Sie Ihren { -wecom }-Administrator, Sie oder Ihre Abteilung in den sichtbaren Bereich der App aufzunehmen. Versuchen Sie es dann noch einmal.

member-disabled = Ihr Konto ist nicht aktiv
    .what = Ihr { -wecom }-Konto ist deaktiviert oder wurde noch nicht aktiviert.
    .do = Wenn { -wecom } Sie dazu auffordert, aktivieren Sie Ihr Konto dort. Andernfalls bitten Sie Ihren { -wecom }-Administrator, es freizuschalten.

not-allowed = Sie haben keinen Zugriff auf diese App
    .what = Nur bestimmte Abteilungen oder Personen dürfen sie verwenden, und Sie gehören nicht dazu.
    .do = Bitten Sie den Administrator der App, Ihnen Zugriff zu geben. Versuchen Sie es dann noch einmal.

## Das Konto

first-time-in-wecom = Melden Sie sich einmal in { -wecom } an
    .what = Beim ersten Mal braucht die App Ihre Telefonnummer aus { -wecom }, und das geht nur innerhalb von { -wecom }. Danach können Sie sich auch hier anmelden.
    .step1 = Öffnen Sie { -wecom } auf Ihrem Smartphone.
    .step2 = Tippen Sie auf „Workbench“, und scrollen Sie nach unten.
    .step3 = { $named ->
            [yes] Tippen Sie auf „{ $app }“, und wählen Sie „Allow“, wenn Sie gefragt werden.
           *[no] Tippen Sie auf die App, und wählen Sie „Allow“, wenn Sie gefragt werden.
        }
    .link = Oder senden Sie sich diesen Link in einem { -wecom }-Chat, und tippen Sie ihn dort an:

nothing-to-match = Ihr Konto wurde nicht gefunden
    .what = { -wecom } hat der App weder Ihre Telefonnummer noch Ihre E-Mail-Adresse mitgeteilt. Daher weiß sie nicht, welches Konto Ihres ist.
    .do = Prüfen Sie in { -wecom }, ob Ihr Profil eine Telefonnummer enthält. Versuchen Sie es dann noch einmal, und wählen Sie „Allow“. Wenn das nicht hilft, bitten Sie Ihren Administrator, Ihr Konto zu verknüpfen.

no-matching-user = Sie haben hier noch kein Konto
    .what = Kein Konto dieser App passt zu Ihrem { -wecom }-Profil.
    .do = Bitten Sie den Administrator der App, ein Konto mit der Telefonnummer aus Ihrem { -wecom }-Profil anzulegen. Versuchen Sie es dann noch einmal.

ambiguous-user = Mehrere Konten könnten Ihres sein
    .what = Mehr als ein Konto dieser App passt zu Ihrem { -wecom }-Profil. Deshalb wurde keines ausgewählt.
    .do = Bitten Sie den Administrator der App, die Konten zu berichtigen, und nennen Sie ihm den Code unten.

already-bound = Dieses Konto gehört jemand anderem
    .what = Das Konto, das zu Ihrem { -wecom }-Profil passt, ist bereits mit einem anderen Mitglied verknüpft.
    .do = Bitten Sie den Administrator der App, die Verknüpfung zu prüfen, und nennen Sie ihm den Code unten.

password-rejected = Dieses Konto wurde nicht verknüpft
    .what = Die App hat dieses Konto und Passwort nicht angenommen.
    .do = Prüfen Sie beides und versuchen Sie es noch einmal. Wenn Sie das Passwort vergessen haben, fragen Sie den Administrator der App.

link-denied = Dieses Konto kann hier nicht verknüpft werden
    .what = Konten von Administratoren werden zur Sicherheit nicht mit einem Passwort verknüpft.
    .do = Bitten Sie den Administrator der App, Ihr Konto zu verknüpfen, und nennen Sie ihm den Code unten.

no-role = Ihr Konto hat hier keine Rolle
    .what = Die App lässt niemanden ohne Rolle ein, und Ihr Konto hat keine.
    .do = Bitten Sie den Administrator der App, Ihrem Konto eine Rolle zu geben. Versuchen Sie es dann noch einmal.

## Störungen

setup = Die Anmeldung ist nicht richtig eingerichtet
    .what = Das liegt nicht an Ihnen, und Sie können es nicht selbst beheben.
    .do = Informieren Sie den Administrator der App, und nennen Sie ihm den Code unten.

wecom-unreachable = { -wecom } ist nicht erreichbar
    .what = Die App konnte { -wecom } nicht fragen, wer Sie sind.
    .do = Versuchen Sie es gleich noch einmal. Wenn es so bleibt, informieren Sie den Administrator der App.

wecom-busy = { -wecom } ist ausgelastet
    .what = { -wecom } beantwortet gerade zu viele Anfragen.
    .do = Bitte warten Sie einen Moment. Wenn es so bleibt, informieren Sie den Administrator der App.

app-unreachable = Die App ist nicht erreichbar
    .what = Vielleicht wird sie gerade neu gestartet oder aktualisiert.
    .do = Bitte warten Sie einen Moment. Wenn es so bleibt, informieren Sie den Administrator der App.

maintenance = Gleich wieder da
    .what = Die App ist wegen Wartungsarbeiten geschlossen.

app-starting = Die App startet
    .what = Das dauert meist weniger als eine Minute.

app-slow = Die App braucht zu lange für eine Antwort
    .what = Vielleicht ist sie gerade sehr beschäftigt.
    .do = Versuchen Sie es gleich noch einmal. Wenn es so bleibt, informieren Sie den Administrator der App.

internal = Etwas ist schiefgegangen
    .what = Die App konnte nicht tun, worum Sie gebeten haben. Das liegt nicht an Ihnen.
    .do = Versuchen Sie es noch einmal. Wenn es so bleibt, informieren Sie den Administrator der App, und nennen Sie ihm den Code unten.
