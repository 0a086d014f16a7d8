# Buttons and small print that pages share.

button-sign-in = Sign in
button-sign-in-again = Sign in again
button-sign-in-with = Sign in with { $name }
button-try-again = Try again
button-start = Go to the start page
button-sign-out = Sign out
button-stay = Stay signed in
link-password = Sign in with a password
# This page reloads by itself after some seconds.
reloads = This page tries again by itself.
# Small print at the end, for support: what the code, the request's number and the time are called.
support = For your administrator
support-code = Code
support-request = Request
support-time = Time
