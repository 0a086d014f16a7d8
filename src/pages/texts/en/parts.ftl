# Buttons and small print that pages share.

button-sign-in = Sign in
button-sign-in-again = Sign in again
button-sign-in-with = Sign in with { $name }
wecom-name = { -wecom }
button-copy = Copy link
button-copied = Copied
# Below a QR code with the address of this page.
scan = Or scan this code with { -wecom } on your phone.
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
# Between NocoBase's own sign-in form and the buttons below it.
or = or
# In a strip above an open page of the app with a form that has not been saved.
session-over = Your session has ended. What you entered is still here, but cannot be saved until you sign in again.
# On the page of an administrator, while the app is closed for maintenance.
closed-for-others = Closed for maintenance. Only administrators can use the app now.
# The form with which a member whom no account matches links one by its password, once.
account-about = Do you have an account with a password in this app? Enter it once here. From then on, { -wecom } signs you in.
account-member = In { -wecom } you are { $name }
account-name = User name or e-mail
account-password = Password
button-link = Link account and sign in
