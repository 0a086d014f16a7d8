# Knappar och finstilt text som sidor delar.

button-sign-in = Logga in
button-sign-in-again = Logga in igen
button-sign-in-with = Logga in med { $name }
wecom-name = { -wecom }
button-copy = Kopiera länken
button-copied = Kopierad
# Below a QR code with the address of this page.
scan = Eller skanna koden med { -wecom } på telefonen.
button-try-again = Försök igen
button-start = Till startsidan
button-sign-out = Logga ut
button-stay = Förbli inloggad
link-password = Logga in med lösenord
# Sidan laddar om sig själv efter några sekunder.
reloads = Sidan försöker igen av sig själv.
# Finstilt text i slutet, för supporten: vad koden, begärans nummer och tiden kallas.
support = För din administratör
support-code = Kod
support-request = Begäran
support-time = Tid
# Mellan NocoBase eget inloggningsformulär och knapparna under det.
or = eller
session-over = Din session har avslutats. Det du har skrivit finns kvar, men kan inte sparas förrän du loggar in igen.
closed-for-others = Stängd för underhåll. Bara administratörer kan använda appen just nu.
# The form with which a member whom no account matches links one by its password, once.
account-about = Har du ett konto med lösenord i appen? Ange det här en gång. Sedan loggar { -wecom } in dig.
account-member = I { -wecom } är du { $name }
account-name = Användarnamn eller e-post
account-password = Lösenord
button-link = Koppla kontot och logga in
