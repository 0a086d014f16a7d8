# Sidor som människor ser. Ett meddelande per sida: värdet är rubriken, .what säger vad som hänt, .do vad man gör,
# .step1 och så vidare är steg, .link står ovanför adressen. ”Workbench” och ”Allow” heter så i WeComs engelska version:
# någon svensk finns inte.

-wecom = WeCom

## Begäran

bad-address = Den här adressen fungerar inte
    .what = Den är ofullständig eller innehåller tecken som inte är tillåtna.
    .do = Gå till startsidan eller öppna appen igen från Workbench i { -wecom }.

unknown-host = Det här är inte appens adress
    .what = Appen finns på en annan adress än den du använde.
    .do = Öppna appen från Workbench i { -wecom } eller fråga din administratör efter rätt adress.

not-found = Sidan hittades inte
    .what = Det finns ingen sida på den här adressen.
    .do = Gå till startsidan eller öppna appen igen från Workbench i { -wecom }.

other-application = Den här applikationen är inte öppen här
    .what = Du bad om en annan applikation än den som adressen leder till.
    .do = Gå till startsidan eller fråga din administratör efter adressen till den andra applikationen.

cross-site = Öppna den här sidan själv
    .what = En annan webbplats försökte göra något här i ditt namn. För din säkerhet stoppades det.
    .do = Om det var du som ville det, gå till startsidan och gör det där.

too-large = För mycket data
    .what = Det du skickade är större än vad appen tillåter.
    .do = Välj en mindre fil eller be appens administratör att tillåta mer.

headers-too-large = Adressen eller kakorna är för långa
    .what = Adressen är längre än tillåtet, eller så har webbplatsen sparat för många kakor i din webbläsare.
    .do = Ta bort webbplatsens kakor och öppna appen igen.

too-many-requests = Vänta ett ögonblick
    .what = Det har varit många inloggningar från ditt nätverk på kort tid.
    .do = Du behöver inte göra något.

## Sessionen

no-session = Logga in
    .what = Du är inte inloggad.
    .do = Logga in med ditt { -wecom }-konto för att fortsätta.

session-ended = Logga in igen
    .what = Din session har avslutats.
    .do = Logga in igen för att fortsätta där du var.

invalid-token = Åtkomstnyckeln är inte giltig
    .what = Nyckeln eller token som skickades är fel eller har gått ut.
    .do = Logga in med ditt { -wecom }-konto eller be din administratör om en ny nyckel.

browser-denied = Öppna appen i { -wecom }
    .what = Ditt företag tillåter bara den här appen inne i { -wecom }.
    .step1 = Öppna { -wecom } på din telefon eller dator.
    .step2 = Gå till ”Workbench”.
    .step3 = { $named ->
            [yes] Rulla ner och öppna ”{ $app }”.
           *[no] Rulla ner och öppna appen.
        }
    .link = Eller skicka länken till dig själv i en { -wecom }-chatt och öppna den där:

open-in-wecom = Öppna den här sidan i { -wecom }
    .what = Du kan logga in inne i { -wecom }, inte i den här appen eller webbläsaren.
    .step1 = Öppna { -wecom } på den här enheten.
    .step2 = Gå till ”Workbench”.
    .step3 = { $named ->
            [yes] Rulla ner och öppna ”{ $app }”.
           *[no] Rulla ner och öppna appen.
        }
    .link = Eller skicka länken till dig själv i en { -wecom }-chatt och öppna den där:

signed-out = Du är utloggad
    .what = Nu kan du stänga sidan.

sign-in = Inloggning
    .what = Logga in med ditt företagskonto.

logout = Vill du logga ut?
    .what = Du loggas ut från appen på den här enheten.

## Inloggning

flow-missing = Inloggningen avbröts
    .what = Den påbörjades i en annan webbläsare eller ett annat fönster, eller så öppnades sidan en andra gång.
    .do = Försök igen. Det tar bara ett ögonblick.

cookies-blocked = Kakor är blockerade
    .what = Du kan inte förbli inloggad, eftersom din webbläsare inte sparar webbplatsens kakor.
    .do = Tillåt kakor för webbplatsen, lämna privat surfning om du använder det, och försök igen. Eller öppna appen i { -wecom }.

flow-expired = Inloggningen tog för lång tid
    .what = För din säkerhet måste en inloggning vara klar inom tio minuter.
    .do = Försök igen. Det tar bara ett ögonblick.

code-rejected = Inloggningen fungerade inte
    .what = { -wecom } bekräftade inte inloggningen. Det händer när en sida öppnas två gånger eller från historiken.
    .do = Försök igen. Det tar bara ett ögonblick.

consent-denied = Du gav inte ditt tillstånd
    .what = { -wecom } frågar dig en gång om appen får ditt telefonnummer, så att den kan hitta ditt konto. Det godkändes inte, eller så stängdes sidan.
    .do = Försök igen och välj ”Allow”. Om du inte vill dela numret, be din administratör att koppla ditt konto.

login-cancelled = Inloggningen avbröts
    .what = { -wecom } talade inte om för appen vem du är, eftersom inloggningen avbröts.
    .do = Försök igen när du vill.

login-loop = Inloggningen går runt i cirklar
    .what = Du har skickats till { -wecom } och tillbaka flera gånger och är ändå inte inloggad.
    .do = Stäng sidan och öppna appen igen. Om det inte hjälper, tillåt kakor för webbplatsen eller kontakta din administratör.

## Medlemmen

not-a-member = Du hör inte till det här företaget
    .what = Ditt { -wecom }-konto hör inte till företaget som driver appen.
    .do = Byt till rätt företag i { -wecom } och öppna appen igen. Om du är ny, be din administratör att lägga till dig.

other-company = Appen tillhör ett annat företag
    .what = Du är inloggad i { -wecom } som medlem i ett anslutet företag.
    .do = Byt i { -wecom } till företaget som driver appen, eller fråga den som skickade länken till dig.

not-visible = Du kan inte använda appen än
    .what = Appen har inte öppnats för dig i { -wecom }.
    .do = Be din { -wecom }-administratör att lägga till dig eller din avdelning i appens synliga omfång. Försök sedan igen.

member-disabled = Ditt konto är inte aktivt
    .what = Ditt { -wecom }-konto är avstängt eller har inte aktiverats.
    .do = Aktivera kontot i { -wecom } om du blir ombedd. Be annars din { -wecom }-administratör att slå på det.

not-allowed = Du har inte tillgång till appen
    .what = Bara vissa avdelningar eller personer får använda den, och du är inte en av dem.
    .do = Be appens administratör att ge dig tillgång. Försök sedan igen.

## Kontot

first-time-in-wecom = Logga in en gång inne i { -wecom }
    .what = Första gången behöver appen ditt telefonnummer från { -wecom }, och det fungerar bara inne i { -wecom }. Sedan kan du logga in även här.
    .step1 = Öppna { -wecom } på din telefon.
    .step2 = Tryck på ”Workbench” och rulla ner.
    .step3 = { $named ->
            [yes] Tryck på ”{ $app }” och välj ”Allow” om du blir tillfrågad.
           *[no] Tryck på appen och välj ”Allow” om du blir tillfrågad.
        }
    .link = Eller skicka länken till dig själv i en { -wecom }-chatt och tryck på den där:

nothing-to-match = Ditt konto kunde inte hittas
    .what = { -wecom } gav inte appen ditt telefonnummer eller din e-postadress, så den kan inte veta vilket konto som är ditt.
    .do = Kontrollera i { -wecom } att din profil har ett telefonnummer, försök igen och välj ”Allow”. Om det inte hjälper, be din administratör att koppla ditt konto.

no-matching-user = Du har inget konto här än
    .what = Inget konto i appen stämmer med din { -wecom }-profil.
    .do = Be appens administratör att skapa ett konto med telefonnumret i din { -wecom }-profil. Försök sedan igen.

ambiguous-user = Flera konton kan vara ditt
    .what = Mer än ett konto i appen stämmer med din { -wecom }-profil, så inget valdes.
    .do = Be appens administratör att rätta kontona och uppge koden nedan.

already-bound = Kontot tillhör någon annan
    .what = Kontot som stämmer med din { -wecom }-profil är redan kopplat till en annan medlem.
    .do = Be appens administratör att kontrollera kopplingen och uppge koden nedan.

password-rejected = Kontot kopplades inte
    .what = Appen godtog inte kontot och lösenordet.
    .do = Kontrollera båda och försök igen. Om du har glömt lösenordet, fråga appens administratör.

link-denied = Kontot kan inte kopplas här
    .what = Administratörers konton kopplas av säkerhetsskäl inte med lösenord.
    .do = Be appens administratör att koppla ditt konto och uppge koden nedan.

no-role = Ditt konto har ingen roll här
    .what = Appen släpper inte in någon utan roll, och ditt konto har ingen.
    .do = Be appens administratör att ge ditt konto en roll. Försök sedan igen.

## Problem

setup = Inloggningen är inte rätt inställd
    .what = Det är inte ditt fel, och du kan inte åtgärda det själv.
    .do = Kontakta appens administratör och uppge koden nedan.

wecom-unreachable = { -wecom } går inte att nå
    .what = Appen kunde inte fråga { -wecom } vem du är.
    .do = Försök igen om en stund. Om det fortsätter, kontakta appens administratör.

wecom-busy = { -wecom } är upptaget
    .what = { -wecom } hanterar för många förfrågningar just nu.
    .do = Vänta ett ögonblick. Om det fortsätter, kontakta appens administratör.

app-unreachable = Appen går inte att nå
    .what = Den kanske startas om eller uppdateras.
    .do = Vänta ett ögonblick. Om det fortsätter, kontakta appens administratör.

maintenance = Snart tillbaka
    .what = Appen är stängd för underhåll.

app-starting = Appen startar
    .what = Det tar oftast mindre än en minut.

app-slow = Appen svarar för långsamt
    .what = Den kan vara hårt belastad just nu.
    .do = Försök igen om en stund. Om det fortsätter, kontakta appens administratör.

internal = Något gick fel
    .what = Appen kunde inte göra det du bad om. Det är inte ditt fel.
    .do = Försök igen. Om det fortsätter, kontakta appens administratör och uppge koden nedan.
