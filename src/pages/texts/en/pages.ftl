# Pages that people see. One message per page: its value is the title, .what is what happened, .do is what to do
# (whom to ask, what to tap), .step1 and so on are numbered steps, .link stands above the address to open.
# People do not know how the gate is built: no names of parts, no setting names, no blame.

-wecom = WeCom

## The request

bad-address = This address does not work
    .what = It is incomplete, or contains characters that are not allowed.
    .do = Go to the start page, or open the app again from the { -wecom } workbench.

unknown-host = This is not the app’s address
    .what = The app has a different address from the one you used.
    .do = Open the app from the { -wecom } workbench, or ask your administrator for the right address.

not-found = Page not found
    .what = There is no page at this address.
    .do = Go to the start page, or open the app again from the { -wecom } workbench.

other-application = This application is not open here
    .what = The application you asked for is not the one at this address.
    .do = Go to the start page, or ask your administrator for the address of the other application.

cross-site = Please open this page yourself
    .what = Another website tried to do something here in your name. To keep you safe, it was stopped.
    .do = If it was you who wanted this, go to the start page and do it there.

too-large = Too much data
    .what = What you sent is larger than this app allows.
    .do = Choose a smaller file, or ask the administrator of the app to allow more.

headers-too-large = The address or the cookies are too long
    .what = The address is longer than allowed, or this site has stored too many cookies in your browser.
    .do = Delete the cookies of this site, then open the app again.

too-many-requests = Please wait a moment
    .what = There were many sign-ins from your network within a short time.
    .do = There is nothing you need to do.

## The session

no-session = Please sign in
    .what = You are not signed in.
    .do = Sign in with your { -wecom } account to continue.

session-ended = Please sign in again
    .what = Your session has ended.
    .do = Sign in again to continue where you left off.

invalid-token = This access key is not valid
    .what = The key or token sent with the request is wrong, or has expired.
    .do = Sign in with your { -wecom } account, or ask your administrator for a new key.

browser-denied = Open this app in { -wecom }
    .what = Your company allows this app only inside { -wecom }.
    .step1 = Open { -wecom } on your phone or computer.
    .step2 = Go to Workbench.
    .step3 = { $named ->
            [yes] Scroll down and open “{ $app }”.
           *[no] Scroll down and open the app.
        }
    .link = Or send this link to yourself in a { -wecom } chat and open it there:

open-in-wecom = Open this page in { -wecom }
    .what = You can sign in inside { -wecom }, not in this app or browser.
    .step1 = Open { -wecom } on this device.
    .step2 = Go to Workbench.
    .step3 = { $named ->
            [yes] Scroll down and open “{ $app }”.
           *[no] Scroll down and open the app.
        }
    .link = Or send this link to yourself in a { -wecom } chat and open it there:

signed-out = You are signed out
    .what = It is safe to close this page.

sign-in = Sign in
    .what = Sign in with your company account.

logout = Sign out?
    .what = You will be signed out of the app on this device.

## Signing in

flow-missing = Sign-in was interrupted
    .what = It was started in another browser or window, or this page was opened a second time.
    .do = Try again. It takes only a moment.

cookies-blocked = Cookies are blocked
    .what = You cannot stay signed in, because your browser does not keep this site’s cookies.
    .do = Allow cookies for this site, leave private browsing if you use it, and try again. Or open the app in { -wecom }.

flow-expired = Sign-in took too long
    .what = For your safety a sign-in must be finished within ten minutes.
    .do = Try again. It takes only a moment.

code-rejected = Sign-in did not work
    .what = { -wecom } did not confirm this sign-in. This happens when a page is opened twice or from the history.
    .do = Try again. It takes only a moment.

consent-denied = You did not agree
    .what = { -wecom } asks you once to share your phone number with the app, so that it can find your account. This was not agreed to, or the page was closed.
    .do = Try again, and choose “Allow”. If you do not want to share it, ask your administrator to link your account for you.

login-cancelled = Sign-in was cancelled
    .what = { -wecom } did not tell the app who you are, because the sign-in was cancelled.
    .do = Try again whenever you like.

login-loop = Sign-in keeps starting over
    .what = You were sent to { -wecom } and back several times and are still not signed in.
    .do = Close this page and open the app again. If that does not help, allow cookies for this site, or tell your administrator.

## The member

not-a-member = You are not a member of this company
    .what = Your { -wecom } account does not belong to the company that runs this app.
    .do = Switch to the right company in { -wecom } and open the app again. If you are new, ask your administrator to add you.

other-company = This app is for another company
    .what = You are signed in to { -wecom } as a member of a linked company.
    .do = Switch to the company that runs this app in { -wecom }, or ask the person who sent you the link.

not-visible = You cannot use this app yet
    .what = The app is not available to you in { -wecom }.
    .do = Ask your { -wecom } administrator to add you, or your department, to the app’s visible range. Then try again.

member-disabled = Your account is not active
    .what = Your { -wecom } account is disabled, or has not been activated.
    .do = If { -wecom } asks you to, activate your account there. Otherwise ask your { -wecom } administrator to enable it.

not-allowed = You have no access to this app
    .what = Only certain departments or people may use it, and you are not among them.
    .do = Ask the administrator of the app to let you in. Then try again.

## The account

first-time-in-wecom = Sign in once inside { -wecom }
    .what = The first time, the app needs your phone number from { -wecom }, which works only inside { -wecom }. Afterwards you can sign in here too.
    .step1 = Open { -wecom } on your phone.
    .step2 = Tap Workbench, and scroll down.
    .step3 = { $named ->
            [yes] Tap “{ $app }”, and choose “Allow” if you are asked.
           *[no] Tap the app, and choose “Allow” if you are asked.
        }
    .link = Or send this link to yourself in a { -wecom } chat and tap it there:

nothing-to-match = Your account could not be found
    .what = { -wecom } did not tell the app your phone number or e-mail address, so it cannot know which account is yours.
    .do = Check in { -wecom } that your profile has a phone number, then try again and choose “Allow”. If that does not help, ask your administrator to link your account.

no-matching-user = You have no account here yet
    .what = No account in this app matches your { -wecom } profile.
    .do = Ask the administrator of the app to create an account with the phone number of your { -wecom } profile. Then try again.

ambiguous-user = Several accounts could be yours
    .what = More than one account in this app matches your { -wecom } profile, so none was chosen.
    .do = Ask the administrator of the app to correct the accounts, and tell them the code below.

already-bound = This account belongs to someone else
    .what = The account that matches your { -wecom } profile is already linked to another member.
    .do = Ask the administrator of the app to check the link, and tell them the code below.

password-rejected = This account was not linked
    .what = The app did not accept this account and password.
    .do = Check both and try again. If you have forgotten the password, ask the administrator of the app.

link-denied = This account cannot be linked here
    .what = Accounts of administrators are not linked with a password, to keep them safe.
    .do = Ask the administrator of the app to link your account, and tell them the code below.

no-role = Your account has no role here
    .what = The app lets nobody in without a role, and your account has none.
    .do = Ask the administrator of the app to give your account a role. Then try again.

## Trouble

setup = Sign-in is not set up correctly
    .what = This is not your fault, and you cannot repair it yourself.
    .do = Tell the administrator of the app, and give them the code below.

wecom-unreachable = { -wecom } cannot be reached
    .what = The app could not ask { -wecom } who you are.
    .do = Try again in a moment. If this continues, tell the administrator of the app.

wecom-busy = { -wecom } is busy
    .what = { -wecom } is answering too many requests just now.
    .do = Please wait a moment. If this continues, tell the administrator of the app.

app-unreachable = The app cannot be reached
    .what = It may be restarting, or being updated.
    .do = Please wait a moment. If this continues, tell the administrator of the app.

maintenance = Back soon
    .what = The app is closed for maintenance.

app-starting = The app is starting
    .what = This usually takes less than a minute.

app-slow = The app takes too long to answer
    .what = It may be very busy just now.
    .do = Try again in a moment. If this continues, tell the administrator of the app.

internal = Something went wrong
    .what = The app could not do what you asked. This is not your fault.
    .do = Try again. If this continues, tell the administrator of the app, and give them the code below.
