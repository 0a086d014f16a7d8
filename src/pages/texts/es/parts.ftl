# Botones y letra pequeña que comparten las páginas.

button-sign-in = Iniciar sesión
button-sign-in-again = Iniciar sesión de nuevo
button-sign-in-with = Iniciar sesión con { $name }
wecom-name = { -wecom }
button-copy = Copiar enlace
button-copied = Copiado
# Below a QR code with the address of this page.
scan = O escanee este código con { -wecom } en su teléfono.
button-try-again = Intentarlo de nuevo
button-start = Ir a la página de inicio
button-sign-out = Cerrar sesión
button-stay = Mantener la sesión iniciada
link-password = Iniciar sesión con contraseña
# Esta página se recarga sola al cabo de unos segundos.
reloads = Esta página lo vuelve a intentar por sí sola.
# Letra pequeña al final, para el soporte: cómo se llaman el código, el número de la petición y la hora.
support = Para su administrador
support-code = Código
support-request = Petición
support-time = Hora
# Entre el formulario de NocoBase y los botones de debajo.
or = o
session-over = Su sesión ha terminado. Lo que ha escrito sigue aquí, pero no podrá guardarse hasta que vuelva a iniciar sesión.
closed-for-others = Cerrada por mantenimiento. Ahora solo los administradores pueden usar la aplicación.
# The form with which a member whom no account matches links one by its password, once.
account-about = ¿Tiene una cuenta con contraseña en esta aplicación? Introdúzcala aquí una vez. Después, { -wecom } iniciará su sesión.
account-member = En { -wecom } usted es { $name }
account-name = Usuario o correo electrónico
account-password = Contraseña
button-link = Vincular la cuenta e iniciar sesión
