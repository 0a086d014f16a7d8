# Knappar och finstilt text som sidor delar.

button-sign-in = Logga in
button-sign-in-again = Logga in igen
button-sign-in-with = Logga in med { $name }
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
