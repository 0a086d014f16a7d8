# Pagina’s die mensen zien. Eén bericht per pagina: de waarde is de titel, .what zegt wat er is, .do wat te doen,
# .step1 enzovoort zijn stappen, .link staat boven het adres. ‘Workbench’ en ‘Allow’ heten zo in de Engelse versie van
# WeCom: een Nederlandse is er niet.

-wecom = WeCom

## Het verzoek

bad-address = Dit adres werkt niet
    .what = Het is niet volledig of bevat tekens die niet zijn toegestaan.
    .do = Ga naar de startpagina of open de app opnieuw vanuit de Workbench van { -wecom }.

unknown-host = Dit is niet het adres van de app
    .what = De app is te vinden op een ander adres dan je hebt gebruikt.
    .do = Open de app vanuit de Workbench van { -wecom } of vraag je beheerder naar het juiste adres.

not-found = Pagina niet gevonden
    .what = Er is geen pagina op dit adres.
    .do = Ga naar de startpagina of open de app opnieuw vanuit de Workbench van { -wecom }.

other-application = Deze applicatie is hier niet bereikbaar
    .what = Je hebt een andere applicatie opgevraagd dan die waar dit adres naartoe leidt.
    .do = Ga naar de startpagina of vraag je beheerder naar het adres van de andere applicatie.

cross-site = Open deze pagina zelf
    .what = Een andere website probeerde hier iets namens jou te doen. Voor je veiligheid is dat tegengehouden.
    .do = Wilde je dit zelf? Ga dan naar de startpagina en doe het daar.

too-large = Te veel gegevens
    .what = Wat je hebt verstuurd, is groter dan deze app toestaat.
    .do = Kies een kleiner bestand of vraag de beheerder van de app om meer toe te staan.

headers-too-large = Het adres of de cookies zijn te lang
    .what = Het adres is langer dan toegestaan, of deze website heeft te veel cookies in je browser bewaard.
    .do = Verwijder de cookies van deze website en open de app opnieuw.

too-many-requests = Een ogenblik geduld
    .what = Vanuit je netwerk is in korte tijd heel vaak ingelogd.
    .do = Je hoeft niets te doen.

## De sessie

no-session = Log in
    .what = Je bent niet ingelogd.
    .do = Log in met je { -wecom }-account om verder te gaan.

session-ended = Log opnieuw in
    .what = Je sessie is afgelopen.
    .do = Log opnieuw in om verder te gaan waar je was.

invalid-token = Deze toegangssleutel is niet geldig
    .what = De meegestuurde sleutel of token klopt niet of is verlopen.
    .do = Log in met je { -wecom }-account of vraag je beheerder om een nieuwe sleutel.

browser-denied = Open deze app in { -wecom }
    .what = Je bedrijf staat deze app alleen binnen { -wecom } toe.
    .step1 = Open { -wecom } op je telefoon of computer.
    .step2 = Ga naar ‘Workbench’.
    .step3 = { $named ->
            [yes] Scrol naar beneden en open ‘{ $app }’.
           *[no] Scrol naar beneden en open de app.
        }
    .link = Of stuur deze link naar jezelf in een { -wecom }-chat en open hem daar:

open-in-wecom = Open deze pagina in { -wecom }
    .what = Inloggen kan binnen { -wecom }, niet in deze app of browser.
    .step1 = Open { -wecom } op dit apparaat.
    .step2 = Ga naar ‘Workbench’.
    .step3 = { $named ->
            [yes] Scrol naar beneden en open ‘{ $app }’.
           *[no] Scrol naar beneden en open de app.
        }
    .link = Of stuur deze link naar jezelf in een { -wecom }-chat en open hem daar:

signed-out = Je bent uitgelogd
    .what = Je kunt deze pagina nu sluiten.

sign-in = Inloggen
    .what = Log in met je bedrijfsaccount.

logout = Wil je uitloggen?
    .what = Je wordt op dit apparaat uitgelogd bij de app.

## Inloggen

flow-missing = Het inloggen is onderbroken
    .what = Het is begonnen in een andere browser of een ander venster, of deze pagina is een tweede keer geopend.
    .do = Probeer het opnieuw. Het duurt maar even.

cookies-blocked = Cookies zijn geblokkeerd
    .what = Je kunt niet ingelogd blijven, omdat je browser de cookies van deze website niet bewaart.
    .do = Sta cookies voor deze website toe, verlaat zo nodig de privémodus en probeer het opnieuw. Of open de app in { -wecom }.

flow-expired = Het inloggen duurde te lang
    .what = Voor je veiligheid moet inloggen binnen tien minuten klaar zijn.
    .do = Probeer het opnieuw. Het duurt maar even.

code-rejected = Inloggen is niet gelukt
    .what = { -wecom } heeft deze aanmelding niet bevestigd. Dat gebeurt als een pagina twee keer of vanuit de geschiedenis wordt geopend.
    .do = Probeer het opnieuw. Het duurt maar even.

consent-denied = Je hebt geen toestemming gegeven
    .what = { -wecom } vraagt je één keer of de app je telefoonnummer mag krijgen, zodat die je account kan vinden. Daar is niet mee ingestemd, of de pagina is gesloten.
    .do = Probeer het opnieuw en kies ‘Allow’. Wil je het nummer niet delen, vraag dan je beheerder om je account te koppelen.

login-cancelled = Het inloggen is geannuleerd
    .what = { -wecom } heeft de app niet verteld wie je bent, omdat het inloggen is geannuleerd.
    .do = Probeer het opnieuw wanneer je wilt.

login-loop = Het inloggen draait in een kringetje
    .what = Je bent een paar keer naar { -wecom } en terug gestuurd, en bent nog steeds niet ingelogd.
    .do = Sluit deze pagina en open de app opnieuw. Helpt dat niet, sta dan cookies voor deze website toe of vertel het je beheerder.

## Het lid

not-a-member = Je hoort niet bij dit bedrijf
    .what = Je { -wecom }-account hoort niet bij het bedrijf dat deze app beheert.
    .do = Wissel in { -wecom } naar het juiste bedrijf en open de app opnieuw. Ben je nieuw, vraag dan je beheerder om je toe te voegen.

other-company = Deze app is van een ander bedrijf
    .what = Je bent bij { -wecom } ingelogd als lid van een verbonden bedrijf.
    .do = Wissel in { -wecom } naar het bedrijf dat deze app beheert, of vraag het degene van wie je de link hebt.

not-visible = Je kunt deze app nog niet gebruiken
    .what = De app is in { -wecom } nog niet voor je opengesteld.
    .do = Vraag je { -wecom }-beheerder om jou of je afdeling toe te voegen aan het zichtbare bereik van de app. Probeer het daarna opnieuw.

member-disabled = Je account is niet actief
    .what = Je { -wecom }-account is uitgeschakeld of nog niet geactiveerd.
    .do = Activeer je account in { -wecom } als daarom wordt gevraagd. Vraag anders je { -wecom }-beheerder om het in te schakelen.

not-allowed = Je hebt geen toegang tot deze app
    .what = Alleen bepaalde afdelingen of personen mogen hem gebruiken, en daar hoor je niet bij.
    .do = Vraag de beheerder van de app om toegang. Probeer het daarna opnieuw.

## Het account

first-time-in-wecom = Log één keer in binnen { -wecom }
    .what = De eerste keer heeft de app je telefoonnummer uit { -wecom } nodig, en dat werkt alleen binnen { -wecom }. Daarna kun je ook hier inloggen.
    .step1 = Open { -wecom } op je telefoon.
    .step2 = Tik op ‘Workbench’ en scrol naar beneden.
    .step3 = { $named ->
            [yes] Tik op ‘{ $app }’ en kies ‘Allow’ als daarom wordt gevraagd.
           *[no] Tik op de app en kies ‘Allow’ als daarom wordt gevraagd.
        }
    .link = Of stuur deze link naar jezelf in een { -wecom }-chat en tik hem daar aan:

nothing-to-match = Je account is niet gevonden
    .what = { -wecom } heeft de app geen telefoonnummer of e-mailadres van je gegeven, dus is niet bekend welk account van jou is.
    .do = Kijk in { -wecom } of je profiel een telefoonnummer heeft, probeer het opnieuw en kies ‘Allow’. Helpt dat niet, vraag dan je beheerder om je account te koppelen.

no-matching-user = Je hebt hier nog geen account
    .what = Geen enkel account in deze app past bij je { -wecom }-profiel.
    .do = Vraag de beheerder van de app om een account te maken met het telefoonnummer van je { -wecom }-profiel. Probeer het daarna opnieuw.

ambiguous-user = Meerdere accounts kunnen van jou zijn
    .what = Meer dan één account in deze app past bij je { -wecom }-profiel, dus is er geen gekozen.
    .do = Vraag de beheerder van de app om de accounts te verbeteren, en geef de code hieronder door.

already-bound = Dit account is van iemand anders
    .what = Het account dat bij je { -wecom }-profiel past, is al aan een ander lid gekoppeld.
    .do = Vraag de beheerder van de app om de koppeling te controleren, en geef de code hieronder door.

password-rejected = Dit account is niet gekoppeld
    .what = De app heeft dit account en wachtwoord niet geaccepteerd.
    .do = Controleer beide en probeer het opnieuw. Ben je het wachtwoord vergeten, vraag het dan aan de beheerder van de app.

link-denied = Dit account kan hier niet worden gekoppeld
    .what = Accounts van beheerders worden voor de veiligheid niet met een wachtwoord gekoppeld.
    .do = Vraag de beheerder van de app om je account te koppelen, en geef de code hieronder door.

no-role = Je account heeft hier geen rol
    .what = De app laat niemand zonder rol binnen, en je account heeft er geen.
    .do = Vraag de beheerder van de app om je account een rol te geven. Probeer het daarna opnieuw.

## Storingen

setup = Inloggen is niet goed ingesteld
    .what = Dit ligt niet aan jou, en je kunt het niet zelf oplossen.
    .do = Vertel het de beheerder van de app en geef de code hieronder door.

wecom-unreachable = { -wecom } is niet bereikbaar
    .what = De app kon { -wecom } niet vragen wie je bent.
    .do = Probeer het zo opnieuw. Blijft het zo, vertel het dan de beheerder van de app.

wecom-busy = { -wecom } heeft het druk
    .what = { -wecom } krijgt op dit moment te veel verzoeken.
    .do = Een ogenblik geduld. Blijft het zo, vertel het dan de beheerder van de app.

app-unreachable = De app is niet bereikbaar
    .what = Misschien wordt hij opnieuw gestart of bijgewerkt.
    .do = Een ogenblik geduld. Blijft het zo, vertel het dan de beheerder van de app.

maintenance = Zo weer terug
    .what = De app is gesloten voor onderhoud.

app-starting = De app wordt gestart
    .what = Meestal duurt dat minder dan een minuut.

app-slow = De app antwoordt te langzaam
    .what = Misschien is het op dit moment erg druk.
    .do = Probeer het zo opnieuw. Blijft het zo, vertel het dan de beheerder van de app.

internal = Er is iets misgegaan
    .what = De app kon niet doen wat je vroeg. Dit ligt niet aan jou.
    .do = Probeer het opnieuw. Blijft het zo, vertel het dan de beheerder van de app en geef de code hieronder door.
