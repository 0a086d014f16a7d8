# Knoppen en kleine letters die pagina’s delen.

button-sign-in = Inloggen
button-sign-in-again = Opnieuw inloggen
button-sign-in-with = Inloggen met { $name }
wecom-name = { -wecom }
button-copy = Link kopiëren
button-copied = Gekopieerd
# Below a QR code with the address of this page.
scan = Of scan deze code met { -wecom } op uw telefoon.
button-try-again = Opnieuw proberen
button-start = Naar de startpagina
button-sign-out = Uitloggen
button-stay = Ingelogd blijven
link-password = Inloggen met een wachtwoord
# Deze pagina laadt zichzelf na enkele seconden opnieuw.
reloads = Deze pagina probeert het vanzelf opnieuw.
# Kleine letters aan het eind, voor de helpdesk: hoe code, nummer van het verzoek en tijd heten.
support = Voor je beheerder
support-code = Code
support-request = Verzoek
support-time = Tijd
# Tussen het aanmeldformulier van NocoBase en de knoppen eronder.
or = of
session-over = Uw sessie is beëindigd. Wat u hebt ingevuld staat er nog, maar kan pas worden opgeslagen als u zich opnieuw aanmeldt.
closed-for-others = Gesloten voor onderhoud. Alleen beheerders kunnen de app nu gebruiken.
# The form with which a member whom no account matches links one by its password, once.
account-about = Heb je in deze app een account met wachtwoord? Vul het hier één keer in. Daarna logt { -wecom } je in.
account-member = In { -wecom } ben je { $name }
account-name = Gebruikersnaam of e-mail
account-password = Wachtwoord
button-link = Account koppelen en inloggen
